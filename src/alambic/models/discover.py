"""Finds, by running one example, where a network's blocks, classifier and embedding are.

Blocks are the members of the network's containers (``nn.Sequential``, ``nn.ModuleList``); bare layers between them are
grouped: a normalisation or activation belongs to the layer before it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from alambic.errors import AlambicError
from alambic.models.example import find_turned, run_example, vary
from alambic.models.feature import Feature, square_grid, stage_indices

Layout = tuple[Literal["nchw", "nhwc", "tokens"], int, tuple[int, int] | None]
CONTAINERS = (nn.Sequential, nn.ModuleList, nn.ModuleDict)
WEIGHTED = (nn.Conv1d, nn.Conv2d, nn.Linear, nn.MultiheadAttention)


@dataclass(frozen=True)
class Anatomy:
    """Module names.

    Attributes:
        stages: shallow to deep.
        heads: linear layers that end the network; one is its classifier, several (a distilled DeiT) are averaged
            by the network. conv_head: the convolution that classifies where no linear layer does, "" where none does;
            without either the embedding is the pooled last stage.
        layouts: of each stage.
    """

    stages: tuple[str, ...]
    heads: tuple[str, ...]
    layouts: dict[str, Layout]
    conv_head: str = ""

    @property
    def ends(self) -> tuple[str, ...]:
        """Modules whose input is the embedding."""
        return (*self.heads, self.conv_head) if self.conv_head else self.heads


def is_linear(head: nn.Module, embedding: Tensor, logits: Tensor) -> bool:
    """Whether a linear layer's weight and bias, which methods read, give its output: one with a forward of its own may
    compute something else."""
    if type(head).forward is nn.Linear.forward:
        return True
    assert isinstance(head, nn.Linear)
    found = F.linear(embedding, head.weight, head.bias)
    return found.shape == logits.shape and torch.allclose(found, logits, atol=1e-4, rtol=1e-4)


def dissect(net: nn.Module, example: Tensor, stages: tuple[str, ...] | None, label: str) -> Anatomy:
    """Runs the example with hooks everywhere, as a rule once.

    What is read as a stage has the batch as its first axis. Where a second axis is as long (as many tokens as images,
    or channels), one image more is run, and only what became longer with it is read: a sequence-first transformer's
    blocks (tokens x images x width) never are, whatever the batch.

    Raises AlambicError when the network does not run on the example.
    """
    outputs: dict[str, Tensor] = {}
    inputs: dict[str, Tensor] = {}
    order: list[str] = []
    example = vary(example)

    def watch(name: str) -> Any:
        def hook(module: nn.Module, args: Any, output: Any) -> None:
            if isinstance(output, Tensor):
                outputs[name] = output.detach()
                order.append(name)
                if isinstance(module, nn.Linear) and args and args[0].shape[1:] == module.weight.shape[1:]:
                    inputs[name] = args[0].detach().clone()

        return hook

    logits = run_example(net, example, {name: watch(name) for name, _ in net.named_modules()}, label)
    for name in find_turned(net, example, outputs, label):
        turned = tuple(outputs.pop(name).shape)
        order = [other for other in order if other != name]
        if name in (stages or ()):
            raise AlambicError(
                f"{label}: expected images as the first axis at tap {name!r}, got {turned}, whose first axis does not "
                "grow with the batch, as in a sequence-first transformer; try batch_first=True, or another module"
            )
    modules = dict(net.named_modules())
    heads = _find_heads(modules, inputs, outputs, logits)
    conv_head = "" if heads else _find_conv_head(modules, outputs, order, logits)
    if stages is None:
        found = find_blocks(net, outputs, order, len(example))
        if conv_head:  # the classifier and what follows it, or holds it, is no block
            found = [name for name in found if order.index(name) < order.index(conv_head)]
        stages = tuple(found[i] for i in stage_indices(len(found))) if found else ()
    else:
        for name in stages:
            if not _spatial(outputs.get(name), len(example)):
                got = tuple(outputs[name].shape) if name in outputs else "no single tensor"
                raise AlambicError(f"{label}: expected a map or tokens at tap {name!r}, got {got}; try another module")
    grid = _first_grid(outputs, order)
    shaped = {name: modules[_shaped_by(name, modules, outputs, order)] for name in stages}
    layouts = {name: find_layout(shaped[name], outputs[name], grid) for name in stages}
    return Anatomy(stages, heads, layouts, conv_head)


def _shaped_by(name: str, modules: dict[str, nn.Module], outputs: dict[str, Tensor], order: list[str]) -> str:
    """The module whose widths tell the layout of a stage: of an activation the last layer before it with any."""
    before = order[: order.index(name) + 1]
    same = (other for other in reversed(before) if outputs[other].shape == outputs[name].shape)
    return next((other for other in same if any(True for _ in modules[other].parameters())), name)


def find_blocks(net: nn.Module, outputs: dict[str, Tensor], order: list[str], batch: int) -> list[str]:
    """Names of the blocks with a spatial output, in call order, grouped as this module's docstring says."""
    best: list[str] = []
    for deep in (True, False):  # trunks of composite blocks first; plain trunks when that finds too few
        names = _block_names(net, outputs, order, deep)
        best = [name for name in names if _spatial(outputs.get(name), batch)]
        if len(best) > 2:
            break
    return best


