"""Measured gains from a ledger's rows, and their blocks with scorecards for the judge."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from alambic.methods.modifier import Modifier
from alambic.suitability.composite import combine, score_pool
from alambic.suitability.judge import Block
from alambic.suitability.ranks import spearman
from alambic.suitability.scorecard import Scorecard, gather_values, pool_cards
from alambic.treatments.registry import all_modifiers

SETTING = ("data", "views", "recipe", "task", "int8", "environment", "threads")
# names given to things: they do not make another cell
LABELS = (
    "teacher",
    "purpose",
    "teacher_family",
    "teacher_provenance",
    "teacher_data",
    "teacher_score",
    "taught_by",
    "shared_recipe",  # the study's, where the arm has its own: what the arm may be compared under
    "shared_data",
)
# fields of an arm that older cells lack, as they are where they change nothing
LATER: dict[str, Any] = {"treatments": [], "treatment_settings": {}, "balance": None, "schedules": [], "recipe": {}}
BY_TEACHER = ("teacher_hash", "teacher_input", "tested", "trains_on")  # may differ between teachers of one arm
# what is deployed comes first; a split before a precision, because tune scores were there to choose by
SCORES = ("test_int8", "test", "tune_int8", "tune")
COMPOSITES = {"composite": True, "composite_cheap": False}  # name -> whether it counts what needs a pilot

_Place = tuple[str, str, str]  # student, setting, version of the student's own code
_Taught = tuple[str, dict[int, float]]  # a teacher's name, and seed -> score


class RowLike(Protocol):
    """What is read of a ledger's row (``alambic.study.ledger.Row`` is one; that room stands above this)."""

    @property
    def content(self) -> dict[str, Any]: ...

    @property
    def numbers(self) -> dict[str, Any]: ...


@dataclass(frozen=True)
class Gains:
    """Of one student, setting and arm.

    Attributes:
        data: source and training images. split_hash: of its split. method: the arm's name, with a number from the
            second version on: other settings, or another state of a method's or student's file.
        gains: teacher hash -> seed -> points over the student alone, same seed and setting. names: hash -> name.
    """

    student: str
    data: str
    split_hash: str
    method: str
    gains: dict[str, dict[int, float]]
    names: dict[str, str]


def choose_number(rows: Sequence[RowLike]) -> str | None:
    """The first of int8 on test, fp32 on test, int8 on tune, fp32 on tune that most rows have; None without any.

    The others are left out: one training that int8 failed for is no reason to compare all in fp32.
    """
    return next((n for n in SCORES if 2 * sum(n in row.numbers for row in rows) > len(rows)), None)


def is_alone(content: dict[str, Any]) -> bool:
    """Whether a cell is the student alone, on labels: no method, modifier or treatment.

    One that leaves out the images without a label is the student alone too: it learns from the same labels.
    """
    arm = content["arm"]
    treated = set(arm.get("treatments") or ()) - {"labelled_only"}
    return list(arm["methods"]) == ["none"] and not arm.get("modifiers") and not treated


def find_better(alone: Sequence[Mapping[int, float]]) -> int:
    """Which of several students alone, seed -> score of each, is the baseline: the better one.

    Of those with as many seeds as the fullest one, so that no lucky seed is compared with many; by the mean over the
    seeds that all of these have, each over its own where they share none.
    """
    most = max(map(len, alone))
    fullest = [place for place, scores in enumerate(alone) if len(scores) == most]
    shared = set.intersection(*(set(alone[place]) for place in fullest))

    def rate(place: int) -> float:
        return float(np.mean([alone[place][seed] for seed in shared or alone[place]] or [0.0]))

    return max(fullest, key=rate)


def describe_setting(content: Mapping[str, Any]) -> dict[str, Any]:
    """All that a method does not change: cells for which it is equal may be compared.

    The recipe and the images are those of the cell's study, also where its arm has a tuned recipe or fewer images. What
    the teacher sees of a view is the arm's affair.
    """
    shared = {key: content.get(key) for key in SETTING} | {key: content[key] for key in ("input",) if key in content}
    if isinstance(shared["views"], Mapping):
        shared["views"] = {key: value for key, value in shared["views"].items() if key != "teacher"}
    return shared | {name: content.get(f"shared_{name}", content.get(name)) for name in ("recipe", "data")}


