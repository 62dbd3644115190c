"""Tiny real networks for the contract suites, read through ``Tapped``, and the pairs made of them.

Teachers come in the forms that the field has: a CNN (``map``), a timm ViT with class and register tokens (``tokens``),
a channels-last network (``nhwc``), an MLP without maps (``vector``), a black box that gives logits only (``logits``).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache

import torch
from timm.models.vision_transformer import VisionTransformer
from torch import Tensor, nn

from alambic.errors import AlambicError
from alambic.methods.base import Batch, Method, Specs
from alambic.models.feature import Outputs, OutputSpec
from alambic.models.taps import Tapped

FORMS = ("map", "tokens", "nhwc", "vector", "logits")
BATCH = 10
STUDENT_SIZE, TEACHER_SIZE = 16, 32
OTHER_CLASSES = 7


def conv_block(inputs: int, outputs: int, stride: int) -> nn.Sequential:
    conv = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
    return nn.Sequential(conv, nn.BatchNorm2d(outputs), nn.ReLU())


class TinyCNN(nn.Module):
    """Four blocks; maps of 1, 1/2, 1/2, 1/4 of the input's side after a stem of stride ``stem``."""

    def __init__(self, channels: int, classes: int, width: int = 4, stem: int = 2) -> None:
        super().__init__()
        widths = [width, width * 2, width * 3, width * 4]
        strides = [stem, 2, 1, 2]
        self.blocks = nn.Sequential(
            *[conv_block(i, o, stride) for i, o, stride in zip([channels, *widths], widths, strides, strict=False)]
        )
        self.head = nn.Linear(widths[-1], classes)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.blocks(x).mean((2, 3)))


class NhwcBlock(nn.Module):
    """Channels-last mixing: LayerNorm and linear layers, as in Swin or ConvNeXt."""

    def __init__(self, inputs: int, outputs: int, merge: bool) -> None:
        super().__init__()
        self.merge = merge
        self.norm = nn.LayerNorm(inputs * (4 if merge else 1))
        self.mix = nn.Linear(inputs * (4 if merge else 1), outputs)

    def forward(self, x: Tensor) -> Tensor:
        if self.merge:
            x = torch.cat([x[:, i::2, j::2] for i in (0, 1) for j in (0, 1)], -1)
        return torch.nn.functional.gelu(self.mix(self.norm(x)))


class TinyNhwc(nn.Module):
    def __init__(self, classes: int) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 12, 4, 4)
        self.blocks = nn.Sequential(
            NhwcBlock(12, 12, False), NhwcBlock(12, 20, True), NhwcBlock(20, 20, False), NhwcBlock(20, 28, True)
        )
        self.head = nn.Linear(28, classes)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.blocks(self.stem(x).permute(0, 2, 3, 1)).mean((1, 2)))


class TinyMLP(nn.Module):
    def __init__(self, classes: int) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.AvgPool2d(4), nn.Flatten(), nn.Linear(192, 26), nn.GELU())
        self.head = nn.Linear(26, classes)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.body(x))


def make_teacher(form: str, classes: int) -> nn.Module:
    if form == "map":
        return TinyCNN(3, classes, width=6)
    if form == "tokens":
        return VisionTransformer(
            img_size=TEACHER_SIZE, patch_size=8, embed_dim=24, depth=4, num_heads=2, reg_tokens=2, num_classes=classes
        )
    return TinyNhwc(classes) if form == "nhwc" else TinyMLP(classes)


def read_all(net: nn.Module, images: Tensor, only_logits: bool = False) -> tuple[Outputs, OutputSpec]:
    """Every quantity that the network has, with its spec."""
    want = {"logits"} if only_logits else {"logits", "embedding", "stages", "energy", "head"}
    try:
        tapped = Tapped(net, images[:2], want)
    except AlambicError:
        tapped = Tapped(net, images[:2], want - {"stages", "energy"})
    outputs = tapped(images)
    return outputs, OutputSpec.of(outputs)


@dataclass(frozen=True)
class Pair:
    """A student and a teacher with their outputs for one batch (detached, fp32) and a second view of it."""

    form: str
    student: nn.Module
    teacher: nn.Module
    images: tuple[Tensor, Tensor]
    s: Outputs
    t: Outputs
    batch: Batch
    specs: Specs


