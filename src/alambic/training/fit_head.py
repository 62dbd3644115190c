"""A new last layer for a network that knows other classes: fitted on the train split, the rest stays as it is.

Multinomial logistic regression on what the last layer reads, each image seen once and clean. Its strength of L2 is the
one with the lowest loss on the tune split. Far cheaper than a fine-tuning: one forward pass of each image.
"""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from alambic.data import Source, ViewSpec, render_clean
from alambic.errors import AlambicError
from alambic.models.discover import dissect
from alambic.models.own_code import is_own_code
from alambic.models.teacher import Teacher, TeacherSpec
from alambic.models.teachers import load_teacher, save_teacher
from alambic.training import stop
from alambic.training.feed import Normalise
from alambic.training.task import Task, evaluate_metric, predict
from alambic.training.teach import data_seen

STRENGTHS = (1e-5, 1e-4, 1e-3, 1e-2, 1e-1)  # of L2 on standardised inputs, for a mean loss
BLOCK, STEPS = 100, 200
Progress = Callable[[int, int], None]  # images done, images in all


def fit_head(
    name: str,
    spec: TeacherSpec,
    source: Source,
    ids: Tensor,
    task: Task,
    path: Path,
    folder: Path = Path(),
    progress: Progress | None = None,
) -> Teacher:
    """Fits the head on the labelled images of ``ids`` and saves the teacher at ``path``, its card beside it.

    Raises AlambicError for a network without one linear layer at its end, a task of one logit, or a user's own function
    that takes no ``num_classes``, by which the network is made again.
    """
    if task.classes < 2:
        raise AlambicError(f"teacher {name!r}: expected a task of two classes or more to fit a head, got one logit")
    s = source
    teacher = load_teacher(name, spec, s.num_classes, s.channels, s.size, s.mean, s.std, folder)
    net, place = teacher.net, find_head(teacher)
    ids, tune = ids[s.labels[ids] >= 0], s.splits["tune"]
    if len(ids) < task.classes:
        raise AlambicError(f"teacher {name!r}: expected labelled images to fit a head on, got {len(ids)}")
    every = torch.cat([ids, tune])
    seen = _read(teacher, place, s, every, progress)
    known = s.labels[tune] >= 0
    strength, weight, bias = fit_logistic(
        seen[: len(ids)], s.labels[ids], seen[len(ids) :][known], s.labels[tune][known], task.classes
    )
    head = nn.Linear(weight.shape[1], task.classes)
    head.load_state_dict({"weight": weight, "bias": bias})
    parent, _, last = place.rpartition(".")
    setattr(net.get_submodule(parent), last, head)
    predicted, margin = predict((seen[len(ids) :] @ weight.T + bias).numpy())
    kept = dataclasses.replace(teacher.settle(s.split_hash), teacher_data=data_seen(spec))
    if is_own_code(spec.net):
        kept = dataclasses.replace(kept, kwargs={**kept.kwargs, "num_classes": task.classes})
    card: dict[str, Any] = {
        "name": name,
        "spec": kept.for_card(),
        "method": "fit_head",
        "head": {"strength": strength, "images": len(ids), "ids": hashlib.sha256(ids.numpy().tobytes()).hexdigest()},
        "made_from": teacher.hash,
        "data": s.name,
        "data_hash": s.hash,
        "classes": task.classes,
        "parameters": sum(p.numel() for p in net.parameters()),
        "train_images": len(ids),
        "tune": evaluate_metric(task.metric, predicted, margin, s.labels[tune].numpy()),
        "torch": torch.__version__,
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    save_teacher(path, net, card)
    stored = TeacherSpec("card", weights=path.name)
    return load_teacher(name, stored, task.classes, s.channels, s.size, s.mean, s.std, path.parent)


def find_head(teacher: Teacher) -> str:
    """The name of the linear layer that ends a network. Raises AlambicError where there is none, or several."""
    example = torch.zeros(2, len(teacher.mean), *teacher.size)
    heads: tuple[str, ...] = ()
    if any(True for _ in teacher.net.parameters()):
        with torch.no_grad():
            heads = dissect(teacher.net, example, None, f"teacher {teacher.name!r}").heads
    if len(heads) != 1:
        raise AlambicError(
            f"teacher {teacher.name!r}: expected a network that ends with one linear layer, got {len(heads)} such "
            f"layers in {teacher.spec.net}, because a fitted head takes its place; try a fine-tuning (fit_head = "
            "false), or a method on embeddings (rsd)"
        )
    return heads[0]


def _read(teacher: Teacher, place: str, source: Source, ids: Tensor, progress: Progress | None) -> Tensor:
    """len(ids) x D: what the network's last layer reads of the clean images."""
    normalise, caught = Normalise(teacher.mean, teacher.std), []
    handle = teacher.net.get_submodule(place).register_forward_pre_hook(
        lambda module, args: caught.append(args[0].flatten(1).clone())
    )
    try:
        with torch.no_grad():
            for rows in ids.split(BLOCK):
                teacher.net(normalise(render_clean(source.images, rows, ViewSpec(), "teacher", teacher.size)))
                stop.check()
                if progress is not None:
                    progress(min(len(ids), BLOCK * len(caught)), len(ids))
    finally:
        handle.remove()
    return torch.cat(caught).float()


def fit_logistic(
    inputs: Tensor, labels: Tensor, tune_inputs: Tensor, tune_labels: Tensor, classes: int
) -> tuple[float, Tensor, Tensor]:
    """Logistic regression by L-BFGS from zero, the strength of L2 chosen on the tune images.

    Args:
        inputs: N x D. labels: int64, N, each in [0, classes).
    Returns: the strength, weights classes x D, bias classes; for inputs as they are.
    """
    mean, std = inputs.mean(0), inputs.std(0).clamp_min(1e-6)
    standard = (inputs - mean) / std
    best: tuple[float, float, Tensor, Tensor] | None = None
    for strength in STRENGTHS:
        weight = torch.zeros(classes, inputs.shape[1], requires_grad=True)
        bias = torch.zeros(classes, requires_grad=True)
        optimizer = torch.optim.LBFGS([weight, bias], max_iter=STEPS, line_search_fn="strong_wolfe")

        def close(
            weight: Tensor = weight,
            bias: Tensor = bias,
            strength: float = strength,
            optimizer: torch.optim.LBFGS = optimizer,
        ) -> Tensor:
            optimizer.zero_grad()
            loss = F.cross_entropy(standard @ weight.T + bias, labels) + strength * weight.square().sum()
            loss.backward()
            return loss

        optimizer.step(close)
        with torch.no_grad():
            plain = weight / std
            moved = bias - plain @ mean
            lost = float(F.cross_entropy(tune_inputs @ plain.T + moved, tune_labels))
        if best is None or lost < best[0]:
            best = (lost, strength, plain.detach(), moved.detach())
    assert best is not None
    return best[1:]
