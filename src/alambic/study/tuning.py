"""Equal tuning for every arm: the same number of trials, the same ranges, scored on the tune split alone.

Trial 0 is the arm as it is written. The others are drawn from the ranges of the file's ``[tuning]`` table, each range
cut into as many equal parts (on a log scale) as there are trials, one draw a part: two arms get the same draws of what
both have. Successive halving: each rung trains what is left for a longer share of the epochs and keeps the best of each
arm, so that no arm gets more trainings than another.
"""

from __future__ import annotations

import dataclasses
import json
import math
import textwrap
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from alambic.errors import AlambicError, nearest
from alambic.files import write_atomic
from alambic.methods.base import all_methods, create_method
from alambic.study.cell import Arm, Cell
from alambic.study.follow import Say
from alambic.study.ledger import Ledger
from alambic.study.local import Executor, run_cells
from alambic.study.prepare import prepare
from alambic.study.run import run_study
from alambic.study.skips import EveryCell
from alambic.study.specs import Finalists
from alambic.study.study_file import Study
from alambic.training.recipe import stream_seed

Range = tuple[float, ...]  # low, high


@dataclasses.dataclass(frozen=True)
class Trial:
    """One setting of one arm.

    Attributes:
        arm: to train. of: name of the arm that it is a trial of. number: 0 for the arm as it is written.
    """

    arm: Arm
    of: str
    number: int


@dataclasses.dataclass(frozen=True)
class Tuned:
    """The outcome for one arm: its best trial and the mean tune score of that, over students and teachers.

    ``written`` is the arm's score as it is written, None where a rung before the last one left it out: a score after
    fewer epochs says nothing beside ``score``.
    """

    trial: Trial
    score: float
    written: float | None

    @property
    def told(self) -> str:
        """Which trial it is, and what the arm as written scored."""
        if not self.trial.number:
            return "as written"
        scored = f"{100 * self.written:.2f}" if self.written is not None else "left out before the last rung"
        return f"trial {self.trial.number} (as written: {scored})"


def draw_trials(arm: Arm, study: Study) -> list[Trial]:
    """``study.tuning.trials`` settings of an arm, the first as it is written."""
    tuning = study.tuning
    draws = {
        name: _draw(name, span, tuning.trials - 1, tuning.seed)
        for name, span in (("lr", tuning.lr), ("weight_decay", tuning.weight_decay), ("balance", tuning.balance))
        if span
    }
    own = {
        (method, name): _draw(f"{method}.{name}", span, tuning.trials - 1, tuning.seed)
        for method in arm.methods
        for name, span in tuning.settings.get(method, {}).items()
    }
    usual = {**dataclasses.asdict(study.recipe), **arm.recipe}
    trials = [Trial(arm, arm.name, 0)]
    for index in range(tuning.trials - 1):
        recipe: dict[str, Any] = {
            name: float(f"{usual[name] * draws[name][index]:.3g}") for name in ("lr", "weight_decay") if name in draws
        }
        settings = {method: dict(found) for method, found in arm.settings.items()}
        for (method, name), values in own.items():
            settings.setdefault(method, {})[name] = values[index]
        changed = dataclasses.replace(
            arm, name=f"{arm.name}, trial {index + 1}", recipe={**arm.recipe, **recipe}, settings=settings
        )
        if "balance" in draws and _can_scale(changed):
            # against a cross-entropy of weight 1, but where the authors leave it out
            weight = 1.0 if any(all_methods()[name].ce_weight for name in arm.methods) else 0.0
            changed = dataclasses.replace(changed, balance=draws["balance"][index], weights=(), ce_weight=weight)
        trials.append(Trial(changed, arm.name, index + 1))
    return trials


def _can_scale(arm: Arm) -> bool:
    """Whether a balance has a meaning for an arm: a loss beside cross-entropy, and none that turns against it."""
    losses = [create_method(name, **arm.settings.get(name, {})) for name in arm.methods]
    return any(loss.family != "baseline" for loss in losses) and all(math.isinf(loss.largest_weight) for loss in losses)


def _draw(name: str, span: Range, count: int, seed: int) -> list[float]:
    """``count`` values, one from each equal part of a range on a log scale, in a random order; three digits."""
    rng = np.random.default_rng(stream_seed(seed, f"tuning/{name}"))
    places = (rng.permutation(count) + rng.random(count)) / count
    low, high = map(math.log, span)
    return [float(f"{math.exp(low + place * (high - low)):.3g}") for place in places]