def describe_kind(content: Mapping[str, Any], *leave: str) -> dict[str, Any]:
    """A cell's content without its seed and names, older cells' arms made whole: equal for cells that seeds tell apart.

    Args:
        leave: further keys to leave out.
    """
    arm = {**LATER, **{key: value for key, value in content["arm"].items() if key not in ("name", "teachers")}}
    left = {key: value for key, value in content.items() if key not in ("seed", *LABELS, *leave)}
    return {**left, "arm": arm}


def measure_gains(rows: Iterable[RowLike], number: str) -> list[Gains]:
    """Gains of every arm with teachers over the student alone, in points, paired by seed; in whatever order rows come.

    Versions of an arm stand apart. Of several arms of the student alone ``find_better`` names the baseline, as in a
    report.

    Args:
        rows: finished cells. number: the score to compare, such as ``test``.
    """
    alike: dict[str, list[RowLike]] = {}
    for row in rows:
        if number in row.numbers:
            alike.setdefault(json.dumps(describe_kind(row.content), sort_keys=True), []).append(row)
    alone: dict[_Place, list[dict[int, float]]] = {}
    taught: dict[tuple[_Place, str], dict[str, dict[str, list[_Taught]]]] = {}
    for _, same in sorted(alike.items()):
        content = same[0].content
        place = _place(content)
        scores = {row.content["seed"]: row.numbers[number] for row in same}
        if content["teacher"] is None and is_alone(content):
            alone.setdefault(place, []).append(scores)
        elif content["teacher"] is not None:
            arm = taught.setdefault((place, content["arm"]["name"]), {}).setdefault(_arm_kind(content), {})
            arm.setdefault(content["teacher_hash"], []).append((content["teacher"], scores))
    found: list[Gains] = []
    seen: Counter[tuple[str, str, str]] = Counter()
    for (place, method), kinds in sorted(taught.items()):
        plain = alone.get(place, [{}])
        base = plain[find_better(plain)]
        student, setting, _ = place
        data = json.loads(setting)["data"]
        for version in _split_versions(kinds):
            gains = {
                teacher: own
                for teacher, (_, scores) in version.items()
                if (own := {seed: 100 * (value - base[seed]) for seed, value in scores.items() if seed in base})
            }
            if gains:
                seen[student, setting, method] += 1
                count = seen[student, setting, method]
                title = method if count == 1 else f"{method} ({count})"
                names = {teacher: version[teacher][0] for teacher in gains}
                told = (f"{data['source']} {data['train_images']:,}", data["split_hash"])
                found.append(Gains(student, *told, title, gains, names))
    return found


def _place(content: dict[str, Any]) -> _Place:
    setting = json.dumps(describe_setting(content), sort_keys=True)
    return content["student"], setting, content.get("student_code", "")


def _arm_kind(content: dict[str, Any]) -> str:
    """What an arm is for every teacher: without what is fitted to each."""
    fitted = {name for name, modifier in all_modifiers().items() if modifier.fit is not Modifier.fit}
    settings = content["arm"].get("modifier_settings") or {}
    arm = {**content["arm"], "modifier_settings": {k: v for k, v in settings.items() if k not in fitted}}
    return json.dumps(describe_kind({**content, "arm": arm}, *BY_TEACHER), sort_keys=True)


def _split_versions(kinds: Mapping[str, Mapping[str, list[_Taught]]]) -> Iterator[dict[str, _Taught]]:
    """Teacher hash -> its cells, of each version; where one has several (at other input sizes), in further ones."""
    for _, teachers in sorted(kinds.items()):
        for index in range(max(len(own) for own in teachers.values())):
            yield {teacher: own[index] for teacher, own in teachers.items() if index < len(own)}


def choose_cards(cards: Iterable[Scorecard], given: Gains) -> dict[str, Scorecard]:
    """Teacher hash -> its scorecard for the student, images and split of these gains, see ``pool_cards``."""
    pool = pool_cards(cards, given.names).get((given.student, given.data, given.split_hash), [])
    return {card.hash: card for card in pool}


