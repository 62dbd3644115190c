"""A small MLP-Mixer (Tolstikhin et al., arXiv 2105.01601) for 28 x 28 grey images: timm fixes its patches at 16."""

from __future__ import annotations

from timm.models.mlp_mixer import MlpMixer
from torch import nn


def make(num_classes: int) -> nn.Module:
    """49 patches of 4 x 4 pixels, 3 blocks of 96 channels."""
    return MlpMixer(num_classes=num_classes, img_size=28, in_chans=1, patch_size=4, num_blocks=3, embed_dim=96)
