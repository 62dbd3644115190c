"""Views: each is a pure function of (view_seed, image id, view id), batched, the same code on every device.

Nothing here draws from a random generator. Whether an image is rendered alone or in a batch, in whatever order,
on CPU or GPU, its view has the same pixels: flip, shift, erasing and mixing boxes bit for bit, interpolation and
photometry to float rounding.

Order within a view: crop, flip, shift (shared by both sides); jitter, erasing (per side); mixing on the canvas;
sensor (per side); resize. So both sides mix the same scenes, and a sensor photographs the mixed scene.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal

import torch
from torch import Tensor

from alambic.data.geometry import choose, crop, flip_and_shift, resize
from alambic.data.hashing import draw, draw_many, normal, uniform
from alambic.data.mixes import Box, beta, cut_box
from alambic.data.photometry import Photometry, Sensor, box_mask, erase, expose, jitter, optics
from alambic.errors import AlambicError

Side = Literal["student", "teacher"]

VERSION = 1  # part of every bank's key: raise it when a change of this room changes pixels
CLEAN = -1  # the view id of the image without geometry or random photometry

_FLIP, _DOWN, _RIGHT, _ZOOM, _TOP, _LEFT = range(6)
_JITTER = (6, 7, 8)
_ERASE, _ERASE_BOX = 9, (10, 11, 12, 13)
_PARTNER, _LAMBDA, _BOX_Y, _BOX_X, _NOISE, _ORDER = range(14, 20)


@dataclass(frozen=True)
class ViewSpec:
    """How images are augmented.

    Attributes:
        seed: the view_seed; belongs to the data, not to a training run.
        count: V, how many views of each image there are; 0 means live, a fresh view each epoch.
        flip: mirror left and right with probability one half.
        shift: largest move in pixels, each way, each axis.
        padding: what enters at the border, ``zero`` or ``reflect``.
        zoom: (lowest, highest) share of the area that a crop keeps, such as (0.6, 1.0); its shape ratio is kept.
        mix: ``none``, ``mixup`` (Zhang et al., arXiv 1710.09412) or ``cutmix`` (Yun et al., arXiv 1905.04899).
        mix_alpha: the mixing share is drawn from Beta(mix_alpha, mix_alpha).
        student, teacher: photometry of each side.
    """

    seed: int = 0
    count: int = 0
    flip: bool = False
    shift: int = 0
    padding: Literal["zero", "reflect"] = "zero"
    zoom: tuple[float, float] | None = None
    mix: Literal["none", "mixup", "cutmix"] = "none"
    mix_alpha: float = 1.0
    student: Photometry = field(default_factory=Photometry)
    teacher: Photometry = field(default_factory=Photometry)

    def __post_init__(self) -> None:
        if self.count < 0 or self.shift < 0:
            raise AlambicError(f"views: expected count and shift of at least 0, got {self.count} and {self.shift}")
        if self.padding not in ("zero", "reflect") or self.mix not in ("none", "mixup", "cutmix"):
            raise AlambicError(
                "views: expected padding zero or reflect, and mix none, mixup or cutmix, "
                f"got padding {self.padding!r} and mix {self.mix!r}"
            )
        if self.zoom is not None and not 0 < self.zoom[0] <= self.zoom[1] <= 1:
            raise AlambicError(f"views: expected zoom = (low, high) with 0 < low <= high <= 1, got {self.zoom}")
        if not 0 < self.mix_alpha < math.inf:
            raise AlambicError(f"views: expected a finite mix_alpha above 0, got {self.mix_alpha}")


def view_ids(epoch: int, ids: Tensor, spec: ViewSpec) -> Tensor:
    """The view of each image in an epoch, int64, B.

    Live (count 0): the epoch. Otherwise each image walks through its own order of the V views, a new order every V
    epochs: over epochs kV to kV + V - 1 it shows each view exactly once.
    """
    if spec.count == 0:
        return torch.full_like(ids, epoch)
    lap, place = divmod(epoch, spec.count)
    words = draw_many(spec.seed, ids, lap, _ORDER, spec.count)
    # The words of one image all differ (the hash is a bijection of the counter), so their ranks are a permutation.
    return (words < words[:, place : place + 1]).sum(dim=1)


def mixing(
    ids: Tensor, views: Tensor, spec: ViewSpec, pool_ids: Tensor, canvas: tuple[int, int] | None = None
) -> tuple[Tensor, Tensor] | None:
    """Which image each one is mixed with, and the share that it keeps; None where the spec does not mix.

    Args:
        ids, views: int64, B.
        pool_ids: int64, the training ids of the study; partners come from here.
        canvas: (height, width) of the source; cutmix needs it, since its share is that of whole pixels.

    Returns: partner ids int64 B, lambda float32 B in [0, 1]. The mixed label is lambda * own + (1 - lambda) *
        partner's. The clean view (-1) is its own partner with lambda 1.
    """
    if spec.mix == "none":
        return None
    if spec.mix == "cutmix" and canvas is None:
        raise AlambicError("mixing: expected canvas = (height, width) for cutmix, got None; try canvas=source.size")
    partners, keep, _ = _partners(ids, views, spec, pool_ids, canvas)
    return partners, keep


def _partners(
    ids: Tensor, views: Tensor, spec: ViewSpec, pool_ids: Tensor, canvas: tuple[int, int] | None
) -> tuple[Tensor, Tensor, Box | None]:
    """Partner, share, and for cutmix the box that the partner fills."""
    words = draw(spec.seed, ids, views, (_PARTNER, _LAMBDA, _BOX_Y, _BOX_X))
    chosen = (words[:, 0] >> 1).bitwise_and_(2**62 - 1) % len(pool_ids)
    keep = beta(uniform(words[:, 1]), spec.mix_alpha)
    clean = views == CLEAN
    keep = torch.where(clean, torch.ones_like(keep), keep)
    box = None
    if canvas is not None and spec.mix == "cutmix":
        box = cut_box(keep, uniform(words[:, 2:]), canvas)
        top, left, bottom, right = box
        keep = 1 - (bottom - top) * (right - left) * (1 / (canvas[0] * canvas[1]))
    return torch.where(clean, ids, pool_ids[chosen]), keep, box


def render(
    images: Tensor,
    ids: Tensor,
    views: Tensor,
    spec: ViewSpec,
    side: Side,
    size: tuple[int, int] | None = None,
    pool_ids: Tensor | None = None,
) -> Tensor:
    """The pixels that one side sees.

    Args:
        images: uint8, N x C x H x W, every image of the source, on the device to work on.
        ids: int64, B, rows of ``images``. views: int64, B, see ``view_ids``; -1 is the clean image, for evaluation:
            no geometry, no random photometry, no mixing; the sensor stays, its noise drawn from the id.
        size: (height, width) to resize to at the end; antialiased where it shrinks.
        pool_ids: int64, the training ids of the study, where the spec mixes.

    Returns: float32 in [0, 1], B x C x H x W; C is 1 where the side's sensor is grey. Not normalised.
    """
    photometry: Photometry = getattr(spec, side)
    if spec.shift >= min(images.shape[2:]):
        why = "reflect mirrors them" if spec.padding == "reflect" else "a view could hold no pixel of its image"
        raise AlambicError(
            f"views: expected shift below the image's sides {tuple(images.shape[2:])}, got {spec.shift}, because "
            f"{why}; try a smaller shift"
        )
    pixels = _scene(images, ids, views, spec, photometry)
    if spec.mix != "none":
        if pool_ids is None:
            raise AlambicError(
                f"render: expected pool_ids (the study's training ids) because the views use {spec.mix}, got None; "
                "try render_clean for evaluation"
            )
        canvas = (int(images.shape[2]), int(images.shape[3]))
        partners, keep, box = _partners(ids, views, spec, pool_ids, canvas)
        other = _scene(images, partners, views, spec, photometry)
        share = keep.view(-1, 1, 1, 1) if box is None else 1 - box_mask(*box, canvas)
        pixels = choose(share, pixels, other)
    if photometry.sensor is not None:
        pixels = photograph(pixels, ids, views, spec.seed, photometry.sensor)
    return pixels if size is None else resize(pixels, size)


def photograph(scene: Tensor, ids: Tensor, views: Tensor, seed: int, sensor: Sensor) -> Tensor:
    """What a sensor gives of scenes: its optics, then its noise, which hangs on the view_seed, image and view alone.

    Args:
        scene: float32 in [0, 1], B x C x H x W, the whole canvas. ids, views: int64, B.

    Returns: float32 in [0, 1], B x C x H/down x W/down; C is 1 where the sensor is grey.
    """
    pixels = optics(scene, sensor)
    noise = None
    if sensor.shot or sensor.read:
        noise = normal(seed, ids, views, _NOISE, pixels[0].numel()).view(pixels.shape)
    return expose(pixels, sensor, noise)


def render_clean(
    images: Tensor, ids: Tensor, spec: ViewSpec, side: Side, size: tuple[int, int] | None = None
) -> Tensor:
    """``render`` of the clean view: what evaluation sees. The side's sensor is applied."""
    sensor = getattr(spec, side).sensor
    plain = ViewSpec(seed=spec.seed, student=Photometry(sensor=sensor))
    return render(images, ids, torch.full_like(ids, CLEAN), plain, "student", size)


