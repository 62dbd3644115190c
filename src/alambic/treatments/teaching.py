"""Trains a teacher's network once more, for treatments of the teacher: from its weights or afresh, with hooks."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import nn

from alambic.errors import AlambicError
from alambic.methods.base import create_method
from alambic.models.teacher import Teacher, TeacherSpec
from alambic.models.teachers import create_net, load_teacher, save_teacher
from alambic.training.feed import Normalise
from alambic.training.hooks import Hooks
from alambic.training.loop import Run, train
from alambic.training.objective import Objective
from alambic.training.recipe import Recipe, drawing, stream_seed
from alambic.training.setup import set_up
from alambic.treatments.base import Scene


def fresh_net(teacher: Teacher, scene: Scene) -> nn.Module:
    """The teacher's architecture with new weights, of the teacher's training's ``init`` stream."""
    spec = dataclasses.replace(teacher.spec, pretrained=False)
    with drawing(stream_seed(scene.training.seed, "init")):
        return create_net(spec, scene.task.classes, len(teacher.mean), teacher.size, scene.base)


def copy_net(teacher: Teacher) -> nn.Module:
    """The teacher's network with its weights, ready to train. Raises AlambicError where its classes are merged."""
    if teacher.spec.groups:
        raise AlambicError(
            f"teacher {teacher.name!r}: expected a network trained on the task's own classes, got one whose classes a "
            "class map merges, because a trained copy would have to be saved without the map; try training it on "
            "this data, or a treatment of the student or the step"
        )
    return copy.deepcopy(teacher.net).requires_grad_(True)


def teach(
    teacher: Teacher,
    scene: Scene,
    path: Path,
    net: nn.Module,
    recipe: Recipe,
    make_hooks: Callable[[Run], Hooks] | None = None,
    note: dict[str, Any] | None = None,
) -> Teacher:
    """Trains ``net`` on labels on the teacher's side of the images, and saves it at ``path``; resumes, or loads it.

    Args:
        make_hooks: run -> hooks of this training. note: of the treatment, into the card.
    """
    if not path.exists():
        run = set_up(
            net,
            Objective([create_method("none")], scene.task),
            scene.source,
            scene.ids,
            scene.source.splits["tune"],
            scene.training.views,
            recipe,
            scene.training.seed,
            teacher.size,
            label=f"teacher {teacher.name!r}",
            checkpoint=path.with_suffix(".checkpoint"),
            key=path.stem,
            normalise=Normalise(teacher.mean, teacher.std),
        )
        if make_hooks is not None:
            with drawing(stream_seed(scene.training.seed, "treatment"), run.device):
                run.hooks = make_hooks(run)
        path.parent.mkdir(parents=True, exist_ok=True)
        with scene.watch(path.stem.rpartition("-")[0], recipe.epochs) as on_epoch:
            history = train(run, on_epoch)
        save_teacher(path, net, _card(teacher, scene, history, recipe, note or {}))
        path.with_suffix(".checkpoint").unlink(missing_ok=True)
    return load_made(teacher, scene, path)


def load_made(teacher: Teacher, scene: Scene, path: Path) -> Teacher:
    """The treated teacher from its file, under the old one's name."""
    s = scene.source
    spec = TeacherSpec("card", weights=path.name)
    return load_teacher(teacher.name, spec, scene.task.classes, s.channels, s.size, s.mean, s.std, path.parent)


def _card(
    teacher: Teacher, scene: Scene, history: list[dict[str, Any]], recipe: Recipe, note: dict[str, Any]
) -> dict[str, Any]:
    return {
        "name": teacher.name,
        "spec": teacher.settle(scene.source.split_hash).for_card(),
        "recipe": dataclasses.asdict(recipe),
        "treatment": note,
        "made_from": teacher.hash,
        "data": scene.source.name,
        "data_hash": scene.source.hash,
        "classes": scene.task.classes,
        "parameters": sum(p.numel() for p in teacher.net.parameters()),
        "train_images": len(scene.ids),
        "tune": history[-1]["tune"],
        "train_seconds": round(sum(record["seconds"] for record in history), 1),
        "torch": torch.__version__,
    }
