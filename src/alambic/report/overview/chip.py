"""What the chip leaves of a student: points lost by arithmetic, and the scores that are reached in the end."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from statistics import fmean

from alambic.report.chapters.chip import list_falls
from alambic.report.chapters.claims import Blank, Claim, Words, name_metric
from alambic.report.chapters.tables import Entry, Table, drop_empty, fact_entry
from alambic.report.facts.fact import Fact
from alambic.report.facts.findings import Findings, StudentFindings
from alambic.report.facts.gather import Group
from alambic.report.overview.gather import Overview, Study
from alambic.report.words.overview_advice_texts import read_advice_texts
from alambic.report.words.overview_texts import read_overview_texts
from alambic.report.words.texts import read_texts
from alambic.report.words.wording import LANGS, Lang, name_group, show_number

# int8 with a scale a channel is what the device's kernels compute, on the same images as the simulated others
ARITHMETICS = {"per_channel": "kernels"} | {name: name for name in ("per_tensor", "power_of_two", "4bit", "qat_int8")}
RISKY = ("per_tensor", "power_of_two", "4bit")
RECALL = "recall_at_1_percent_false_alarms"
TO = Words({"en": "to", "fr": "à"})
USABLE = 0.5  # a share: who finds less at one false alarm in a hundred misses most of what it should find


@dataclass(frozen=True)
class Lost:
    """What one student of a study loses to an arithmetic: mean over its arms, its worst arm, its worst training."""

    study: Study
    student: str
    mean: Fact
    worst: Fact
    single: Fact
    arm: Group


def measure_lost(study: Study, found: StudentFindings, name: str, overview: Overview) -> Lost | None:
    """None where no arm was run in this arithmetic."""
    split = study.findings.scored.split
    falls = {group.key: list_falls(group, split, ARITHMETICS[name]) for group in found.groups}
    means = [(fmean(falls[group.key]), group) for group in found.groups if falls[group.key]]
    if not means:
        return None
    ids = [row.id for _, group in means for row in group.rows]
    most, arm = max(means, key=lambda pair: pair[0])
    where = f"{study.place}/{found.setting}/{found.student}"
    how = f"mean over seeds, then over {len(means)} arms, of alambic.report.chapters.chip.list_falls"
    mean = overview.facts.add(f"lost {name}/{where}", fmean(value for value, _ in means), "effect", ids, "", how)
    worst = overview.facts.add(f"most lost {name}/{where}", most, "effect", arm.ids, "", "mean over seeds of one arm")
    single, cell = max(
        (fall, row.id) for _, group in means for fall, row in zip(falls[group.key], group.rows, strict=True)
    )
    alone = overview.facts.add(f"most lost by one training {name}/{where}", single, "effect", [cell])
    return Lost(study, found.student, mean, worst, alone, arm)


def _list_lost(overview: Overview, name: str) -> list[Lost]:
    pairs = [(study, found) for study in overview.claims for found in study.findings.students]
    every = [measure_lost(study, found, name, overview) for study, found in pairs]
    return [one for one in every if one is not None]


def say_arithmetic(overview: Overview) -> list[Claim]:
    """What other arithmetics than int8 with a scale a channel cost; what QAT changes."""
    lost = {name: _list_lost(overview, name) for name in RISKY}
    claims = []
    if all(lost.values()):
        told: dict[str, Blank] = {}
        for name, key in (("power_of_two", "power"), ("4bit", "four")):
            told |= dict(zip((f"{key}_least", f"{key}_most"), _find_ends(lost[name]), strict=True))
        told["listing"] = tuple(_tell_students(lost["per_tensor"]))
        worst = _find_worst(lost["per_tensor"])
        told |= {"worst": worst.worst, "arm": tell_group(worst.arm), "study": worst.study.name}
        told["single"] = max((one.single for one in lost["per_tensor"]), key=lambda fact: fact.value)
        claims.append(Claim("all_arithmetic", told, "warning"))
    listing = tuple(_tell_qat(overview))
    return claims + ([Claim("all_qat", {"listing": listing})] if listing else [])


def tell_group(group: Group) -> Words:
    """An arm in words, the student alone by what it is."""
    alone: dict[Lang, str] = {"en": "the student alone", "fr": "l’élève seul"}
    return Words(alone if group.is_baseline else {lang: name_group(group, lang) for lang in LANGS})


def _find_ends(lost: list[Lost]) -> tuple[Fact, Fact]:
    values = sorted((one.mean for one in lost), key=lambda fact: fact.value)
    return values[0], values[-1]


def _tell_students(lost: list[Lost]) -> Iterator[tuple[Blank, ...]]:
    """Each student with the least and the most that a study of it lost."""
    for student in sorted({one.student for one in lost}):
        least, most = _find_ends([one for one in lost if one.student == student])
        yield (student, least, TO, most) if least is not most else (student, most)


def tell_tensor(overview: Overview) -> tuple[Blank, ...]:
    """What one scale per tensor costs at most, to be said with what a scale per channel does; nothing if not run."""
    lost = _list_lost(overview, "per_tensor")
    up_to = Words({"en": ", with one scale per tensor up to", "fr": ", avec une seule échelle par tenseur jusqu’à"})
    return ((up_to, _find_worst(lost).worst),) if lost else ()


def _find_worst(lost: list[Lost]) -> Lost:
    return max(lost, key=lambda one: one.worst.value)


def _tell_qat(overview: Overview) -> Iterator[tuple[Blank, ...]]:
    """Each arm that was trained on with rounding: what int8 loses without and with that."""
    with_it, seen = Words({"en": "with it", "fr": "avec"}), set[tuple[str, ...]]()  # a study may keep another's cells
    for study in overview.claims:
        split = study.findings.scored.split
        for group in study.findings.groups:
            falls = list_falls(group, split, "qat_int8")
            if falls and "fall" in group.numbers and group.ids not in seen:
                name = f"lost after QAT/{study.place}/{group.key}"
                how = f"mean over seeds of {split} - {split}_qat_int8"
                after = overview.facts.add(name, fmean(falls), "effect", group.ids, "", how)
                seen.add(group.ids)
                yield tell_group(group), group.numbers["fall"], with_it, after, f"({study.name})"


def say_dont_arithmetic(overview: Overview) -> list[Claim]:
    """That an arithmetic of which arms lost much is to be tried first."""
    every = [one for name in RISKY for one in _list_lost(overview, name)]
    if not every:
        return []
    worst = _find_worst(every)
    told: dict[str, Blank] = {"most": worst.worst, "arm": tell_group(worst.arm), "study": worst.study.name}
    return [Claim("all_dont_arithmetic", told, "loss")]


def tabulate_arithmetic(overview: Overview, lang: Lang) -> Table:
    """A row a study and student: points lost in each arithmetic, the mean over its arms and the worst of them."""
    words, texts = read_overview_texts(lang), read_advice_texts(lang)
    heads = [
        f"{words['study']}, {read_texts(lang)['student'].lower()}",
        texts["tried_on"],
        *(texts[name] for name in ARITHMETICS),
    ]
    table = Table(tuple((head, "", place > 0) for place, head in enumerate(heads)))
    for study in overview.claims:
        for found in study.findings.students:
            every = {name: measure_lost(study, found, name, overview) for name in ARITHMETICS}
            if any(every.values()):
                images = max(row.numbers.get("kernel_images", 0) for group in found.groups for row in group.rows)
                first = [Entry(f"{study.name}, {found.student}"), Entry(show_number(images, "number", lang), images)]
                table.rows.append([*first, *(_tell_lost(one, lang) for one in every.values())])
    return drop_empty(table)


def _tell_lost(lost: Lost | None, lang: Lang) -> Entry:
    if lost is None:
        return Entry("–")
    mean, worst = (show_number(fact.value, "effect", lang, noun=False) for fact in (lost.mean, lost.worst))
    return Entry(f"{mean} ({worst})", lost.mean.value)


def is_detector(group: Group, findings: Findings) -> bool:
    """Whether a study of two classes counts false alarms: one class is rare, so that nearly every answer is the other
    one, and that two networks agree tells nothing."""
    names = group.rows[0].content.get("class_names", ())
    return len(names) == 2 and any(RECALL in name for name in findings.conditions.get(group.key, {}))


@dataclass(frozen=True)
class Level:
    """What one student of a confirmation scores in int8: alone and by its best arm; at one false alarm in a hundred
    and in the dark where that was measured."""

    study: Study
    alone: Group
    best: Group

    def read(self, group: Group, *parts: str) -> Fact | None:
        """A fact of a group under another condition, in the precision of the score."""
        scored = self.study.findings.scored
        after = ["int8"] * (scored.precision == "int8")
        return self.study.findings.conditions.get(group.key, {}).get("_".join([scored.split, *parts, *after]))


def list_levels(overview: Overview) -> list[Level]:
    """Of each student of a confirmation that was run alone, and not alone only."""
    return [
        Level(study, found.baseline, found.best)
        for study in overview.claims
        for found in study.findings.students
        if found.baseline is not None and found.contrasts
    ]


def say_levels(overview: Overview) -> list[Claim]:
    """That gains are not levels: recall of the best arm where false alarms are counted; what the dark takes."""
    alone = Words({"en": "alone", "fr": "seul"})
    listing, found, dark = [], [], []
    for level in list_levels(overview):
        recall, bare = (level.read(group, RECALL) for group in (level.best, level.alone))
        if is_detector(level.best, level.study.findings) and recall is not None and bare is not None:
            found.append(recall.value)
            listing.append((level.study.name, recall, _bracket(level.best), alone, bare))
        usual, without_light = level.read(level.best, "on_trained"), level.read(level.best, "on_dark")
        if usual is not None and without_light is not None:
            dark.append((level.study.name, usual, TO, without_light))
    low = bool(found) and max(found) < USABLE
    claims = [Claim("all_recall_low" if low else "all_recall", {"listing": tuple(listing)}, "warning")] if found else []
    return [*claims, *([Claim("all_dark", {"listing": tuple(dark)}, "warning")] if dark else [])]


def _bracket(group: Group) -> Words:
    return Words({lang: f"({told})," for lang, told in tell_group(group).by_lang.items()})


def tabulate_levels(overview: Overview, lang: Lang) -> Table:
    """A row a student of a confirmation: its score alone and by its best arm, recall and the dark where measured."""
    texts = read_advice_texts(lang)
    names = ("alone_level", "best_level", "its_level", "recall_alone", "recall_best", "dark")
    heads = [read_overview_texts(lang)["study"], *(texts[name] for name in names)]
    table = Table(tuple((head, "", place not in (0, 2)) for place, head in enumerate(heads)))
    for level in list_levels(overview):
        metric = level.study.findings.scored.metric
        told = f", {name_metric(metric, lang)}" * (metric != "accuracy")
        recalls = [fact_entry(level.read(group, RECALL), lang) for group in (level.alone, level.best)]
        first = [Entry(level.study.name + told), fact_entry(level.alone.score, lang)]
        first += [Entry(tell_group(level.best).by_lang[lang]), fact_entry(level.best.score, lang)]
        table.rows.append([*first, *recalls, fact_entry(level.read(level.best, "on_dark"), lang)])
    return drop_empty(table)
