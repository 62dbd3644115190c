"""Runs a network once on an example: what it needs to run, and which of its outputs follow the batch."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from alambic.errors import AlambicError


def vary(example: Tensor) -> Tensor:
    """The example, or noise of a fixed seed in its place where all its values are one.

    A fresh network with normalisation answers a blank image with zeros everywhere, so that each of its layers would
    pass for the one that ends it.
    """
    if bool((example != example.flatten()[0]).any()):
        return example
    return torch.randn(example.shape, generator=torch.Generator().manual_seed(0)).to(example)


def run_example(net: nn.Module, example: Tensor, hooks: dict[str, Any], label: str) -> Tensor:
    """The scores that a network gives, hooks (by module name) called on the way.

    Raises AlambicError where it fails, telling shape, device or type, and where it gives anything but a tensor; an
    accelerator out of memory is torch's own error still.
    """
    handles = [net.get_submodule(name).register_forward_hook(hook) for name, hook in hooks.items() if name]
    try:
        scores = net(example)
    except (AlambicError, torch.OutOfMemoryError):
        raise
    except Exception as error:  # timm refuses a wrong size by an assertion; a user's own code may raise anything
        where = " (teacher_size and teacher_norm of a Distiller; size, mean and std in a study file)"
        way = f"the size and the channel count that it was made for{where if label.startswith('teacher') else ''}"
        raise AlambicError(
            f"{label}: expected a network that runs on images of shape {tuple(example.shape)}, but it failed: {error}; "
            f"{_tell_place(net, example) or 'try ' + way}"
        ) from error
    finally:
        for handle in handles:
            handle.remove()
    if not isinstance(scores, Tensor):
        raise AlambicError(f"{label}: expected one tensor of class scores, got {_tell_answer(scores)}")
    return scores


def _tell_answer(answer: Any) -> str:
    """What a network returned that is no tensor, why that is no answer, and how to pick the scores out of it."""
    kind, way = type(answer).__name__, "a module whose forward returns the scores alone"
    if isinstance(answer, dict):
        names = [str(name) for name in answer]
        kind += f" with {', '.join(names[:5])}"
        way = (
            f"a module whose forward returns net(images)[{next(iter(answer), 'logits')!r}], or whatever the scores are"
        )
    elif isinstance(answer, (tuple, list)):
        kind += f" of {len(answer)}"
        way = "a module whose forward returns net(images)[0], or whichever the scores are"
    return f"{kind}, because its forward returns more than that, and which of it are the scores is unknown; try {way}"


def _tell_place(net: nn.Module, example: Tensor) -> str:
    """Where weights lie elsewhere than the images, or have another type, and what to do; "" where both are alike."""
    weight = next((p for p in net.parameters() if p.is_floating_point()), example)
    if weight.device != example.device:
        return f"its weights lie on {weight.device}, the images on {example.device}: try .to(device) for both"
    if weight.dtype != example.dtype:
        return f"its weights are {weight.dtype}, the images {example.dtype}: try .to(dtype) for one of them"
    return ""


def find_turned(net: nn.Module, example: Tensor, outputs: dict[str, Tensor], label: str) -> list[str]:
    """Names of outputs whose first axis is as long as the batch by chance: it stays when one image more is run."""
    count = len(example)
    doubtful = [name for name, seen in outputs.items() if seen.ndim in (3, 4) and seen.shape[:2] == (count, count)]
    lengths: dict[str, int] = {}

    def measure(name: str) -> Any:
        def hook(module: nn.Module, args: Any, output: Any) -> None:
            lengths[name] = len(output)

        return hook

    if doubtful:
        run_example(net, torch.cat([example, example[:1]]), {name: measure(name) for name in doubtful}, label)
    return [name for name in doubtful if lengths.get(name) == count]
