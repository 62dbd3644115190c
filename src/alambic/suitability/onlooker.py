"""One network looking at the images of a source: how it sees them, and what it gives of the clean ones."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from alambic.data import CLEAN, Photometry, Source, ViewSpec, photograph, render_clean
from alambic.data.geometry import resize
from alambic.models.feature import Feature, Outputs
from alambic.models.taps import Tapped
from alambic.suitability.evidence import widen
from alambic.suitability.inputs import band_energy
from alambic.training.feed import Normalise

STAGE_IMAGES, STAGE_SIDE = 1000, 4
BLOCK = 125

Alter = Callable[[Tensor], Tensor]


@dataclasses.dataclass(frozen=True)
class Onlooker:
    """How one network sees the images of a source: side of the view, size, normalisation."""

    tapped: Tapped
    source: Source
    views: ViewSpec
    side: str
    size: tuple[int, int]
    normalise: Normalise

    def canvas(self, ids: Tensor, scene: Alter | None = None) -> Tensor:
        """Clean pixels in [0, 1] before the resize to the network's size.

        ``scene`` alters the source's own pixels, before the side's sensor photographs them: two sides with different
        sensors then see the same altered scenes.
        """
        side = self.views.teacher if self.side == "teacher" else self.views.student
        plain = ViewSpec(seed=self.views.seed, student=Photometry(sensor=None if scene else side.sensor))
        pixels = render_clean(self.source.images, ids, plain, "student")
        if scene is None:
            return pixels
        pixels = scene(pixels)
        if side.sensor is None:
            return pixels
        # what an alteration takes under black or over white is no light
        return photograph(pixels.clamp(0, 1), ids, torch.full_like(ids, CLEAN), self.views.seed, side.sensor)

    def see(self, pixels: Tensor) -> Outputs:
        """Outputs on canvas pixels, without gradients."""
        with torch.no_grad():
            return self.tapped(self.normalise(resize(pixels, self.size)))

    def answer(self, ids: Tensor, alter: Alter | None = None, scene: Alter | None = None) -> Tensor:
        """fp32 logits on clean images altered behind the sensor, before it (``scene``) or both, N x C (at least 2)."""
        canvases = (self.canvas(rows, scene) for rows in ids.split(BLOCK))
        seen = (self.see(canvas if alter is None else alter(canvas)) for canvas in canvases)
        return widen(torch.cat([outputs.need_logits().float() for outputs in seen]))


@dataclasses.dataclass(frozen=True)
class Plain:
    """Outputs on clean images."""

    logits: Tensor
    embedding: Tensor | None
    stages: tuple[Tensor, ...]
    spectra: tuple[Tensor, ...]


def look(onlooker: Onlooker, ids: Tensor) -> Plain:
    """Logits and embedding of all images, stages of the first ones only: their maps are large."""
    logits, embeddings = [], []
    stages: list[list[Tensor]] = []
    energies: list[list[Tensor]] = []
    seen = 0
    for rows in ids.split(BLOCK):
        outputs = onlooker.see(onlooker.canvas(rows))
        logits.append(outputs.need_logits().float())
        if outputs.embedding is not None:
            embeddings.append(outputs.embedding.float())
        if seen < STAGE_IMAGES:
            stages.append([shrink(stage)[: STAGE_IMAGES - seen] for stage in outputs.stages])
            found = [band_energy(stage.as_map()) for stage in outputs.stages if stage.size is not None]
            energies.append([energy for energy in found if energy is not None])
        seen += len(rows)
    shares = [torch.cat(parts).double().sum(0) for parts in zip(*energies, strict=True)]
    return Plain(
        widen(torch.cat(logits)),
        torch.cat(embeddings) if embeddings else None,
        tuple(torch.cat(parts) for parts in zip(*stages, strict=True)),
        tuple((share / share.sum().clamp_min(1e-300)).float() for share in shares),
    )


def shrink(stage: Feature) -> Tensor:
    """B x k: a stage averaged down to at most 4 x 4 positions, or its vector where it has no grid."""
    if stage.size is None:
        return stage.as_vector().float()
    height, width = (min(STAGE_SIDE, side) for side in stage.size)
    return F.adaptive_avg_pool2d(stage.as_map().float(), (height, width)).flatten(1)
