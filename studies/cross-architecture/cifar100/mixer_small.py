"""A smaller MLP-Mixer than mixer.py's, in a file of its own: a teacher's code is part of what it is."""

from __future__ import annotations

from timm.models.mlp_mixer import MlpMixer
from torch import nn


def make(num_classes: int) -> nn.Module:
    """64 patches of 4 x 4 pixels, 3 blocks of 64 channels."""
    return MlpMixer(num_classes=num_classes, img_size=32, patch_size=4, num_blocks=3, embed_dim=64)
