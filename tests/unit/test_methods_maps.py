"""What the contract suite cannot know of the methods on maps and stages, of their projectors and their mathematics."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from alambic.errors import AlambicError
from alambic.methods import create_method
from alambic.methods.base import Batch, Method, Specs
from alambic.methods.cakd_lite import GroupLinear, cakd_loss
from alambic.methods.pat_lite import RegionAttention
from alambic.methods.scalekd_lite import CrossAttention
from alambic.models.feature import Feature, Outputs, OutputSpec, StageSpec
from alambic.models.projector import check_grids

ROWS = 6
MAPS = (
    "fitnet",
    "vid",
    "ofd",
    "ab",
    "ft",
    "fsp",
    "ickd",
    "semckd",
    "mgd",
    "cwd",
    "reviewkd",
    "scalekd_lite",
    "pat_lite",
)
MAPS += ("uhkd", "sfkd_lite", "cakd_lite", "dense_feature")


def student_outputs(rows: int = ROWS, seed: int = 0) -> Outputs:
    """Four maps of a CNN, 28 to 4 pixels a side."""
    draw = torch.Generator().manual_seed(seed)
    shapes = ((4, 28), (6, 14), (8, 7), (10, 4))
    stages = tuple(Feature(torch.randn(rows, c, n, n, generator=draw), "map") for c, n in shapes)
    return Outputs(torch.randn(rows, 5, generator=draw), torch.randn(rows, 10, generator=draw), stages)


def token_outputs(rows: int = ROWS, seed: int = 1, prefix: int = 5) -> Outputs:
    """Four stages of a ViT: ``prefix`` class and register tokens, then 7 x 7 patches."""
    draw = torch.Generator().manual_seed(seed)
    stages = tuple(
        Feature(torch.randn(rows, prefix + 49, 12, generator=draw), "tokens", prefix, (7, 7)) for _ in range(4)
    )
    return Outputs(torch.randn(rows, 5, generator=draw), torch.randn(rows, 12, generator=draw), stages)


def batch_of(rows: int = ROWS) -> Batch:
    return Batch(torch.zeros(rows, dtype=torch.int64))


def build(name: str, s: Outputs, t: Outputs, **hyper: object) -> Method:
    torch.manual_seed(0)
    method = create_method(name, **hyper)
    specs = Specs(OutputSpec.of(s), OutputSpec.of(t), 5)
    method.check(specs)
    method.build(specs, torch.Generator().manual_seed(0))
    return method


def total(method: Method, s: Outputs, t: Outputs, progress: float = 0.5) -> Tensor:
    torch.manual_seed(7)
    parts = method.loss(s, t, batch_of(len(s.need_logits())), progress)
    return torch.stack([value.mean() for value in parts.values()]).sum()


@pytest.mark.parametrize("name", MAPS)
def test_class_and_register_tokens_never_count(name: str) -> None:
    """Catches a token dropped at the wrong end: prefix tokens may hold anything, the last patch may not."""
    s, t = student_outputs(), token_outputs()
    method = build(name, s, t)
    early = 0.01  # every method with a pre-training stage compares maps there
    torch.manual_seed(7)
    reference = total(method, s, t, early)

    def changed(index: int) -> Tensor:
        stages = []
        for stage in t.stages:
            tensor = stage.tensor.clone()
            tensor[:, index] += 3.0 * torch.randn(ROWS, 12, generator=torch.Generator().manual_seed(5))
            stages.append(Feature(tensor, "tokens", stage.prefix, stage.grid))
        return total(method, s, Outputs(t.logits, t.embedding, tuple(stages)), early)

    for index in range(5):
        torch.testing.assert_close(changed(index), reference, rtol=1e-5, atol=1e-6)
    assert not torch.isclose(changed(-1), reference, rtol=1e-6, atol=0)
    assert not torch.isclose(changed(5), reference, rtol=1e-6, atol=0)


def test_vid_variance_trains() -> None:
    """mdistiller's VID keeps its log-scales in a list that no optimiser sees."""
    s, t = student_outputs(), token_outputs()
    method = build("vid", s, t)
    scales = [name for name, _ in method.named_parameters() if name.startswith("log_scales")]
    assert len(scales) == 4
    before = [scale.detach().clone() for scale in method.log_scales]
    optimizer = torch.optim.SGD(method.parameters(), lr=1.0)
    for _ in range(5):
        optimizer.zero_grad()
        total(method, s, t).backward()
        optimizer.step()
    for old, new in zip(before, method.log_scales, strict=True):
        # the teacher's variance is about 1, the start 5: the estimate must fall in every channel
        assert (new < old).all()