@cache
def make_pair(form: str = "map", channels: int = 3, classes: int = 5, teacher_classes: int | None = None) -> Pair:
    """Shared by the whole session: treat as read-only. ``classes`` 1 is a one-logit task."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        student, teacher = TinyCNN(channels, classes, stem=1), make_teacher(form, teacher_classes or classes).eval()
        small = torch.randn(BATCH, channels, STUDENT_SIZE, STUDENT_SIZE)
        large = torch.randn(BATCH, 3, TEACHER_SIZE, TEACHER_SIZE)
        noise = (small + torch.randn_like(small), large + torch.randn_like(large))
        # logits of a trained network spread over units; a fresh head gives almost constant ones
        for head in (student.head, teacher.head):
            nn.init.normal_(head.weight, std=2.0)
        labels = torch.randint(max(classes, 2), (BATCH,))
    with torch.no_grad():
        (s, s_spec), (s2, _) = read_all(student, small), read_all(student, noise[0])
        black = form == "logits"
        (t, t_spec), (t2, _) = read_all(teacher, large, black), read_all(teacher, noise[1], black)
    s, s2, t, t2 = detach(s), detach(s2), detach(t), detach(t2)
    means = None
    if t_spec.embedding is not None:
        means = torch.randn(classes, t_spec.embedding, generator=torch.Generator().manual_seed(2))
    labels = labels.float() if classes == 1 else labels
    batch = Batch(labels, torch.arange(BATCH) * 3 + 1, second=(s2, t2))
    specs = Specs(s_spec, t_spec, classes, train_size=BATCH, id_count=3 * BATCH + 2, class_means=means)
    return Pair(form, student, teacher, (small, large), s, t, batch, specs)


def map_outputs(outputs: Outputs, change: object) -> Outputs:
    """Outputs with ``change`` applied to every tensor."""

    def apply(x: Tensor | None) -> Tensor | None:
        return None if x is None else change(x)  # type: ignore[operator]

    head = outputs.head
    return Outputs(
        apply(outputs.logits),
        apply(outputs.embedding),
        tuple(replace(stage, tensor=apply(stage.tensor)) for stage in outputs.stages),
        tuple(apply(energy) for energy in outputs.energy),
        None if head is None else replace(head, weight=apply(head.weight), bias=apply(head.bias)),
    )


def map_batch(batch: Batch, change: object) -> Batch:
    """A batch with ``change`` applied to every tensor (of the second view too)."""
    values = {
        name: None if getattr(batch, name) is None else change(getattr(batch, name))  # type: ignore[operator]
        for name in ("labels", "ids", "partner", "lam", "views")
    }
    second = None if batch.second is None else tuple(map_outputs(o, change) for o in batch.second)
    return Batch(**values, second=second)


def detach(outputs: Outputs) -> Outputs:
    return map_outputs(outputs, lambda x: x.detach().clone())


def pick(outputs: Outputs, names: frozenset[str]) -> Outputs:
    """Only the named quantities, as the engine supplies them."""
    return Outputs(**{name: getattr(outputs, name) for name in names})


def needed(pair: Pair, method: Method) -> tuple[Outputs, Outputs, Batch]:
    """What the engine would hand to a method for this pair: the declared quantities and nothing else."""
    needs = method.needs
    s, t = pick(pair.s, needs.student), pick(pair.t, needs.teacher)
    second = None
    if needs.views == 2 and pair.batch.second is not None:
        second = pick(pair.batch.second[0], needs.student), pick(pair.batch.second[1], needs.teacher)
    return s, t, replace(pair.batch, ids=pair.batch.ids if needs.ids else None, second=second)


def tensors_of(outputs: Outputs) -> dict[str, list[Tensor]]:
    """Tensors of each quantity."""
    found: dict[str, list[Tensor]] = {
        "logits": [outputs.logits] if outputs.logits is not None else [],
        "embedding": [outputs.embedding] if outputs.embedding is not None else [],
        "stages": [stage.tensor for stage in outputs.stages],
        "energy": list(outputs.energy),
        "head": [outputs.head.weight, outputs.head.bias] if outputs.head is not None else [],
    }
    return {name: values for name, values in found.items() if values}
