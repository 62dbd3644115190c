"""Trains a teacher on the train split, from labels or from another teacher, and writes it with its card.

The tune split chooses (nothing is chosen on the test split); the test split is measured once, at the end.
"""

from __future__ import annotations

import contextlib
import dataclasses
import glob
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from alambic.data import Source, ViewSpec, key
from alambic.errors import AlambicError
from alambic.methods.base import create_method
from alambic.models.teacher import Teacher, TeacherData, TeacherSpec, widest_data
from alambic.models.teachers import create_net, fit_channels, load_teacher, save_teacher
from alambic.training import together
from alambic.training.feed import Normalise
from alambic.training.loop import OnEpoch, evaluate, train
from alambic.training.objective import Objective
from alambic.training.recipe import Recipe, drawing, stream_seed
from alambic.training.setup import live_feed, set_up, teacher_spec
from alambic.training.spread import spread
from alambic.training.task import Task


@dataclasses.dataclass(frozen=True)
class TeacherTraining:
    """How a teacher is trained: recipe, views, and, when distilled, from which teacher by which method."""

    recipe: Recipe
    views: ViewSpec
    method: str = "none"
    settings: tuple[tuple[str, Any], ...] = ()
    seed: int = 0


def train_teacher(
    name: str,
    spec: TeacherSpec,
    training: TeacherTraining,
    source: Source,
    task: Task,
    path: Path,
    folder: Path = Path(),
    source_teacher: Teacher | None = None,
    start: Teacher | None = None,
    on_epoch: OnEpoch | None = None,
    shared: bool = False,
    ids: Tensor | None = None,
) -> Teacher:
    """Trains, measures and saves one teacher at ``path`` (safetensors, card beside it); resumes a killed run.

    Args:
        source_teacher: whom to distil from; None trains on labels.
        start: of the same network, whose weights it begins with; None for its own initialisation.
        shared: all joined processes call this and train it together (``spread``); else this one trains alone.
        ids: int64, the training images; the whole train split without it.

    Raises AlambicError where ``start`` is another network, or other processes than these have begun it.
    """
    number, count = together.place() if shared else (0, 1)
    checkpoint = choose_checkpoint(path, count)
    size = spec.size or source.size
    channels = spec.channels or source.channels
    mean, std = fit_channels(spec.mean or source.mean, channels), fit_channels(spec.std or source.std, channels)
    with drawing(stream_seed(training.seed, "init")):
        net = create_net(spec, task.classes, channels, size, folder)
    if start is not None:
        copy_weights(start, net, name)
    whole = ids is None or len(ids) == len(source.splits["train"])
    ids, tune_ids = source.splits["train"] if ids is None else ids, source.splits["tune"]
    objective = Objective([create_method(training.method, **dict(training.settings))], task)
    if objective.borrowed:
        raise AlambicError(
            f"teacher {name!r}: expected a method that trains its classifier, got {objective.borrowed!r}, because that "
            "one predicts with its projector and the other teacher's classifier, which no file keeps; try srrl, which "
            "trains it, or a ce_weight in the settings"
        )
    feed = given = None
    if source_teacher is not None:
        feed = live_feed(source_teacher, source, training.views, objective.needs.teacher, ids)
        given = teacher_spec(source_teacher)
    spec = dataclasses.replace(
        spec,
        size=size,
        mean=mean,
        std=std,
        channels=channels,
        provenance=_tell_provenance(source_teacher, start),
        teacher_data=widest_data(data_seen(spec), *(t.spec.teacher_data for t in (source_teacher, start) if t)),
        split_hash=source.split_hash,
    )
    run = set_up(
        net,
        objective,
        source,
        ids,
        tune_ids,
        training.views,
        training.recipe,
        training.seed,
        size,
        feed,
        given,
        f"teacher {name!r}",
        checkpoint,
        repr((spec, training, source.split_hash, start.hash if start is not None else ""))
        + ("" if whole else repr(ids.tolist())),
        normalise=Normalise(mean, std),
    )
    with spread(run) if shared else contextlib.nullcontext():
        history = train(run, on_epoch)
    card = {
        "name": name,
        "spec": spec.for_card(),
        "recipe": dataclasses.asdict(training.recipe),
        "views": key(training.views, "student"),
        "method": training.method,
        "settings": dict(training.settings),
        "seed": training.seed,
        **({"start": {k: start.card.get(k) for k in ("name", "weights_hash", "recipe")}} if start is not None else {}),
        "data": source.name,
        "data_hash": source.hash,
        "classes": task.classes,
        "parameters": sum(p.numel() for p in net.parameters()),
        "train_images": len(ids),
        "tune": history[-1]["tune"],
        "train_seconds": round(sum(record["seconds"] for record in history), 1),
        "processes": count,
        "torch": torch.__version__,
    }
    with together.all_or_none() if shared else contextlib.nullcontext():
        if number == 0:
            test = evaluate(run, source.splits["test"]) if len(source.splits["test"]) else None
            save_teacher(path, net, {**card, "test": test})
            checkpoint.unlink(missing_ok=True)
    stored = dataclasses.replace(spec, weights=path.name)
    return load_teacher(name, stored, task.classes, source.channels, source.size, source.mean, source.std, path.parent)


def choose_checkpoint(path: Path, count: int) -> Path:
    """Where a teacher trained by ``count`` processes is kept while it trains.

    Raises AlambicError where another number of processes has begun it: their steps are others (see ``spread``).
    """
    one, many = path.with_suffix(".checkpoint"), "-processes.checkpoint"
    chosen = one if count == 1 else path.with_suffix(f".{count}{many}")
    found = path.parent.glob(f"{glob.escape(path.stem)}.*{many}")  # those of a teacher named "vit.5" too
    begun = [other for other in found if other.name[len(path.stem) + 1 : -len(many)].isdecimal()]
    others = [other for other in (one, *begun) if other != chosen and other.exists()]
    if others:
        raise AlambicError(
            f"expected the number of processes that began {path.name}, got {count}, because {others[0].name} is "
            "there; try as many processes as then, or delete it to begin anew"
        )
    return chosen


def copy_weights(start: Teacher, net: nn.Module, name: str) -> None:
    """Gives a network another teacher's weights. Raises AlambicError where the two differ in shape."""
    try:
        net.load_state_dict(start.net.state_dict())
    except RuntimeError as error:
        raise AlambicError(
            f"teacher {name!r}: expected the network of {start.name!r}, whose weights it starts from, got another "
            f"({error}); try equal net and kwargs"
        ) from error


def data_seen(spec: TeacherSpec) -> TeacherData:
    """Which images taught a network before it is trained here: a hub's weights know others, unless the spec says."""
    return "external" if spec.pretrained and spec.teacher_data == "same" else spec.teacher_data


def _tell_provenance(source_teacher: Teacher | None, start: Teacher | None) -> str:
    if source_teacher is not None:
        return f"distilled from {source_teacher.name}"
    return "labels" if start is None else start.spec.provenance