def test_ofd_margin_is_the_mean_of_all_negatives_seen() -> None:
    s = student_outputs()
    method = build("ofd", s, token_outputs())
    seen = []
    for seed, rows in ((1, 6), (2, 3), (3, 5)):
        t = token_outputs(rows, seed)
        method.loss(student_outputs(rows), t, batch_of(rows), 0.5)
        patches = t.stages[3].tensor[:, 5:].double().numpy()
        # the student's last map is 4 x 4: the teacher's is pooled to it before it is looked at
        grid = torch.from_numpy(patches.reshape(rows, 7, 7, 12)).permute(0, 3, 1, 2)
        seen.append(torch.nn.functional.adaptive_avg_pool2d(grid, 4).numpy())
    values = np.concatenate(seen)
    expected = [np.mean(values[:, c][values[:, c] < 0]) for c in range(12)]
    got = method.negative_total3 / method.negative_count3
    np.testing.assert_allclose(got.numpy(), expected, rtol=1e-5)


def test_ab_teaches_boundaries_first_then_logits() -> None:
    s, t = student_outputs(), token_outputs()
    method = build("ab", s, t)
    assert set(method.loss(s, t, batch_of(), 29.9 / 270)) == {"ab1", "ab2", "ab3", "ab4"}
    assert set(method.loss(s, t, batch_of(), 30.1 / 270)) == {"kd"}
    assert method.ce_weight == 0


def test_ft_freezes_its_paraphraser_and_spares_the_student_before() -> None:
    s, t = student_outputs(), token_outputs()
    method = build("ft", s, t)
    s.stages[-1].tensor.requires_grad_()
    total(method, s, t, 0.01).backward()
    assert s.stages[-1].tensor.grad is None
    assert all(p.grad is not None for p in (*method.paraphraser.parameters(), *method.decoder.parameters()))
    method.zero_grad()
    total(method, s, t, 0.9).backward()
    assert s.stages[-1].tensor.grad is not None
    assert all(p.grad is None for p in (*method.paraphraser.parameters(), *method.decoder.parameters()))
    assert all(p.grad is not None for p in method.translator.parameters())


def test_ab_moves_a_student_behind_a_relu_below_zero_at_equal_width() -> None:
    """Where the teacher is off a map that ends in ReLU cannot go below 0: the floor margin² would stay."""
    s = student_outputs()
    method = build("ab", s, s)
    assert all(not isinstance(part, nn.Identity) for part in method.connectors)


def test_fsp_leaves_the_main_stage_to_the_labels() -> None:
    s, t = student_outputs(), token_outputs()
    method = build("fsp", s, t)
    assert set(method.loss(s, t, batch_of(), 0.05)) == {"fsp"}
    assert method.loss(s, t, batch_of(), 0.5) == {}


def test_fsp_needs_two_stages() -> None:
    s, t = student_outputs(), token_outputs()
    with pytest.raises(AlambicError, match="at least 2 stage"):
        build("fsp", Outputs(s.logits, s.embedding, s.stages[:1]), t)


def test_semckd_takes_batches_of_another_size() -> None:
    t = token_outputs()
    method = build("semckd", student_outputs(), t, batch=8)
    for rows in (3, 8, 11):
        parts = method.loss(student_outputs(rows), token_outputs(rows), batch_of(rows), 0.5)
        assert parts["semckd"].shape == (rows,)
    # a full batch is read as it is: its own similarity matrix
    x = student_outputs(8).stages[1].tensor
    flat = x.reshape(8, -1)
    torch.testing.assert_close(method._rows(x), flat @ flat.T)
    torch.testing.assert_close(method._rows(x[:5])[:, 5:], torch.zeros(5, 3))


