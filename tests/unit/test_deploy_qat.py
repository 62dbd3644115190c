"""QAT rounds where the artefact rounds, trains, leaves no trace, and lets any distillation method tap as before."""

from __future__ import annotations

import copy
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from deploy_nets import make_stripes, settle_student, train_stripes
from torch import Tensor, nn

import alambic
from alambic.deploy.qat import ROUNDER, fold_norms, insert_qat, remove_qat
from alambic.deploy.rounding import Range, RoundedWeight
from alambic.errors import AlambicError
from alambic.models.students import create_student


class Functional(nn.Module):
    """Functions instead of modules, an activation in place, a branch, a concatenation, pooling, one shared norm."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.norm = nn.Conv2d(1, 8, 3, padding=1), nn.BatchNorm2d(8)
        self.left, self.right = nn.Conv2d(8, 8, 3, padding=1), nn.Conv2d(8, 8, 1)
        self.act, self.head = nn.ReLU(inplace=True), nn.Linear(16, 4)

    def forward(self, images: Tensor) -> Tensor:
        maps = self.act(self.norm(self.first(images)))
        maps = F.avg_pool2d(maps, 2)
        both = torch.cat([F.relu(self.left(maps) + maps), self.right(maps)], 1)
        return self.head(both.mean((2, 3)))


def settle(net: nn.Module, images: Tensor) -> nn.Module:
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.uniform_(module.bias, -0.5, 0.5)
    with torch.no_grad():
        net.train()(images)
    return net.eval()


@pytest.mark.parametrize("name", ["dscnn_24x3", "resnet8_w8", "mcunetish_64", "lowrank_resnet_64"])
def test_folding_changes_nothing_but_the_norms(name: str) -> None:
    net, shape = settle_student(name)
    images = torch.randn(3, *shape)
    with torch.no_grad():
        expected = net(images)
    norms = sum(isinstance(module, nn.BatchNorm2d) for module in net.modules())
    names = [key for key, _ in net.named_modules()]
    assert fold_norms(net, images) == norms > 0
    assert [key for key, _ in net.named_modules()] == names
    assert not any(isinstance(module, nn.BatchNorm2d) for module in net.modules())
    with torch.no_grad():
        torch.testing.assert_close(net(images), expected, atol=1e-4, rtol=1e-4)


def test_a_norm_is_left_where_something_else_reads_the_convolution() -> None:
    class Shared(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv, self.norm = nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4)

        def forward(self, images: Tensor) -> Tensor:
            maps = self.conv(images)
            return (maps + self.norm(maps)).mean((2, 3))

    images = torch.randn(4, 1, 8, 8)
    net = settle(Shared(), images)
    with torch.no_grad():
        expected = net(images)
        assert fold_norms(net, images) == 0
        torch.testing.assert_close(net(images), expected)


@pytest.mark.parametrize("per_channel", [True, False])
@pytest.mark.parametrize("make", [lambda: create_student("resnet8_w8", 1, 16, 4), Functional, lambda: train_stripes()])
def test_rounding_stands_where_the_artefact_rounds(make: type, per_channel: bool, tmp_path: Path) -> None:
    """With ranges of one and the same batch, the network in QAT and the int8 file answer alike, to a step or two."""
    pytest.importorskip("onnxruntime")
    from alambic.deploy.int8 import quantize_student
    from alambic.deploy.measure import predict_onnx
    from alambic.deploy.read import read_graph

    torch.manual_seed(0)
    images = make_stripes(64, 3)[0]
    net = settle(copy.deepcopy(make()), images)
    insert_qat(net, images, per_channel=per_channel)
    with torch.no_grad():
        rounded = net.eval()(images).numpy()
    remove_qat(net)
    with torch.no_grad():
        plain = net(images).numpy()
    done = quantize_student(net, images, (1, 16, 16), tmp_path, per_channel)
    graph = read_graph(done.onnx_int8)
    step = float(graph.tensors[graph.output].scale[0])
    steps = abs(rounded - predict_onnx(done.onnx_int8, images.numpy())) / step
    assert abs(steps - steps.round()).max() < 0.01  # one grid; fp32 sums may fall on the other side of a tie
    assert steps.max() < 2.5
    assert (steps < 0.5).mean() > 0.6
    assert (abs(plain - rounded) / step).max() > 0.2  # not trivially equal: the float network lies off the grid


def test_training_on_rounded_weights_recovers_what_rounding_lost() -> None:
    torch.manual_seed(0)
    images, labels = make_stripes(1024, 0)
    unseen, truth = make_stripes(500, 1)
    net = copy.deepcopy(train_stripes())
    insert_qat(net, images[:128], weight_bits=2)

    def score() -> float:
        net.eval()
        with torch.no_grad():
            return float((net(unseen).argmax(1) == truth).float().mean())

    before = score()
    optimizer = torch.optim.SGD(net.parameters(), 0.01, momentum=0.9)
    net.train()
    for step in range(40):
        batch = slice(step * 64 % 1024, step * 64 % 1024 + 64)
        loss = F.cross_entropy(net(images[batch]), labels[batch])
        optimizer.zero_grad()
        loss.backward()
        assert all(item.grad is not None and item.grad.abs().sum() > 0 for item in net.parameters())
        optimizer.step()
    assert before < 0.9
    assert score() > 0.98


def test_nothing_is_left_when_it_is_removed() -> None:
    images = make_stripes(16, 0)[0]
    folded = copy.deepcopy(train_stripes())
    fold_norms(folded, images)
    net = copy.deepcopy(train_stripes())
    insert_qat(net, images)
    with pytest.raises(AlambicError, match="got one in QAT; try remove_qat"):
        insert_qat(net, images)
    remove_qat(net)
    assert list(net.state_dict()) == list(folded.state_dict())
    assert all(torch.equal(a, b) for a, b in zip(net.state_dict().values(), folded.state_dict().values(), strict=True))
    assert not net._forward_hooks
    assert not net._forward_pre_hooks
    assert [type(module) for module in net.modules()] == [type(module) for module in folded.modules()]
    assert torch.equal(net(images), folded(images))
    with pytest.raises(AlambicError, match="got a plain one; try insert_qat"):
        remove_qat(net)


def test_ranges_follow_training_batches_only() -> None:
    net = copy.deepcopy(train_stripes())
    insert_qat(net, make_stripes(16, 0)[0])
    first = net.get_submodule(ROUNDER).get_submodule("ranges.0")
    assert isinstance(first, Range)
    high = first.high.item()
    net.eval()(torch.full((2, 1, 16, 16), 100.0))
    assert first.high.item() == high
    net.train()(torch.full((2, 1, 16, 16), 100.0))
    assert first.high.item() == pytest.approx(high + 0.05 * (100 - high))


@pytest.mark.parametrize("bits", [2, 4, 8])
def test_grids_have_their_levels(bits: int) -> None:
    torch.manual_seed(0)
    weight = torch.randn(3, 500)
    rounded = RoundedWeight(bits)(weight)
    for row, source in zip(rounded, weight, strict=True):
        step = source.abs().max() / (2 ** (bits - 1) - 1)
        torch.testing.assert_close(row, (source / step).round() * step, atol=1e-5, rtol=1e-5)
    values = torch.linspace(-1, 3, 999)
    ranged = Range(bits)
    ranged.follow(values)
    found = ranged(values)
    assert len(found.unique()) <= 2**bits
    assert (found == 0).any()
    assert abs(found - values).max() <= 0.51 * 4 / (2**bits - 1) * 1.5


def test_a_failing_pass_does_not_leave_rounding_on() -> None:
    net = copy.deepcopy(train_stripes())
    images = make_stripes(8, 0)[0]
    insert_qat(net, images)
    expected = net.eval()(images)
    with pytest.raises(RuntimeError):
        net(torch.randn(2, 3, 16, 16))
    assert torch.equal(torch.relu(torch.tensor([0.123456])), torch.tensor([0.123456]))
    assert torch.equal(net(images), expected)
    assert torch.equal(copy.deepcopy(net)(images), expected)


def test_a_path_that_depends_on_the_mode_is_named() -> None:
    class TwoPaths(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv2d(1, 4, 3)

        def forward(self, images: Tensor) -> Tensor:
            maps = self.conv(images)
            return (F.relu(maps) if self.training else maps).mean((2, 3))

    net = TwoPaths()
    insert_qat(net, torch.randn(2, 1, 8, 8))
    with pytest.raises(AlambicError, match="expected 2 computing calls in a forward pass, got 3"):
        net.train()(torch.randn(2, 1, 8, 8))
    with pytest.raises(AlambicError, match="expected 2 to 8 bits, got 1"):
        insert_qat(TwoPaths(), torch.randn(2, 1, 8, 8), weight_bits=1)


@pytest.mark.parametrize("method", ["kd", "fitnet"])
def test_any_method_distils_into_a_network_in_qat(method: str) -> None:
    """Taps see rounded maps: each channel's values lie on one grid of 256 levels."""
    torch.manual_seed(0)
    images, labels = make_stripes(16, 0)
    student = copy.deepcopy(train_stripes())
    insert_qat(student, images)
    seen: list[Tensor] = []
    student.get_submodule("blocks.1").register_forward_hook(lambda module, args, output: seen.append(output.detach()))
    distiller = alambic.Distiller(student, create_student("resnet8_w8", 1, 16, 4), method, example_input=images)
    loss = distiller(images, labels)
    loss.backward()
    assert torch.isfinite(torch.as_tensor(float(loss)))
    assert len(seen[-1].unique()) <= 256
    assert all(item.grad is not None for item in student.parameters())


def test_ranges_and_weights_follow_to_another_precision() -> None:
    net = copy.deepcopy(train_stripes())
    images = make_stripes(8, 0)[0]
    insert_qat(net, images)
    with torch.autocast("cpu", torch.bfloat16):
        logits = net(images)
    assert torch.isfinite(logits).all()
    np.testing.assert_array_equal(logits.argmax(1).numpy(), net(images).argmax(1).numpy())
