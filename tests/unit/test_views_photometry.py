"""Photometry, sensor and mixing against plain formulas."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from scipy import stats
from torch import Tensor

from alambic.data import Photometry, Sensor, ViewSpec, mixing, render, render_clean
from alambic.data.hashing import normal
from alambic.data.mixes import beta
from alambic.data.photometry import erase, jitter, optics
from alambic.errors import AlambicError


@pytest.fixture(scope="module")
def images() -> Tensor:
    return torch.randint(0, 256, (300, 3, 12, 16), dtype=torch.uint8, generator=torch.Generator().manual_seed(2))


def zeros(count: int) -> Tensor:
    return torch.zeros(count, dtype=torch.int64)


def grey(pixels: np.ndarray) -> np.ndarray:
    return 0.299 * pixels[0] + 0.587 * pixels[1] + 0.114 * pixels[2]


def test_jitter_is_brightness_contrast_saturation_in_this_order(images: Tensor) -> None:
    pixels = images[:8].float() / 255
    draws = torch.rand(8, 3, generator=torch.Generator().manual_seed(0))
    got = jitter(pixels.clone(), Photometry(0.5, 0.4, 0.3), draws, torch.ones(8, dtype=torch.bool)).numpy()
    for row in range(8):
        bright, contrast, colour = 1 + np.array([0.5, 0.4, 0.3]) * (2 * draws[row].double().numpy() - 1)
        wanted = np.clip(pixels[row].double().numpy() * bright, 0, 1)
        wanted = np.clip(wanted * contrast + grey(wanted).mean() * (1 - contrast), 0, 1)
        wanted = np.clip(wanted * colour + grey(wanted)[None] * (1 - colour), 0, 1)
        np.testing.assert_allclose(got[row], wanted, atol=1e-5)


def test_jitter_draws_cover_their_range_and_average_to_one(images: Tensor) -> None:
    flat = torch.full((4000, 1, 2, 2), 100, dtype=torch.uint8)
    got = render(flat, torch.arange(4000), zeros(4000), ViewSpec(student=Photometry(brightness=0.5)), "student")
    factors = got[:, 0, 0, 0] * 2.55
    assert factors.min() < 0.51
    assert factors.max() > 1.49
    assert factors.mean() == pytest.approx(1.0, abs=0.02)


def test_erase_fills_one_rectangle_with_the_mean_and_keeps_its_rate(images: Tensor) -> None:
    spec = ViewSpec(student=Photometry(erase=0.5))
    got = render(images, torch.arange(300), zeros(300), spec, "student")
    plain = images.float() / 255
    changed = (got - plain).abs().amax(1) > 1e-6
    erased = changed.flatten(1).any(1)
    assert 0.4 < erased.float().mean() < 0.6
    for row in erased.nonzero().flatten().tolist():
        rows, columns = changed[row].any(1).nonzero().flatten(), changed[row].any(0).nonzero().flatten()
        top, bottom, left, right = rows[0], rows[-1] + 1, columns[0], columns[-1] + 1
        patch = got[row, :, top:bottom, left:right]
        assert changed[row, top:bottom, left:right].float().mean() > 0.9
        assert changed[row].sum() <= (bottom - top) * (right - left)
        torch.testing.assert_close(patch, plain[row].mean(dim=(1, 2))[:, None, None].expand_as(patch))
    area = changed[erased].float().mean(dim=(1, 2))
    assert 0.15 < area.mean() < 0.26


def test_erase_reaches_the_last_row_and_column() -> None:
    pixels = torch.arange(100, dtype=torch.float32).view(1, 1, 10, 10) / 100
    draws = torch.tensor([[0.0, 0.5, 0.999999, 0.999999]])
    changed = erase(pixels.clone(), draws, torch.tensor([True])) != pixels
    assert changed[0, 0, 9, 9]


def test_optics_average_blocks_and_luma(images: Tensor) -> None:
    pixels = images[:4].float() / 255
    got = optics(pixels, Sensor(grey=True, down=4)).numpy()
    assert got.shape == (4, 1, 3, 4)
    for row in range(4):
        wanted = grey(pixels[row].numpy()).reshape(3, 4, 4, 4).mean(axis=(1, 3))
        np.testing.assert_allclose(got[row, 0], wanted, atol=1e-6)


def test_blur_is_gaussian_and_keeps_the_mean() -> None:
    point = torch.zeros(1, 1, 21, 21)
    point[0, 0, 10, 10] = 1
    got = optics(point, Sensor(blur=1.5))[0, 0].double()
    assert got.sum() == pytest.approx(1.0, abs=1e-5)
    spread = (got.sum(0) * (torch.arange(21) - 10).square()).sum().sqrt()
    assert spread == pytest.approx(1.5, rel=0.02)
    assert torch.allclose(got, got.T)
    assert torch.allclose(got, got.flip(0))


def test_down_must_divide_the_canvas(images: Tensor) -> None:
    with pytest.raises(AlambicError, match="multiples of down = 5"):
        render_clean(images, torch.arange(2), ViewSpec(student=Photometry(sensor=Sensor(down=5))), "student")


@pytest.mark.parametrize("gain", [1.0, 4.0])
def test_noise_has_the_stated_variance(gain: float) -> None:
    level = 100
    flat = torch.full((200, 1, 16, 16), level, dtype=torch.uint8)
    sensor = Sensor(shot=0.05, read=0.01, gain=gain, bits=16)
    got = render_clean(flat, torch.arange(200), ViewSpec(student=Photometry(sensor=sensor)), "student").double()
    wanted = (gain * 0.05**2 * level / 255 + (gain * 0.01) ** 2) ** 0.5
    assert got.mean() == pytest.approx(level / 255, abs=1e-3)
    assert got.std() == pytest.approx(wanted, rel=0.02)
    across = got.flatten(1)
    assert torch.corrcoef(across[:, :20].T).sub(torch.eye(20)).abs().max() < 0.35, "neighbouring pixels are independent"


def test_sensor_noise_is_fixed_for_a_clean_image_and_fresh_for_each_view(images: Tensor) -> None:
    spec = ViewSpec(student=Photometry(sensor=Sensor(shot=0.1, grey=True)))
    ids = torch.arange(20)
    assert torch.equal(render_clean(images, ids, spec, "student"), render_clean(images, ids, spec, "student"))
    by_view = render(images, ids, zeros(20) - 1, spec, "student")
    assert torch.equal(by_view, render_clean(images, ids, spec, "student"))
    assert not torch.equal(
        render(images, ids, zeros(20), spec, "student"), render(images, ids, zeros(20) + 1, spec, "student")
    )


def test_bits_leave_that_many_levels(images: Tensor) -> None:
    got = render_clean(images, torch.arange(300), ViewSpec(student=Photometry(sensor=Sensor(bits=3))), "student")
    torch.testing.assert_close(got.unique(), torch.arange(8) / 7)


def test_normal_draws_are_normal() -> None:
    drawn = normal(0, torch.arange(100), zeros(100), 18, 501).double()
    assert drawn.shape == (100, 501)
    assert stats.kstest(drawn.flatten().numpy(), "norm").statistic < 0.009
    assert torch.corrcoef(drawn[:, :8].T).sub(torch.eye(8)).abs().max() < 0.4


@pytest.mark.parametrize("alpha", [0.2, 0.8, 1.0, 4.0])
def test_beta_draws_follow_beta(alpha: float) -> None:
    drawn = beta((torch.arange(40000) + 0.5) / 40000, alpha).double().numpy()
    wanted = stats.beta(alpha, alpha).ppf((np.arange(40000) + 0.5) / 40000)
    assert np.abs(drawn - wanted)[20:-20].max() < 2e-3
    assert np.abs(drawn - wanted).mean() < 2e-5
    assert drawn.min() >= 0
    assert drawn.max() <= 1


def test_mixup_is_the_weighted_sum_of_the_two_views(images: Tensor) -> None:
    pool = torch.arange(50, 250)
    spec = ViewSpec(flip=True, shift=2, mix="mixup", mix_alpha=0.4, student=Photometry(brightness=0.3))
    ids, views = torch.arange(100), torch.arange(100) % 4
    plain = dataclasses.replace(spec, mix="none")
    mixed = mixing(ids, views, spec, pool)
    assert mixed is not None
    partners, keep = mixed
    assert partners.min() >= 50
    assert partners.max() < 250
    share = keep.view(-1, 1, 1, 1)
    own = render(images, ids, views, plain, "student")
    other = render(images, partners, views, plain, "student")
    got = render(images, ids, views, spec, "student", None, pool)
    torch.testing.assert_close(got, share * own + (1 - share) * other)
    assert mixing(ids, views, plain, pool) is None


def test_partners_cover_the_pool_evenly() -> None:
    pool = torch.arange(100) * 7
    mixed = mixing(torch.arange(20000), zeros(20000), ViewSpec(mix="mixup"), pool)
    assert mixed is not None
    counts = (mixed[0] // 7).bincount(minlength=100).double()
    assert 53 < ((counts - 200).square() / 200).sum() < 162


def test_cutmix_share_is_exactly_the_area_on_both_sides(images: Tensor) -> None:
    dark = torch.zeros(400, 1, 12, 16, dtype=torch.uint8)
    dark[200:] = 255
    spec = ViewSpec(mix="cutmix", seed=1)
    ids, views = torch.arange(200), torch.arange(200) % 3
    pool = torch.arange(200, 400)
    mixed = mixing(ids, views, spec, pool, (12, 16))
    assert mixed is not None
    _, keep = mixed
    student = render(dark, ids, views, spec, "student", None, pool)
    assert torch.equal(student, render(dark, ids, views, spec, "teacher", None, pool))
    assert set(student.unique().tolist()) == {0.0, 1.0}
    white = student.flatten(1).double().mean(1)
    torch.testing.assert_close(white, 1 - keep.double(), atol=1e-6, rtol=0)
    assert keep.mean() == pytest.approx(0.68, abs=0.08), "clipping lifts the mean of a uniform share"
    clipped = student[:, 0].any(2)[:, 0] | student[:, 0].any(2)[:, -1]
    assert clipped.float().mean() > 0.3, "boxes reach the border"


def test_cutmix_asks_for_the_canvas_and_render_for_the_pool(images: Tensor) -> None:
    with pytest.raises(AlambicError, match=r"canvas=source\.size"):
        mixing(torch.arange(4), zeros(4), ViewSpec(mix="cutmix"), torch.arange(9))
    with pytest.raises(AlambicError, match="pool_ids"):
        render(images, torch.arange(4), zeros(4), ViewSpec(mix="mixup"), "student")


@pytest.mark.parametrize(
    "wrong",
    [
        {"down": 0},
        {"bits": 0},
        {"gain": 0.0},
        {"gain": float("nan")},
        {"gain": float("inf")},
        {"shot": -0.1},
        {"shot": float("nan")},
        {"read": float("nan")},
        {"blur": float("nan")},
        {"blur": float("inf")},
    ],
)
def test_bad_sensors(wrong: dict[str, float]) -> None:
    with pytest.raises(AlambicError, match="sensor: expected"):
        Sensor(**wrong)  # type: ignore[arg-type]


def test_bad_photometry() -> None:
    with pytest.raises(AlambicError, match="photometry: expected"):
        Photometry(brightness=1.5)