def test_mgd_hides_whole_channels_at_the_given_rate() -> None:
    class Spy(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            self.seen = x
            return x

    s, t = student_outputs(64), token_outputs(64)
    method = build("mgd", s, t, masked=0.15)
    method.generation = Spy()
    method.loss(s, t, batch_of(64), 0.5)
    hidden = (method.generation.seen == 0).flatten(2)
    assert torch.equal(hidden.all(2), hidden.any(2)), "a channel is hidden everywhere or nowhere"
    share = hidden.all(2).float().mean().item()
    assert abs(share - 0.15) < 4 * (0.15 * 0.85 / (64 * 12)) ** 0.5


def test_reviewkd_warms_up_over_a_twelfth() -> None:
    s, t = student_outputs(), token_outputs()
    method = build("reviewkd", s, t)
    full = total(method, s, t, 0.5)
    torch.testing.assert_close(total(method, s, t, 10 / 240), full / 2)
    torch.testing.assert_close(total(method, s, t, 20 / 240), full)
    assert total(method, s, t, 0.0) == 0
    assert set(method.loss(s, t, batch_of(), 0.5)) == {f"review{i}" for i in range(1, 6)}


def test_fitnet_hint_counts_from_the_deep_end() -> None:
    s, t = student_outputs(), token_outputs()
    assert build("fitnet", s, t).regressor.layers[0].in_channels == 8
    assert build("fitnet", s, t, hint=0).regressor.layers[0].in_channels == 4
    short = Outputs(s.logits, s.embedding, s.stages[-1:])
    assert build("fitnet", short, t).regressor.layers[0].in_channels == 10


def test_pat_codes_belong_to_regions_not_to_images() -> None:
    """The released code indexes them by the image in the batch: an image's result then depends on its place."""
    stages = [StageSpec.of(stage) for stage in student_outputs().stages]
    torch.manual_seed(0)
    attention = RegionAttention(stages, 16, 4)
    maps = [stage.tensor for stage in student_outputs().stages]
    whole, last = attention(maps), attention([x[-1:] for x in maps])
    for a, b in zip(whole, last, strict=True):
        assert a.shape == (ROWS, 16, 16)
        torch.testing.assert_close(a[-1:], b)
    # without codes, regions of a constant input would all be alike
    flat = attention([torch.ones_like(x) for x in maps])
    assert not torch.allclose(flat[0][:, 0], flat[0][:, 1])


def test_scalekd_asks_one_question_per_teacher_position() -> None:
    s, t = student_outputs(), token_outputs()
    torch.manual_seed(0)
    attention = CrossAttention(StageSpec.of(s.stages[2]), StageSpec.of(t.stages[2]), heads=16, sharpness=5.0)
    assert attention.questions.shape == (49, 12)
    assert attention(s.stages[2].tensor).shape == (ROWS, 12, 7, 7)
    assert build("scalekd_lite", s, t).ce_weight == 0.5


def test_cakd_shares_one_layer_per_block() -> None:
    for size, count in (((14, 14), 16), ((7, 7), 4), ((5, 9), 6)):
        groups = GroupLinear(3, StageSpec("tokens", 8, size, 1, size[0] * size[1]), dropout=0.0)
        assert len(groups.layers) == count
        x = torch.randn(2, 3, *size)
        got = groups(x)
        assert got.shape == (2, size[0] * size[1], 8)
        for i, j in ((0, 0), (3, 4), (4, 3), (size[0] - 1, size[1] - 1)):
            layer = groups.layers[i // 4 * -(-size[1] // 4) + j // 4]
            torch.testing.assert_close(got[:, i * size[1] + j], layer(x[:, :, i, j]))


def test_cakd_with_everything_replaced_leaves_only_the_values_products() -> None:
    triple = tuple(torch.randn(2, 5, 4) for _ in range(3))
    other = tuple(torch.randn(2, 5, 4) for _ in range(3))
    none = torch.zeros(2, 5, 4, dtype=torch.bool)
    value = cakd_loss(triple, other, kept=(none, none, none))
    product = (triple[2] @ triple[2].transpose(1, 2) - other[2] @ other[2].transpose(1, 2)) / 2
    torch.testing.assert_close(value, product.square().mean((1, 2)))


def test_methods_on_maps_refuse_vectors_and_name_the_side() -> None:
    s = student_outputs()
    vector = Outputs(s.logits, s.embedding, (Feature(torch.randn(ROWS, 9), "vector"),))
    for name in MAPS:
        with pytest.raises(AlambicError, match="teacher"):
            build(name, s, vector)
        with pytest.raises(AlambicError, match="student"):
            build(name, vector, s)
    with pytest.raises(AlambicError, match="no stage"):
        check_grids("x", OutputSpec(5, 3), OutputSpec.of(s))
