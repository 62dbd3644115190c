"""Views: determinism, geometry against a naive loop, order of views, keys."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest
import torch
from torch import Tensor

from alambic.data import Photometry, Sensor, ViewSpec, key, render, render_clean, view_ids
from alambic.data.hashing import draw, uniform
from alambic.errors import AlambicError

FULL = ViewSpec(
    seed=3,
    flip=True,
    shift=3,
    zoom=(0.5, 1.0),
    student=Photometry(0.4, 0.4, 0.4, 0.5, Sensor(grey=True, down=2, shot=0.1, read=0.02, blur=0.7, gain=2.0)),
    teacher=Photometry(0.2, 0.2, 0.2, 0.5),
)


@pytest.fixture(scope="module")
def images() -> Tensor:
    return torch.randint(0, 256, (200, 3, 12, 16), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("side", ["student", "teacher"])
@pytest.mark.parametrize("mix", ["none", "mixup", "cutmix"])
def test_a_view_does_not_depend_on_batch_order_or_generator(images: Tensor, side: str, mix: str) -> None:
    spec = dataclasses.replace(FULL, mix=mix)
    pool = torch.arange(150)
    ids, views = torch.arange(40, 104), torch.arange(64) % 5
    torch.manual_seed(0)
    together = render(images, ids, views, spec, side, (10, 10), pool)
    torch.manual_seed(99)
    order = torch.randperm(64, generator=torch.Generator().manual_seed(5))
    shuffled = render(images, ids[order], views[order], spec, side, (10, 10), pool)
    assert torch.equal(shuffled, together[order])
    for row in (0, 31, 63):
        alone = render(images, ids[row : row + 1], views[row : row + 1], spec, side, (10, 10), pool)
        torch.testing.assert_close(alone[0], together[row], atol=2e-6, rtol=0)


def test_views_differ_by_view_image_and_seed(images: Tensor) -> None:
    same = images[:1].expand(64, -1, -1, -1).contiguous()  # one picture under 64 ids
    spec = ViewSpec(shift=3, flip=True)
    ids, zero = torch.arange(64), torch.zeros(64, dtype=torch.int64)
    base = render(same, ids, zero, spec, "student")
    assert len(torch.unique(base.flatten(1), dim=0)) > 40
    other_view = render(same, ids, zero + 1, spec, "student")
    other_seed = render(same, ids, zero, dataclasses.replace(spec, seed=1), "student")
    for other in (other_view, other_seed):
        assert (base != other).flatten(1).any(1).float().mean() > 0.9


def naive_geometry(image: np.ndarray, down: int, right: int, flip: bool, reflect: bool) -> np.ndarray:
    _, height, width = image.shape
    moved = np.zeros_like(image)
    for row in range(height):
        for column in range(width):
            from_row, from_column = row - down, column - right
            if reflect:
                from_row = abs(from_row) if from_row < height else 2 * (height - 1) - from_row
                from_column = abs(from_column) if from_column < width else 2 * (width - 1) - from_column
            if 0 <= from_row < height and 0 <= from_column < width:
                moved[:, row, column] = image[:, from_row, from_column]
    return moved[:, :, ::-1] if flip else moved


@pytest.mark.parametrize("padding", ["zero", "reflect"])
def test_shift_and_flip_are_exactly_one_of_the_naive_moves(images: Tensor, padding: str) -> None:
    spec = ViewSpec(seed=7, flip=True, shift=2, padding=padding)
    ids = torch.arange(150)
    got = (render(images, ids, ids % 3, spec, "student") * 255).round().to(torch.uint8).numpy()
    seen = set()
    for row in range(150):
        matches = [
            (down, right, flip)
            for down in range(-2, 3)
            for right in range(-2, 3)
            for flip in (False, True)
            if np.array_equal(naive_geometry(images[row].numpy(), down, right, flip, padding == "reflect"), got[row])
        ]
        assert len(matches) == 1, f"image {row} is none, or several, of the 50 moves"
        seen.add(matches[0])
    assert len(seen) > 40, "of 50 moves 150 images should show nearly all"


def test_pixels_are_the_exact_bytes_over_255(images: Tensor) -> None:
    got = render_clean(images, torch.arange(200), ViewSpec(), "student")
    assert got.dtype == torch.float32
    assert torch.equal((got.double() * 255).round(), images.double())
    assert got.min() >= 0
    assert got.max() == 1.0


def test_geometry_is_shared_while_photometry_is_per_side(images: Tensor) -> None:
    spec = ViewSpec(flip=True, shift=3, zoom=(0.4, 0.9), student=Photometry(brightness=0.8))
    ids, views = torch.arange(64), torch.full((64,), 2)
    student = render(images, ids, views, spec, "student")
    teacher = render(images, ids, views, spec, "teacher")
    assert not torch.equal(student, teacher)
    inside = (student > 0.01) & (student < 0.99) & (teacher > 0.01)
    ratio = torch.where(inside, student / teacher.clamp_min(1e-6), torch.nan)
    spread = ratio.flatten(1).nan_to_num(nan=0.0, posinf=0.0)
    for row in range(64):
        values = spread[row][spread[row] > 0]
        assert values.std() < 1e-3, "one brightness factor must explain the whole difference"


def test_sides_with_equal_photometry_see_equal_pixels(images: Tensor) -> None:
    same = Photometry(0.4, 0.4, 0.4, 0.5)
    spec = dataclasses.replace(FULL, student=same, teacher=same)
    ids, views = torch.arange(64), torch.full((64,), 2)
    assert torch.equal(render(images, ids, views, spec, "student"), render(images, ids, views, spec, "teacher"))


def test_clean_view_in_a_mixed_batch(images: Tensor) -> None:
    spec = dataclasses.replace(FULL, mix="mixup", student=dataclasses.replace(FULL.student, sensor=None))
    views = torch.arange(64) % 2 - 1  # -1, 0, -1, 0
    got = render(images, torch.arange(64), views, spec, "student", None, torch.arange(100))
    clean = render_clean(images, torch.arange(64), spec, "student")
    assert torch.equal(got[::2], clean[::2])
    assert (got[1::2] != clean[1::2]).flatten(1).any(1).all()


def test_zoom_of_a_ramp_is_the_ramp_of_the_window() -> None:
    ramp = torch.arange(0, 256, 4, dtype=torch.uint8).view(1, 1, 1, 64).expand(300, 1, 64, 64).contiguous()
    spec = ViewSpec(zoom=(0.25, 0.25))
    got = render(ramp, torch.arange(300), torch.zeros(300, dtype=torch.int64), spec, "student") * 255 / 4
    # A quarter of the area is half of each side: neighbouring pixels are half a column apart.
    step = (got[:, 0, 10, 2:62] - got[:, 0, 10, 1:61]).flatten()
    torch.testing.assert_close(step, torch.full_like(step, 0.5), atol=1e-3, rtol=0)
    centre = got[:, 0].mean(dim=(1, 2))
    assert centre.min() > 15.4
    assert centre.max() < 47.6
    assert centre.std() == pytest.approx(32 / 12**0.5, rel=0.1), "windows lie uniformly in the room they have"


def test_zoom_of_one_keeps_the_image(images: Tensor) -> None:
    got = render(images, torch.arange(64), torch.zeros(64, dtype=torch.int64), ViewSpec(zoom=(1.0, 1.0)), "student")
    torch.testing.assert_close(got, images[:64] / 255, atol=1e-5, rtol=0)


def test_resize_is_the_last_step_and_antialiased() -> None:
    bars = torch.tensor([255, 0, 0, 255] * 8, dtype=torch.uint8).expand(4, 1, 32, 32).contiguous()
    small = render_clean(bars, torch.arange(4), ViewSpec(), "teacher", (8, 8))
    assert small.shape == (4, 1, 8, 8)
    # Interpolation alone would look at the two black columns in the middle of each four.
    assert small.min() > 0.3
    assert small[..., 1:-1].mean() == pytest.approx(0.5, abs=0.05)
    assert render_clean(bars, torch.arange(4), ViewSpec(), "teacher", (48, 40)).shape == (4, 1, 48, 40)


@pytest.mark.parametrize("count", [1, 2, 3, 8, 17])
def test_each_lap_shows_each_view_once(count: int) -> None:
    ids, spec = torch.arange(1000), ViewSpec(count=count, seed=5)
    for lap in range(3):
        shown = torch.stack([view_ids(lap * count + step, ids, spec) for step in range(count)])
        assert torch.equal(shown.sort(dim=0).values, torch.arange(count)[:, None].expand(count, 1000))


def test_orders_of_views_are_uniform_and_change_with_the_lap() -> None:
    ids, spec = torch.arange(24000), ViewSpec(count=4)
    orders = torch.stack([view_ids(epoch, ids, spec) for epoch in range(4)], dim=1)
    kinds = torch.unique(orders, dim=0, return_counts=True)[1].double()
    assert len(kinds) == 24
    assert ((kinds - 1000).square() / 1000).sum() < 49.7, "chi-square with 23 degrees of freedom, p = .001"
    next_lap = torch.stack([view_ids(epoch, ids, spec) for epoch in range(4, 8)], dim=1)
    assert (orders == next_lap).all(1).double().mean() < 0.06


def test_live_views_are_the_epoch() -> None:
    assert view_ids(12, torch.arange(5), ViewSpec()).tolist() == [12] * 5


def test_hash_is_uniform_and_uncorrelated_over_ids_views_streams_and_seeds() -> None:
    ids = torch.arange(20000)
    for seed, view in ((0, 0), (0, 1), (1, 0), (123456789, -1)):
        drawn = uniform(draw(seed, ids, view, (0, 1, 2))).double()
        for column in drawn.T:
            bins = torch.histc(column, 100, 0, 1)
            assert 53 < ((bins - 200).square() / 200).sum() < 162, "chi-square, 99 degrees of freedom, p = .0001"
        correlations = torch.corrcoef(drawn.T) - torch.eye(3)
        assert correlations.abs().max() < 0.03
    columns = [uniform(draw(seed, ids, view, (4,)))[:, 0].double() for seed in (0, 1, 2) for view in (-1, 0, 1, 2)]
    columns += [columns[0].roll(1), columns[0].roll(2)]
    assert (torch.corrcoef(torch.stack(columns)) - torch.eye(14)).abs().max() < 0.03


def test_hash_words_do_not_change() -> None:
    """Banks on disk hold views of this hash: a change of the function needs a new ``views.VERSION``."""

    def reference(seed: int, image: int, view: int, stream: int) -> int:
        def mixed(word: int) -> int:
            word = (word ^ (word >> 30)) * 0xBF58476D1CE4E5B9 % 2**64
            word = (word ^ (word >> 27)) * 0x94D049BB133111EB % 2**64
            return word ^ (word >> 31)

        start = mixed((seed + 1) * 0x9E3779B97F4A7C15 % 2**64)
        word = start + image * 0x9E3779B97F4A7C15 + view * 0xD1B54A32D192ED03 + stream * 0xABC98388FB8FAC03
        return mixed(word % 2**64)

    for seed, image, view, stream in ((0, 0, 0, 0), (0, 59999, 7, 3), (12345, 17, -1, 19), (2**31, 5, 299, 1)):
        word = int(draw(seed, torch.tensor([image]), torch.tensor([view]), (stream,)))
        assert word % 2**64 == reference(seed, image, view, stream)


def test_bank_key_of_one_side_ignores_the_other_and_the_count() -> None:
    base = key(FULL, "teacher")
    changed = dataclasses.replace(FULL, student=Photometry(brightness=0.9), count=8)
    assert key(changed, "teacher") == base
    assert key(changed, "student") != key(FULL, "student")
    same_numbers = dataclasses.replace(FULL, zoom=(0.5, 1), shift=3)
    assert key(same_numbers, "teacher") == base
    assert json.loads(base)["photometry"]["brightness"] == 0.2


@pytest.mark.parametrize(
    "change",
    [
        {"seed": 4},
        {"flip": False},
        {"shift": 2},
        {"padding": "reflect"},
        {"zoom": None},
        {"mix": "mixup"},
        {"teacher": Photometry()},
        {"teacher": dataclasses.replace(FULL.teacher, sensor=Sensor())},
    ],
)
def test_bank_key_changes_with_what_the_side_sees(change: dict[str, object]) -> None:
    assert key(dataclasses.replace(FULL, **change), "teacher") != key(FULL, "teacher")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("wrong", "text"),
    [
        ({"shift": -1}, "at least 0"),
        ({"zoom": (0.0, 1.0)}, "zoom"),
        ({"zoom": (0.5, 1.2)}, "zoom"),
        ({"mix": "mixin"}, "mixup or cutmix"),
        ({"padding": "wrap"}, "zero or reflect"),
        ({"mix_alpha": 0.0}, "mix_alpha"),
        ({"mix_alpha": float("nan")}, "mix_alpha"),
    ],
)
def test_bad_view_specs(wrong: dict[str, object], text: str) -> None:
    with pytest.raises(AlambicError, match=text):
        ViewSpec(**wrong)  # type: ignore[arg-type]


@pytest.mark.cuda
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_cuda_equals_cpu(images: Tensor) -> None:
    ids, views = torch.arange(128), torch.arange(128) % 4
    exact = ViewSpec(flip=True, shift=3)
    cuda = (images.cuda(), ids.cuda(), views.cuda())
    assert torch.equal(render(*cuda, exact, "student").cpu(), render(images, ids, views, exact, "student"))
    for mix in ("mixup", "cutmix"):
        spec = dataclasses.replace(FULL, mix=mix)
        pool = torch.arange(150)
        near = render(*cuda, spec, "teacher", (10, 10), pool.cuda()).cpu()
        torch.testing.assert_close(near, render(images, ids, views, spec, "teacher", (10, 10), pool), atol=1e-5, rtol=0)
