"""Memory layout: channels-last where it is safe."""

from __future__ import annotations

from torch import nn


def safe_channels_last(net: nn.Module) -> bool:
    """Whether a network may train channels-last on the CPU.

    torch's oneDNN kernels write outside their memory in the backward pass of a strided 1x1 convolution with two to
    seven input channels in that layout (torch 2.14.1, AVX2: 4 -> 8 channels, stride 2, any even side; with 8 or more
    it is sound). The crash comes later and elsewhere, so such a network trains channels-first.
    """
    return not any(
        isinstance(module, nn.Conv2d)
        and module.kernel_size == (1, 1)
        and max(module.stride) > 1
        and module.in_channels // module.groups < 8
        for module in net.modules()
    )