def _scene(images: Tensor, ids: Tensor, views: Tensor, spec: ViewSpec, photometry: Photometry) -> Tensor:
    """float32 canvas: geometry and random photometry, before mixing and sensor."""
    active = views != CLEAN
    pixels = images.flatten(1).index_select(0, ids).view(-1, *images.shape[1:])
    if spec.zoom is not None:
        drawn = uniform(draw(spec.seed, ids, views, (_ZOOM, _TOP, _LEFT)))
        area = spec.zoom[0] + (spec.zoom[1] - spec.zoom[0]) * drawn[:, 0]
        clean = _to_float(pixels)
        moved = crop(clean, area, drawn[:, 1], drawn[:, 2])
        pixels = choose(active.view(-1, 1, 1, 1).float(), moved, clean)
    if spec.flip or spec.shift:
        drawn = uniform(draw(spec.seed, ids, views, (_FLIP, _DOWN, _RIGHT)))
        moves = (drawn[:, 1:] * (2 * spec.shift + 1)).long().sub_(spec.shift).mul_(active.unsqueeze(1))
        flip = (drawn[:, 0] < 0.5).logical_and_(active) if spec.flip else None
        pixels = flip_and_shift(pixels, flip, moves[:, 0], moves[:, 1], spec.shift, spec.padding == "reflect")
    pixels = _to_float(pixels) if pixels.dtype == torch.uint8 else pixels.contiguous()
    if photometry.random:
        pixels = jitter(pixels, photometry, uniform(draw(spec.seed, ids, views, _JITTER)), active)
        if photometry.erase:
            drawn = uniform(draw(spec.seed, ids, views, (_ERASE, *_ERASE_BOX)))
            pixels = erase(pixels, drawn[:, 1:], active & (drawn[:, 0] < photometry.erase))
    return pixels


