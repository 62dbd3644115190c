"""A small MLP-Mixer (Tolstikhin et al., arXiv 2105.01601) for 96 x 96 images: timm's names fix its patches at 16."""

from __future__ import annotations

from timm.models.mlp_mixer import MlpMixer
from torch import nn


def make(num_classes: int) -> nn.Module:
    """144 patches of 8 x 8 pixels, 3 blocks of 64 channels."""
    return MlpMixer(num_classes=num_classes, img_size=96, patch_size=8, num_blocks=3, embed_dim=64)
