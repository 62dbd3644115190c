"""NetAug: a wider student that shares the small one's weights helps it to learn, and is thrown away."""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn
from torch.func import functional_call

from alambic.errors import AlambicError
from alambic.methods.base import Paper
from alambic.training.hooks import Inputs, descend, judge
from alambic.training.loop import Run
from alambic.treatments.base import Scene, Treatment


def widen(net: nn.Module, images: Tensor, factor: float) -> nn.Module:
    """A copy of a convolutional network with ``factor`` times the hidden channels, fresh weights.

    Every count of channels c becomes round(c factor), but for the image's channels and the network's output, so that
    sums of branches still fit.

    Args:
        images: an example batch, which tells the first and the last layer.
    """
    order: list[str] = []
    names = {module: name for name, module in net.named_modules() if isinstance(module, nn.Conv2d | nn.Linear)}
    handles = [module.register_forward_pre_hook(lambda m, _: order.append(names[m])) for module in names]
    training = net.training
    try:
        with torch.no_grad():
            net.eval()(images)
    finally:
        net.train(training)
        for handle in handles:
            handle.remove()
    wide = copy.deepcopy(net)
    for name, module in list(wide.named_modules()):
        grown = _grow(module, factor, name == order[0], name == order[-1])
        if grown is not None:
            parent, _, child = name.rpartition(".")
            setattr(wide.get_submodule(parent), child, grown)
    return wide


def _grow(module: nn.Module, factor: float, first: bool, last: bool) -> nn.Module | None:
    def more(channels: int, fixed: bool = False) -> int:
        return channels if fixed else round(channels * factor)

    if isinstance(module, nn.Conv2d):
        depthwise = module.groups > 1
        if depthwise and not module.groups == module.in_channels == module.out_channels:
            raise AlambicError(
                f"expected plain or depthwise convolutions, got {module.groups} groups of {module.in_channels} "
                "channels, because wider groups would mix other channels; try a student without grouped convolutions"
            )
        outputs = more(module.out_channels, last)
        inputs = more(module.in_channels, first)
        return nn.Conv2d(
            inputs,
            outputs,
            module.kernel_size,  # type: ignore[arg-type]
            module.stride,  # type: ignore[arg-type]
            module.padding,  # type: ignore[arg-type]
            module.dilation,  # type: ignore[arg-type]
            inputs if depthwise else 1,
            module.bias is not None,
        )
    if isinstance(module, nn.Linear):
        return nn.Linear(more(module.in_features, first), more(module.out_features, last), module.bias is not None)
    if isinstance(module, nn.BatchNorm2d | nn.BatchNorm1d):
        return type(module)(more(module.num_features), module.eps, module.momentum, module.affine)
    return None


def block_of(wide: Tensor, shape: torch.Size) -> tuple[slice, ...]:
    """Where a tensor of a smaller shape lies in a wider one: at the front of each dimension."""
    return tuple(slice(0, size) for size in shape)


class WideStudent(Treatment):
    """Network Augmentation for Tiny Deep Learning, Cai et al., ICLR 2022: width augmentation.

    The student's weights are the leading block of wider networks; at each step one of them, drawn at random, learns
    the labels too, and its gradient reaches the student's weights. A tiny network underfits: width during training is
    what it lacks. The wide networks have BatchNorm statistics of their own, so the student's are left alone.
    """

    paper = Paper(
        "Network Augmentation for Tiny Deep Learning",
        "Cai, Gan, Lin, Han",
        "ICLR",
        2022,
        "2110.08890",
        "mit-han-lab/tinyml",
    )
    formula = "L = L_arm(W) + alpha CE([W, W_aug]), the augmentation's width drawn at each step"
    fidelity = "B"
    differences = (
        "one width for the whole network a step, where the authors draw one per block; the wider weights start at "
        "torch's defaults; after ``until`` plain steps follow; the authors smooth labels by .1"
    )
    components = (
        ("width augmentation", True),
        ("expansion augmentation", False),
        ("channels sorted by importance each epoch", False),
    )
    evidence = "ImageNet: MobileNetV2-Tiny 53.3, MCUNet 62.7, ProxylessNAS w0.35 60.8 [R]; up to +2.2 [A]"
    kind = "student"

    factors: tuple[float, ...] = (1.8, 2.6)
    alpha: float = 1.0
    until: float = 0.5

    def attach(self, run: Run, scene: Scene) -> None:
        if not self.factors or min(self.factors) <= 1 or not 0 < self.until <= 1:
            raise AlambicError(
                f"treatment 'wide_student' expected factors above 1 and until in (0, 1], got {self.factors} and "
                f"{self.until}"
            )
        student, images = run.student, torch.rand(2, run.normalise.mean.shape[1], *run.size)
        ordered = sorted(self.factors)
        self.shapes = nn.ModuleList([widen(student, images, factor) for factor in ordered])
        for module in self.shapes[:-1]:
            module.requires_grad_(False)  # their weights are slices of the widest's: only their statistics are theirs
        self._check(student, images)

    def weights_of(self, student: nn.Module, index: int) -> dict[str, Tensor]:
        """Parameters of the ``index``-th wide network: the widest's, with the student's as leading block."""
        own, found = dict(student.named_parameters()), {}
        target = dict(self.shapes[index].named_parameters())
        for name, full in self.shapes[-1].named_parameters():
            small = own[name]
            whole = full.clone()
            whole[block_of(full, small.shape)] = small
            found[name] = whole[block_of(full, target[name].shape)]
        return found

    def _check(self, student: nn.Module, images: Tensor) -> None:
        """Wide networks with nothing beyond the student's block must compute what the student computes."""
        was = student.training
        with torch.no_grad():
            expected = student.eval()(images)
            for i, module in enumerate(self.shapes):
                weights: dict[str, Tensor] = {
                    name: torch.zeros(value.shape) for name, value in module.named_parameters()
                }
                for name, value in student.named_parameters():
                    weights[name][block_of(weights[name], value.shape)] = value
                buffers = {name: value.clone() for name, value in module.named_buffers()}
                for name, held in student.named_buffers():
                    buffers[name][block_of(buffers[name], held.shape)] = held
                whole = {**weights, **buffers}
                same = torch.allclose(functional_call(module.eval(), whole, (images,)), expected, atol=1e-4)
                module.train()
                if not same:
                    raise AlambicError(
                        f"treatment 'wide_student' expected a student that its wider copy (factor "
                        f"{sorted(self.factors)[i]}) contains, got one whose copy computes something else, because "
                        "channels move between its layers (a flattened map, a concatenation); try a student of the zoo"
                    )
        student.train(was)

    def step(self, run: Run, given: Inputs, progress: float, optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
        loss = judge(run, given, progress)
        parts = {name: value.detach() for name, value in loss.parts.items()}
        total = loss.total
        if progress < self.until:
            index = int(torch.randint(len(self.shapes), ()))  # torch's CPU generator: no wait for a device
            weights = self.weights_of(run.student, index)
            with torch.autocast(run.device.type, torch.bfloat16, enabled=run.recipe.precision == "bf16"):
                logits = functional_call(self.shapes[index], weights, (given.images,))
            batch = given.batch
            wide = self.alpha * run.objective.task.loss(logits.float(), batch.labels, batch.partner, batch.lam).mean()
            total = total + wide
            parts["wide"] = wide.detach()
        descend(run, total, optimizer)
        return parts
