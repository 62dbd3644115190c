"""What a network computes, recorded from one run: the ATen operators, in order, with the tensors they read and made.

Why not torch's own exporters: the TorchScript one is deprecated and silently bends padding that depends on the image's
size; the dynamo one takes two seconds a network and more on a busy machine. A recorded run takes 0.05 s.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from alambic.errors import AlambicError


@dataclass(frozen=True)
class Call:
    """One operator of a recorded run.

    Attributes:
        op: name without its overload, e.g. ``convolution``; a trailing underscore (in place) is dropped.
        args: by the names in the operator's schema, defaults included.
        output: the (first) tensor made.
        address: of the weight operand as it was recorded, 0 where there is none.
    """

    op: str
    args: dict[str, Any]
    output: Tensor
    address: int = 0


class _Recorder(TorchDispatchMode):
    def __init__(self) -> None:
        super().__init__()
        self.calls: list[Call] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        result = func(*args, **kwargs)
        bound = {item.name: item.default_value for item in func._schema.arguments if item.has_default_value()}
        bound |= dict(zip([item.name for item in func._schema.arguments], args, strict=False))
        bound |= kwargs
        output = result[0] if isinstance(result, tuple | list) else result
        if isinstance(output, Tensor):
            weight = bound.get("weight", bound.get("mat2"))
            address = weight.data_ptr() if isinstance(weight, Tensor) else 0
            self.calls.append(Call(func._schema.name.removeprefix("aten::").rstrip("_"), bound, output, address))
        return result


def trace(net: nn.Module, example: Tensor) -> tuple[list[Call], Tensor, dict[int, str]]:
    """Runs a copy of ``net`` in evaluation mode on the CPU in fp32.

    Args:
        example: 1 x C x H x W.

    Returns the calls, the network's output, and which module's weight lies at which address. Every tensor is alive in
    the calls, so that identities stay unique.
    Raises AlambicError when the network does not run on the example or gives anything but one tensor.
    """
    twin = copy.deepcopy(net).cpu().float().eval()
    with torch.no_grad(), _Recorder() as recorder:
        try:
            output = twin(example)
        except (RuntimeError, ValueError, TypeError) as error:
            raise AlambicError(
                f"{type(net).__name__}: expected a network that runs on images of shape {tuple(example.shape)}, but it "
                f"failed: {error}; try the size and the channel count that it was made for"
            ) from error
    if not isinstance(output, Tensor):
        raise AlambicError(f"{type(net).__name__}: expected one tensor of logits, got {type(output).__name__}")
    owners = {
        parameter.data_ptr(): name.rpartition(".")[0]
        for name, parameter in twin.named_parameters()
        if name.rpartition(".")[2] == "weight"
    }
    return recorder.calls, output, owners