def _block_names(net: nn.Module, outputs: dict[str, Tensor], order: list[str], deep: bool) -> list[str]:
    called = {name: i for i, name in enumerate(order)}
    blocks: list[str] = []

    def visit(module: nn.Module, prefix: str) -> None:
        pending: str | None = None
        for name, child in module.named_children():
            full = f"{prefix}{name}"
            leaf = not list(child.children())
            if not leaf and (isinstance(child, CONTAINERS) or _holds_trunk(child, deep)):
                blocks.extend([pending] if pending else [])
                pending = None
                visit(child, f"{full}.")
            elif any(True for _ in child.parameters()) and (not leaf or isinstance(child, WEIGHTED)):
                blocks.extend([pending] if pending else [])
                pending = full if full in called else None
            elif pending and leaf and full in called and outputs[full].shape == outputs[pending].shape:
                pending = full  # a normalisation or activation ends the layer before it
        blocks.extend([pending] if pending else [])

    if isinstance(net, nn.parallel.DistributedDataParallel):
        visit(net.get_submodule("module"), "module.")
    else:
        visit(net, "")
    return sorted(dict.fromkeys(blocks), key=lambda name: called[name])


def _holds_trunk(module: nn.Module, deep: bool) -> bool:
    """Whether a module is a trunk rather than a block: it holds a container of at least two composite members.

    ``deep``: their members must be composite too, which tells a transformer's encoder from an inverted residual.
    """

    def composite(item: nn.Module) -> bool:
        children = list(item.children())
        return any(list(child.children()) for child in children) if deep else bool(children)

    return any(
        isinstance(inner, CONTAINERS) and sum(composite(item) for item in inner.children()) >= 2
        for inner in module.modules()
        if inner is not module
    )


def _spatial(tensor: Tensor | None, batch: int) -> bool:
    if tensor is None or tensor.shape[0] != batch:
        return False
    return tensor.ndim == 4 or (tensor.ndim == 3 and tensor.shape[1] > 1)


def _first_grid(outputs: dict[str, Tensor], order: list[str]) -> tuple[int, int] | None:
    """The last convolutional grid before the first token tensor: the patch grid of a transformer."""
    grid = None
    for name in order:
        tensor = outputs[name]
        if tensor.ndim == 4:
            grid = int(tensor.shape[2]), int(tensor.shape[3])
        elif tensor.ndim == 3:
            return grid
    return grid


def find_layout(module: nn.Module, tensor: Tensor, grid: tuple[int, int] | None) -> Layout:
    """How a block's output is laid out: channels first or last (4-d), or tokens with a prefix and a grid (3-d)."""
    if tensor.ndim == 3:
        count = int(tensor.shape[1])
        if grid is not None and 0 <= count - grid[0] * grid[1] <= 8:
            return "tokens", count - grid[0] * grid[1], grid
        for prefix in range(3):
            square = square_grid(count - prefix)
            if square is not None:
                return "tokens", prefix, square
        return "tokens", 0, None
    first, last = int(tensor.shape[1]), int(tensor.shape[3])
    widths_first = {m.num_features for m in module.modules() if isinstance(m, nn.BatchNorm2d | nn.InstanceNorm2d)}
    widths_first |= {m.out_channels for m in module.modules() if isinstance(m, nn.Conv2d)}
    widths_last = {m.normalized_shape[-1] for m in module.modules() if isinstance(m, nn.LayerNorm)}
    widths_last |= {m.out_features for m in module.modules() if isinstance(m, nn.Linear)}
    if last in widths_last and first not in widths_first:
        return "nhwc", 0, None
    if first in widths_first and last not in widths_last:
        return "nchw", 0, None
    square_last = tensor.shape[1] == tensor.shape[2] != tensor.shape[3]
    return ("nhwc" if square_last else "nchw"), 0, None


def feature_of(tensor: Tensor, name: str, layout: Layout) -> Feature:
    """A caught tensor as a Feature; channels-last maps are turned."""
    kind, prefix, grid = layout
    if kind == "tokens":
        return Feature(tensor, "tokens", prefix, grid, name)
    return Feature(tensor.permute(0, 3, 1, 2) if kind == "nhwc" else tensor, "map", name=name)


def _find_conv_head(modules: dict[str, nn.Module], outputs: dict[str, Tensor], order: list[str], logits: Tensor) -> str:
    """The last convolution of a network whose scores are a pooled map of its width, through an activation or not."""
    for place, name in reversed(list(enumerate(order))):
        seen = outputs[name]
        if seen.ndim != 4 or seen.shape[:2] != logits.shape:
            continue
        if not torch.allclose(seen.mean((2, 3)), logits.detach(), atol=1e-5, rtol=1e-4):
            continue
        before = (other for other in reversed(order[: place + 1]) if isinstance(modules[other], nn.Conv2d))
        conv = next(before, "")
        return conv if conv and outputs[conv].shape[:2] == logits.shape else ""
    return ""


def _find_heads(
    modules: dict[str, nn.Module], inputs: dict[str, Tensor], outputs: dict[str, Tensor], logits: Tensor
) -> tuple[str, ...]:
    """Linear layers (``inputs``: of each, in call order) whose output is the network's, or several whose mean it is."""
    ends = [name for name in inputs if outputs[name].shape == logits.shape]
    ends = [name for name in ends if is_linear(modules[name], inputs[name], outputs[name])]
    for name in reversed(ends):
        if torch.equal(outputs[name], logits.detach()):
            return (name,)
    pair = ends[-2:]
    if len(pair) == 2 and torch.allclose((outputs[pair[0]] + outputs[pair[1]]) / 2, logits.detach(), atol=1e-5):
        return tuple(pair)
    return ()