def tune_study(study: Study, out: Path, say: Say = print, execute: Executor = run_cells) -> dict[str, Tuned]:
    """Tunes every arm of a study and writes ``out/tuned.toml``; goes on where it was stopped.

    The ledger in ``out`` holds each trial of each rung, on the tune split alone: the test split is not computed. An arm
    of which no trial can work is named before the first training and left out; the written file says so. Raises
    AlambicError where none is left, where no training of an arm came through, and for settings of a method that no arm
    has.
    """
    tuning = study.tuning
    _check_settings(study)
    explore = dataclasses.replace(study, purpose="explore", confirmation=None, seeds=1, finalists=Finalists())
    left = {arm.name: draw_trials(arm, study) for arm in study.arms}
    impossible = _find_impossible(explore, left, out, say)
    left = {name: trials for name, trials in left.items() if name not in impossible}
    for name, reason in impossible.items():
        say(f"arm {name} is left out: {reason}")
    if not left:
        raise AlambicError(
            f"{study.path}: expected an arm that can work, got none: {'; '.join(dict.fromkeys(impossible.values()))}"
        )
    scores: dict[str, float] = {}
    for index, share in enumerate(tuning.rungs):
        recipe = dataclasses.replace(study.recipe, epochs=max(1, round(share * study.recipe.epochs)))
        arms = tuple(trial.arm for trials in left.values() for trial in trials)
        say(f"rung {index + 1} of {len(tuning.rungs)}: {len(arms)} trials, {recipe.epochs} epochs each")
        rung = dataclasses.replace(explore, recipe=recipe, arms=arms)
        summary = run_study(rung, out, say=say, execute=execute)
        scores = {}
        for trials in left.values():
            mine = {trial.arm.name for trial in trials}
            scores |= score_trials(summary.ledger, [cell for cell in summary.cells if cell.arm.name in mine])
        missing = [name for name, trials in left.items() if not any(trial.arm.name in scores for trial in trials)]
        if missing:
            raise AlambicError(
                f"expected at least one finished training of each arm, got none of {', '.join(missing)}, because they "
                f"failed; `alambic study status {study.path} --out {out}` says why"
            )
        last = index + 1 == len(tuning.rungs)
        left = {name: _best(trials, scores, 1 if last else tuning.keep) for name, trials in left.items()}
    tuned = {name: Tuned(trials[0], scores[trials[0].arm.name], scores.get(name)) for name, trials in left.items()}
    write_atomic(out / "tuned.toml", lambda part: part.write_text(tell_arms(tuned, study, impossible)))
    return tuned


def _find_impossible(study: Study, trials: dict[str, list[Trial]], out: Path, say: Say) -> dict[str, str]:
    """Arms of which no trial can work, with the reasons; teachers are made for it, no bank and no student."""
    arms = tuple(trial.arm for mine in trials.values() for trial in mine)
    prepared = prepare(dataclasses.replace(study, arms=arms), out, say, finished=EveryCell())
    possible = {cell.arm.name for cell in prepared.cells}
    reasons = {cell.arm.name: reason for cell, reason in prepared.skipped}
    return {
        name: reasons.get(mine[0].arm.name, "no trial of it can work")
        for name, mine in trials.items()
        if not any(trial.arm.name in possible for trial in mine)
    }


def _check_settings(study: Study) -> None:
    methods = {method for arm in study.arms for method in arm.methods}
    for name in study.tuning.settings:
        if name not in methods:
            raise AlambicError(
                f"{study.path}: [tuning.settings] expected methods of the study's arms, got {name!r}, because ranges "
                f"of any other would be tried on nothing; {nearest(name, methods)}"
            )


def score_trials(path: Path, cells: Sequence[Cell]) -> dict[str, float]:
    """Trial of one arm -> mean tune score over students and teachers, of those of its cells that are finished.

    The ledger may hold more: earlier rungs, and what the file asked for before it was edited. A training that lacks
    its score (a failed or a skipped one) takes its trial out where another trial has more.
    """
    tune = {row.id: row.numbers["tune"] for row in Ledger(path, read_only=True).rows("done")}
    found: dict[str, list[float]] = defaultdict(list)
    for cell in cells:
        if cell.id in tune:
            found[cell.arm.name].append(tune[cell.id])
    most = max((len(scores) for scores in found.values()), default=0)
    return {name: float(np.mean(scores)) for name, scores in found.items() if len(scores) == most}


def _best(trials: Sequence[Trial], scores: dict[str, float], keep: int) -> list[Trial]:
    """The best ``keep``, best first; of equals the one that was drawn first, so that nothing is chosen by chance."""
    ran = [trial for trial in trials if trial.arm.name in scores]
    return sorted(ran, key=lambda trial: (-scores[trial.arm.name], trial.number))[:keep]


def tell_arms(tuned: dict[str, Tuned], study: Study, impossible: Mapping[str, str] | None = None) -> str:
    """A file of ``[[arms]]`` for ``arms_from``, each under its own name with its best settings.

    ``impossible`` arms, with the reasons, are comments.
    """
    pairs = f"{', '.join(study.students)} from {', '.join(study.teachers) or 'no teacher'}"
    lines = [
        f"# Written by `alambic study tune {study.path.name}`: of {study.tuning.trials} trials of each arm the best on",
        f"# the tune split ({pairs}). Not edited by hand.",
    ]
    for name, found in tuned.items():
        arm = found.trial.arm
        plain = dataclasses.asdict(dataclasses.replace(arm, name=name))
        table = {
            "method": plain.pop("methods"),
            **{key: value for key, value in plain.items() if value not in (None, (), {})},
        }
        lines += ["", f"# {100 * found.score:.2f} by {found.told}", "[[arms]]"]
        lines += [f"{key} = {to_toml(value)}" for key, value in table.items()]
    for name, reason in (impossible or {}).items():
        lines += ["", *textwrap.wrap(f"# left out: {name}: {reason}", 120, subsequent_indent="# ")]
    return "\n".join(lines) + "\n"


def to_toml(value: Any) -> str:
    """A value as TOML writes it on one line."""
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{key} = {to_toml(item)}" for key, item in value.items()) + " }"
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(to_toml, value))}]"
    return json.dumps(value, ensure_ascii=False)  # its strings, numbers and truth values are TOML's too
