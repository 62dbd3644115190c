"""From teachers and students to scorecards: prices, evidence, pilots; what a file holds is not computed again."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from torch import Tensor, nn

from alambic.data import Source, ViewSpec
from alambic.errors import AlambicError
from alambic.models.own_code import is_own_code
from alambic.models.teacher import Teacher
from alambic.models.teachers import tell_outputs
from alambic.suitability.base import all_estimators
from alambic.suitability.collect import PASSES, choose_holdout, collect_student, collect_teacher, tell_provenance
from alambic.suitability.evidence import Evidence, Pilot, StudentEvidence
from alambic.suitability.own_student import hash_student
from alambic.suitability.pilot import Trial, choose_images, compare_trials, run_trial, short_recipe
from alambic.suitability.prices import Price, measure_seconds, quote, spend
from alambic.suitability.scorecard import Scorecard, load_scorecards, make_key, save_scorecards, score_evidence
from alambic.training.recipe import Recipe
from alambic.training.task import Task, evaluate_metric, predict

Say = Callable[[str], None]


@dataclasses.dataclass(frozen=True)
class Setting:
    """What is distilled into what, before any of it is.

    Attributes:
        make_student: name -> a fresh student, the same weights at each call. speeds: name -> training images a second.
        share: of the training's steps in a pilot. images: held-out ones. warm_up: epochs.
        budget: seconds, None for all. split_seed: which training images a pilot takes.
    """

    source: Source
    views: ViewSpec
    recipe: Recipe
    task: Task
    train_ids: Tensor
    make_student: Callable[[str], nn.Module]
    speeds: Mapping[str, float]
    share: float = 0.03
    images: int = 2000
    warm_up: int = 5
    budget: float | None = None
    split_seed: int = 0


@dataclasses.dataclass(frozen=True)
class Pupil:
    """A warmed-up student and the pilot's twin on labels alone (None where no pilot is paid for)."""

    evidence: StudentEvidence
    alone: Trial | None


class Ranking:
    """Scorecards of every student with every teacher."""

    def __init__(self, setting: Setting, teachers: Sequence[Teacher], path: Path, say: Say) -> None:
        self.setting, self.teachers, self.path, self.say = setting, teachers, path, say
        self.ids = choose_holdout(setting.source, setting.images)
        own = [name for name in setting.speeds if is_own_code(name)]
        self._codes = {name: hash_student(setting.make_student(name)) for name in own}
        self.kept = {card.key: card for card in load_scorecards(path)} if path.exists() else {}

    def price(self) -> tuple[list[Price], dict[str, str]]:
        """(prices of everything, need -> why the budget leaves it out)."""
        given = self.setting
        recipe, images = self._short()
        sensor = given.views.student.sensor
        prices = quote(
            [measure_seconds(teacher) for teacher in self.teachers],
            given.speeds,
            len(self.ids),
            given.warm_up * len(given.train_ids),
            recipe.epochs * images,
            sensor.down if sensor is not None else 1,
        )
        return prices, spend(prices, given.budget)

    def collect(self, refused: dict[str, str]) -> list[Scorecard]:
        """Scorecards in the order of students, then teachers; saved after each teacher, so that a kill costs one."""
        keys = {(s, t.name): self._key(s, t, refused) for s in self.setting.speeds for t in self.teachers}
        missing = {pair for pair, key in keys.items() if key not in self.kept}
        pupils = {student: self.warm_up(student, refused) for student in dict.fromkeys(s for s, _ in sorted(missing))}
        for teacher in self.teachers:
            own = {student: pupil for student, pupil in pupils.items() if (student, teacher.name) in missing}
            if own:
                for card in self._score(teacher, own, refused, keys):
                    self.kept[card.key] = card
                save_scorecards(self.path, self.kept.values())
                self.say(f"teacher {teacher.name}: scored")
        return [self.kept[key] for key in keys.values()]

    def _short(self) -> tuple[Recipe, int]:
        return short_recipe(self.setting.recipe, len(self.setting.train_ids), self.setting.share)

    def _key(self, student: str, teacher: Teacher, refused: Mapping[str, str]) -> str:
        given = self.setting
        return make_key(
            teacher=(teacher.hash, teacher.name, teacher.family, tell_outputs(teacher)),
            provenance=tell_provenance(teacher.spec),
            student=(student, self._codes.get(student)),
            data=(given.source.hash, given.source.split_hash, given.train_ids.tolist(), self.ids.tolist()),
            recipe=dataclasses.asdict(given.recipe),
            views=dataclasses.asdict(given.views),
            task=dataclasses.asdict(given.task),
            warm_up=given.warm_up,
            share=given.share,
            split_seed=given.split_seed,
            refused=sorted(refused),
        )

    def warm_up(self, student: str, refused: Mapping[str, str]) -> Pupil:
        """The student after a few epochs on labels, read once, and its pilot alone unless that is refused."""
        given = self.setting
        evidence = collect_student(
            student,
            given.make_student(student),
            given.source,
            given.views,
            given.recipe,
            given.task,
            given.train_ids,
            self.ids,
            given.warm_up,
            "gradients" not in refused,
            "low" not in refused,
        )
        labels = given.source.labels[self.ids].numpy()
        score = evaluate_metric(given.task.metric, *predict(evidence.logits.numpy()), labels)
        self.say(f"student {student}: warmed up to {100 * score:.1f} %, receptive field {evidence.window} px")
        return Pupil(evidence, None if "pilot" in refused else self._try(student, None, None))

    def _try(self, student: str, teacher: Teacher | None, target: Tensor | None) -> Trial:
        given = self.setting
        recipe, images = self._short()
        chosen = choose_images(given.train_ids, images, given.split_seed)
        return run_trial(
            given.make_student(student),
            teacher,
            target,
            given.source,
            given.views,
            recipe,
            given.task,
            chosen,
            self.ids,
        )

    def _score(
        self,
        teacher: Teacher,
        pupils: Mapping[str, Pupil],
        refused: dict[str, str],
        keys: Mapping[tuple[str, str], str],
    ) -> list[Scorecard]:
        given = self.setting
        windows = [pupil.evidence.window for pupil in pupils.values()]
        passes = [name for name in PASSES if name not in refused]
        found = collect_teacher(
            teacher, given.source, given.views, self.ids, given.task.classes, passes, windows, refused
        )
        cards = []
        for student, pupil in pupils.items():
            pilot: Pilot | None = None
            own = found
            if pupil.alone is not None:
                try:
                    pilot = compare_trials(self._try(student, teacher, found.logits), pupil.alone, given.share)
                except AlambicError as error:  # kd cannot work with this teacher: the other estimators can
                    own = dataclasses.replace(found, absent={**found.absent, "pilot": str(error)})
            whole = Evidence(own, pupil.evidence, given.source.labels[self.ids], pilot, given.task.metric)
            data = f"{given.source.name} {len(given.train_ids):,}"
            cards.append(score_evidence(whole, data, given.source.split_hash, keys[(student, teacher.name)]))
        return cards


def list_prices(prices: Sequence[Price], refused: Mapping[str, str]) -> list[str]:
    """A line for each kind of evidence: seconds, and the estimators that it buys."""
    known = all_estimators()
    lines = []
    for price in prices:
        buys = " ".join(known[name].code or name for name in price.buys)
        left = "  left out: over the budget" if price.need in refused else ""
        lines.append(f"  {price.need:12}{price.seconds:>8.1f} s  for {buys}{left}")
    total = sum(price.seconds for price in prices if price.need not in refused)
    return [*lines, f"  {'together':12}{total:>8.1f} s"]
