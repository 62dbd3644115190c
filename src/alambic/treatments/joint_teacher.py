"""Joint teacher: several trained teachers as one network, whose logits stand side by side."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from alambic.errors import AlambicError
from alambic.files import write_atomic
from alambic.methods.base import Paper
from alambic.models.cards import read_card
from alambic.models.teacher import Teacher, TeacherSpec, widest_data
from alambic.models.teachers import create_net, load_teacher, save_teacher
from alambic.training.feed import Normalise
from alambic.treatments.base import Scene, Treatment, new_teacher_path
from alambic.treatments.teaching import load_made

SHIM = "joint_teacher.py"  # lies beside the weights, so that a card names no folder of this machine


class JointNet(nn.Module):
    """B x C x H x W in [0, 1] -> the logits of every member side by side, B x (sum of classes).

    Each member gets its own size and normalisation.
    """

    def __init__(self, members: list[nn.Module], sizes: list[tuple[int, int]], norms: list[Normalise]) -> None:
        super().__init__()
        self.members, self.norms, self.sizes = nn.ModuleList(members), nn.ModuleList(norms), sizes

    def forward(self, images: Tensor) -> Tensor:
        found = []
        for net, norm, size in zip(self.members, self.norms, self.sizes, strict=True):
            shown = images
            if tuple(images.shape[2:]) != tuple(size):
                shown = F.interpolate(images, size, mode="bilinear", antialias=True, align_corners=False)
            found.append(net(norm(shown)))
        return torch.cat(found, 1)


def join(members: list[dict[str, Any]]) -> JointNet:
    """The network of a joint teacher's card, without weights.

    Args:
        members: of each, its spec's fields and ``classes``.
    """
    nets, sizes, norms = [], [], []
    for member in members:
        fields: dict[str, Any] = {key: tuple(v) if isinstance(v, list) else v for key, v in member.items()}
        classes = fields.pop("classes")
        spec = TeacherSpec(**fields)
        assert spec.size is not None  # written by ``describe_member``
        nets.append(create_net(spec, classes, len(spec.mean), spec.size, Path()))
        sizes.append(spec.size)
        norms.append(Normalise(spec.mean, spec.std))
    return JointNet(nets, sizes, norms)


def describe_member(teacher: Teacher) -> dict[str, Any]:
    """What ``join`` needs to make a teacher's network again."""
    spec = replace(teacher.spec, weights=None, pretrained=False, size=teacher.size, mean=teacher.mean, std=teacher.std)
    return {**asdict(spec), "classes": teacher.classes}


class JointTeacher(Treatment):
    """Our own (with the method ``consensus``, idea I7), not published: the seam by which several teachers come in.

    The study's teacher and ``others`` (weights files with cards, relative to the study) run on the same view, each at
    its own size and normalisation; without ``others`` it is a team of one. Their logits are stored side by side in one
    bank; ``consensus`` reads them.
    """

    paper = Paper("Consensus of architectures (ours, not published)", "The authors of alambic", "alambic", 2026)
    formula = "teacher(x) = [z_1(x), ..., z_K(x)]"
    fidelity = "O"
    evidence = "no number of its own: it teaches nothing by itself; for consensus see docs/methods/consensus.md [M]"
    kind = "teacher"
    needs_teacher = True

    others: tuple[str, ...] = ()

    def prepare_teacher(self, teacher: Teacher, scene: Scene) -> Teacher:
        team = [teacher, *(_load(path, scene) for path in self.others)]
        for member in team:
            self._check(member, scene)
        path = new_teacher_path(self, teacher, scene, " ".join(member.hash for member in team))
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            text = f"from {join.__module__} import join\n\n__all__ = ['join']\n"
            write_atomic(path.with_name(SHIM), lambda part: part.write_text(text))
            save_teacher(path, self._join(team), self._card(team, scene))
        return load_made(teacher, scene, path)

    def _check(self, member: Teacher, scene: Scene) -> None:
        trained = member.spec.split_hash
        if ".py:" in member.spec.net or member.spec.net.endswith(".onnx"):
            raise AlambicError(
                f"treatment 'joint_teacher' expected networks that a name rebuilds, got {member.name!r} "
                f"({member.spec.net}), because the joint one is written to a file; try timm: or zoo: networks"
            )
        if member.classes != scene.task.classes or (trained and trained != scene.source.split_hash):
            raise AlambicError(
                f"treatment 'joint_teacher' expected teachers of {scene.task.classes} classes trained on this split, "
                f"got {member.name!r} with {member.classes} classes and split {trained[:12] or 'unknown'}, because "
                "their logits are compared class by class; try a teacher of this study"
            )

    def _join(self, team: list[Teacher]) -> JointNet:
        norms = [Normalise(member.mean, member.std) for member in team]
        return JointNet([member.net for member in team], [member.size for member in team], norms).eval()

    def _card(self, team: list[Teacher], scene: Scene) -> dict[str, Any]:
        channels = max(len(member.mean) for member in team)
        height, width = (max(member.size[axis] for member in team) for axis in (0, 1))
        kinds = [member.spec.teacher_data for member in team]
        spec = TeacherSpec(
            f"{SHIM}:join",
            kwargs={"members": [describe_member(member) for member in team]},
            size=(height, width),
            mean=(0.0,) * channels,
            std=(1.0,) * channels,
            channels=channels,
            family="joint",
            teacher_data=widest_data(*kinds),
            provenance=" and ".join(sorted({member.spec.provenance for member in team})),
            split_hash=scene.source.split_hash if "external" not in kinds else "",
        )
        return {
            "name": team[0].name,
            "spec": spec.for_card(),
            "made_from": [member.hash for member in team],
            "tune": None,
        }


def _load(path: str, scene: Scene) -> Teacher:
    s = scene.source
    if not read_card(scene.base / path):
        raise AlambicError(
            f"treatment 'joint_teacher' expected a card beside {path}, found none; try `alambic teachers`"
        )
    spec = TeacherSpec("card", weights=path)
    return load_teacher(Path(path).stem, spec, scene.task.classes, s.channels, s.size, s.mean, s.std, scene.base)
