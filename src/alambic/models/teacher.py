"""What a teacher is: how it is made, what it has seen, the frozen network with what tables say of it."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from torch import nn

from alambic.errors import AlambicError
from alambic.models.hub import find_hub_input

TeacherData = Literal["same", "superset", "external"]


def widest_data(*kinds: TeacherData) -> TeacherData:
    """What a network has seen that learnt from several: the one that is furthest from the student's images."""
    return max(kinds, key=("same", "superset", "external").index)


@dataclass(frozen=True)
class TeacherSpec:
    """How to make a teacher.

    Attributes:
        net: ``timm:NAME``, ``torchvision:NAME``, ``zoo:NAME`` (our students), ``file.py:function``, ``file.onnx``, or
            ``card``: whatever the weights' card says.
        kwargs: for the network's constructor.
        weights: safetensors, or a state_dict that loads without running code; a card beside it fills the rest.
        pretrained: the hub's weights (timm and torchvision), with a new head for the task unless the classes agree.
        size: input (height, width); None takes what the hub's weights were trained at if ``pretrained``, else the
            images' own.
        mean, std: input normalisation; empty takes that of the hub's weights if ``pretrained``, else the data's.
        channels: that the network expects; None takes the images' own.
        family: resnet, convnext, vit, swin, mixer, ... for tables; guessed from the name when empty.
        teacher_data: ``same`` images as the student's, a ``superset`` of them, or ``external`` ones.
        provenance: ``labels``, or ``distilled from X``.
        split_hash: of the split that it was trained on; "" for external knowledge.
        groups: its classes that make each class of the task, see ``grouped``; empty where they are the task's own. A
            study whose class map merges the classes that a teacher was trained on fills it in.
    """

    net: str
    kwargs: dict[str, Any] = field(default_factory=dict)
    weights: str | None = None
    pretrained: bool = False
    size: tuple[int, int] | None = None
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()
    channels: int | None = None
    family: str = ""
    teacher_data: TeacherData = "same"
    provenance: str = "labels"
    split_hash: str = ""
    groups: tuple[tuple[int, ...], ...] = ()

    def __post_init__(self) -> None:
        sides = (*(self.size or ()), *(() if self.channels is None else (self.channels,)))
        if not all(side >= 1 for side in sides) or not all(value > 0 for value in self.std):
            raise AlambicError(
                "teacher: expected a size and channels of at least 1 and std above 0, got size "
                f"{self.size}, channels {self.channels}, std {self.std}"
            )
        hub = find_hub_input(self.net, self.kwargs) if self.pretrained and self.weights is None else None
        if hub is not None:
            for name, value in hub._asdict().items():
                object.__setattr__(self, name, getattr(self, name) or value)

    def for_card(self) -> dict[str, Any]:
        """What the card beside the weights keeps: all but where this study found them."""
        return {key: value for key, value in asdict(self).items() if key not in ("weights", "pretrained", "groups")}


@dataclass(frozen=True)
class Teacher:
    """A frozen network ready to teach, with what tables say of it.

    Attributes:
        folder: from which its spec's files are named.
    """

    name: str
    net: nn.Module
    spec: TeacherSpec
    size: tuple[int, int]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    classes: int | None
    hash: str
    card: dict[str, Any]
    folder: Path = Path()

    @property
    def family(self) -> str:
        return self.spec.family or guess_family(self.spec.net)

    @property
    def parameters(self) -> int:
        return sum(p.numel() for p in self.net.parameters())

    def settle(self, split_hash: str) -> TeacherSpec:
        """Its spec with the size and normalisation that it works with, and the split that it saw."""
        seen = {"size": self.size, "mean": self.mean, "std": self.std, "channels": len(self.mean)}
        return replace(self.spec, **seen, split_hash=split_hash)  # type: ignore[arg-type]


FAMILIES = ("convnext", "swin", "mixer", "resmlp", "deit", "vit", "resnet", "regnet", "mobilenet", "efficientnet")


def guess_family(net: str) -> str:
    """The family by the network's name, ``other`` where it says none."""
    lower = net.lower()
    found = next((family for family in FAMILIES if family in lower), "other")
    return {"deit": "vit", "resmlp": "mixer"}.get(found, found)
