"""Quantisation-aware fine-tuning of a trained student: it computes on rounded numbers just where the artefact does.

BatchNorm is folded first. Weights are rounded per output channel (or per layer), activations per tensor to ranges that
follow the batches. Rounding stands where int8 kernels round: after the fused activation, not between it and its
convolution; average pooling keeps its input's grid. Module names stay, so that any distillation method taps as before.
The recipe is that of Jacob et al. (arXiv 1712.05877) with folding done once, as Krishnamoorthi (arXiv 1806.08342)
advises for small networks.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from alambic.deploy.onnx_nodes import fold_norm
from alambic.deploy.rounding import LAYERS, RoundedWeight, Rounder, record_calls
from alambic.errors import AlambicError

ROUNDER = "int8_rounder"  # the submodule that holds the ranges while a network is in training


def fold_norms(net: nn.Module, images: Tensor) -> int:
    """Folds each BatchNorm into the convolution whose output it alone reads, in place; returns how many.

    Args:
        images: B x C x H x W as the network reads them; one is enough.
    """
    calls = record_calls(net, images)
    readers = [sum(index in call.inputs for call in calls) for index in range(len(calls))]
    uses = [sum(call.module is other.module for other in calls) for call in calls]
    parents = {child: (parent, name) for parent in net.modules() for name, child in parent.named_children()}
    folded = 0
    for index, call in enumerate(calls):
        norm, maker = call.module, call.inputs[0]
        conv = calls[maker].module if maker >= 0 else None
        if not isinstance(norm, nn.BatchNorm2d) or not isinstance(conv, nn.Conv2d) or readers[maker] != 1:
            continue
        if uses[index] != 1 or uses[maker] != 1 or norm.running_mean is None:
            continue
        given = {
            "running_mean": norm.running_mean, "running_var": norm.running_var, "eps": norm.eps,
            "weight": norm.weight, "bias": norm.bias,
        }  # fmt: skip
        with torch.no_grad():
            weight, bias = fold_norm(conv.weight, conv.bias, given)
            conv.weight.copy_(weight)
            conv.bias = nn.Parameter(bias)
        parent, name = parents[norm]
        setattr(parent, name, nn.Identity())
        folded += 1
    return folded


def insert_qat(
    net: nn.Module, images: Tensor, weight_bits: int = 8, activation_bits: int = 8, per_channel: bool = True
) -> None:
    """Folds BatchNorm and makes a trained network compute on rounded numbers, in place.

    Train it on as usual, with a tenth of the learning rate, then ``remove_qat`` and quantise as any other student.

    Args:
        images: a normalised batch of the training split; the ranges start from it.
        weight_bits, activation_bits: 2 to 8. Below 8 only accuracy is told (``deploy.private``), no file is written.

    Raises AlambicError where it is in already, or the bits make no sense.
    """
    if ROUNDER in dict(net.named_children()):
        raise AlambicError(f"{type(net).__name__}: expected a plain network, got one in QAT; try remove_qat first")
    for bits in (weight_bits, activation_bits):
        if not 2 <= bits <= 8:
            raise AlambicError(f"expected 2 to 8 bits, got {bits}")
    fold_norms(net, images[:1])
    rounder = Rounder(record_calls(net, images[:1]), activation_bits).to(images.device)
    net.add_module(ROUNDER, rounder)
    net.register_forward_pre_hook(rounder.begin)
    net.register_forward_hook(rounder.end, always_call=True)
    mode = net.training
    rounder.observing = True
    with torch.no_grad():
        net.eval()(images)  # the ranges of the float network: what calibration by extremes would find
    rounder.observing = False
    net.train(mode)
    for module in [item for item in net.modules() if isinstance(item, LAYERS)]:
        parametrize.register_parametrization(module, "weight", RoundedWeight(weight_bits, per_channel))


def remove_qat(net: nn.Module) -> None:
    """Takes the rounding off in place; the float weights stay as trained, BatchNorm stays folded."""
    rounder = dict(net.named_children()).get(ROUNDER)
    if not isinstance(rounder, Rounder):
        raise AlambicError(f"{type(net).__name__}: expected a network in QAT, got a plain one; try insert_qat first")
    for module in list(net.modules()):
        if isinstance(module, LAYERS) and parametrize.is_parametrized(module, "weight"):
            parametrize.remove_parametrizations(module, "weight", leave_parametrized=False)
            module.register_parameter("bias", module._parameters.pop("bias"))  # behind the weight again, as before
    for hooks in (net._forward_pre_hooks, net._forward_hooks):
        for key in [key for key, hook in hooks.items() if getattr(hook, "__self__", None) is rounder]:
            del hooks[key]
            net._forward_hooks_always_called.pop(key, None)
    delattr(net, ROUNDER)