def _to_float(pixels: Tensor) -> Tensor:
    # A multiplication, because some devices turn a division by a number into one and others do not.
    return pixels.to(torch.float32, memory_format=torch.contiguous_format).mul_(1 / 255)


def key(spec: ViewSpec, side: Side) -> str:
    """Canonical JSON of everything in the spec that this side's pixels depend on; part of a bank's key.

    The other side's photometry is not in it, nor the number of views (view 3 is the same among 4 and among 8). Not in
    it either, since they are not in the spec: the source's hash, the size asked for and, where it mixes, the pool.
    """
    parts: dict[str, Any] = asdict(replace(spec, student=Photometry(), teacher=Photometry()))
    for name in ("student", "teacher", "count"):
        del parts[name]
    if spec.mix == "none":
        del parts["mix_alpha"]
    if spec.shift == 0:
        del parts["padding"]
    parts["photometry"] = asdict(getattr(spec, side))
    parts["version"] = VERSION
    return json.dumps(_canonical(parts), sort_keys=True, separators=(",", ":"))


def _canonical(value: Any) -> Any:
    """Numbers as floats, so that 0 and 0.0 give one key; tuples as lists."""
    if isinstance(value, Mapping):
        return {name: _canonical(item) for name, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_canonical(item) for item in value]
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return float(value)
    return value