def label_teachers(cards: Sequence[Scorecard], measured: Sequence[Gains]) -> dict[str, str]:
    """Hash of each teacher with a gain and a scorecard -> its name, with the start of its hash if another bears it too.

    The same in every block, so that a bootstrap over teachers draws the same ones everywhere.
    """
    names = {key: card.teacher for given in measured for key, card in choose_cards(cards, given).items()}
    names = {key: name for key, name in names.items() if any(key in given.gains for given in measured)}
    count = Counter(names.values())
    return {key: name if count[name] == 1 else f"{name} ({key[:6]})" for key, name in names.items()}


def make_blocks(cards: Sequence[Scorecard], measured: Sequence[Gains], outside: Collection[str] = ()) -> list[Block]:
    """Joins scorecards and gains by student, images, split and the teacher's weights, see ``choose_cards``.

    A block's seeds are those that most of its teachers have; teachers that lack one of them are left out.
    ``outside``: controls, by name whatever their weights; they are scored by the pool of the others.
    """
    blocks, labels = [], label_teachers(cards, measured)
    for given in measured:
        own = choose_cards(cards, given)
        shared = [teacher for teacher in given.gains if teacher in own]
        seeds = _common_seeds([given.gains[teacher] for teacher in shared])
        shared = sorted(
            (t for t in shared if seeds and set(seeds) <= set(given.gains[t])), key=lambda t: own[t].teacher
        )
        if shared:
            table = np.array([[given.gains[teacher][seed] for seed in seeds] for teacher in shared])
            names = [own[teacher].teacher for teacher in shared]
            honest = np.array([name not in outside for name in names])
            scores = score_pool(gather_values([own[t] for t in shared]), honest if honest.any() else None)
            scores |= {name: combine(scores, pilot) for name, pilot in COMPOSITES.items()}
            teachers = tuple(labels[teacher] for teacher in shared)
            blocks.append(Block(given.student, given.data, given.method, teachers, table, scores, tuple(names)))
    return blocks


def find_taught_by(
    measured: Sequence[Gains], nasty: Collection[str], controls: Collection[str] = ()
) -> dict[str, tuple[float, bool]]:
    """Name of a teacher made to teach nothing -> its mean gain in points, and whether it gave least in every block.

    One that did not is no control: an estimator that puts it last is wrong. Further ``controls`` are not compared with;
    those that were not measured are left out.
    """
    found: dict[str, list[tuple[float, bool]]] = {}
    for given in measured:
        means = [(given.names[key], float(np.mean(list(seeds.values())))) for key, seeds in given.gains.items()]
        least = min((value for name, value in means if name not in (*nasty, *controls)), default=np.inf)
        for name, value in sorted(means):
            if name in nasty:
                found.setdefault(name, []).append((value, value < least))
    return {
        name: (float(np.mean([gain for gain, _ in own])), all(least for _, least in own)) for name, own in found.items()
    }


def _common_seeds(gains: Sequence[dict[int, float]]) -> list[int]:
    """Seeds that more than half of the teachers have."""
    counts: dict[int, int] = {}
    for own in gains:
        for seed in own:
            counts[seed] = counts.get(seed, 0) + 1
    return sorted(seed for seed, count in counts.items() if 2 * count > len(gains))


def compare_rankings(blocks: Sequence[Block]) -> dict[tuple[str, str], float]:
    """(method, method) -> mean Spearman of their gains over shared teachers, for each student and data.

    Where two methods rank teachers differently, a teacher is not good or bad as such: rank (teacher, method) pairs.
    """
    found: dict[tuple[str, str], list[float]] = {}
    for index, first in enumerate(blocks):
        for second in blocks[index + 1 :]:
            if (first.student, first.data) != (second.student, second.data) or first.method == second.method:
                continue
            shared = set(first.teachers) & set(second.teachers)
            if len(shared) >= 4:
                pair = (first.keep(shared), second.keep(shared))
                key = (min(first.method, second.method), max(first.method, second.method))
                found.setdefault(key, []).append(spearman(pair[0].gain, pair[1].gain))
    return {key: float(np.mean(values)) for key, values in sorted(found.items())}
