"""What the hub says of the input that its weights were trained on; no network is made and nothing is downloaded."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple


class HubInput(NamedTuple):
    """Input (height, width) and normalisation of pretrained weights."""

    size: tuple[int, int]
    mean: tuple[float, ...]
    std: tuple[float, ...]


def find_hub_input(net: str, kwargs: Mapping[str, Any]) -> HubInput | None:
    """Of ``timm:NAME`` or ``torchvision:NAME``; None for other networks and for names without weights there.

    Args:
        kwargs: of the network's constructor: an ``img_size`` among them is the size.
    """
    kind, _, name = net.partition(":")
    found = {"timm": _ask_timm, "torchvision": _ask_torchvision}.get(kind, lambda name: None)(name)
    if found is None or "img_size" not in kwargs:
        return found
    given = kwargs["img_size"]
    return found._replace(size=(given, given) if isinstance(given, int) else (int(given[0]), int(given[1])))


def _ask_timm(name: str) -> HubInput | None:
    import timm

    told = timm.get_pretrained_cfg(name) if timm.is_model(name) else None
    if told is None:
        return None
    return HubInput((told.input_size[1], told.input_size[2]), tuple(told.mean), tuple(told.std))


def _ask_torchvision(name: str) -> HubInput | None:
    from torchvision import models

    if name not in models.list_models(module=models):
        return None
    told = models.get_model_weights(name).DEFAULT.transforms()
    side = told.crop_size[0]
    return HubInput((side, side), tuple(told.mean), tuple(told.std))
