"""Which of two methods gives more, teacher by teacher, in each study that ran both with many teachers."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations
from statistics import fmean

from scipy import stats

from alambic.report.chapters.claims import Claim, Words
from alambic.report.chapters.tables import Entry, Table, fact_entry
from alambic.report.facts.fact import Fact
from alambic.report.facts.findings import StudentFindings
from alambic.report.facts.gather import Group
from alambic.report.overview.gather import Overview, Study, tell_data
from alambic.report.overview.teachers import OF
from alambic.report.words.overview_texts import read_overview_texts
from alambic.report.words.texts import read_texts
from alambic.report.words.wording import Lang, show_number

FEWEST = 5  # teachers that both methods need
WITH = Words({"en": "gives more than", "fr": "donne plus que"})
BY = Words({"en": "with", "fr": "avec"})


@dataclass(frozen=True)
class Paired:
    """One method against another for a student, over the teachers that both were tried with; the one that gives more
    on average comes first.

    Attributes:
        gain: mean over teachers of the difference, interval over teachers. more: teachers with which it gives more.
        ends: teacher and difference, of the least and the most.
    """

    study: Study
    student: str
    arm: str
    other: str
    gain: Fact
    more: Fact
    teachers: Fact
    ends: tuple[tuple[str, float], tuple[str, float]]


def compare_methods(overview: Overview) -> list[Paired]:
    """Of all students of all studies."""
    return [
        one for study in overview.studies for own in study.findings.students for one in _compare(study, own, overview)
    ]


def _compare(study: Study, student: StudentFindings, overview: Overview) -> Iterator[Paired]:
    number, taught = study.findings.scored.number, dict[str, dict[str, Group]]()
    for group in student.groups:
        content = group.rows[0].content
        arm = content["arm"]
        plain = not (arm.get("treatments") or arm.get("modifiers")) and arm["methods"] == [arm["name"]]
        if group.teacher is not None and plain and content.get("teacher_hash") not in study.findings.nasty:
            taught.setdefault(arm["name"], {}).setdefault(group.teacher, group)
    for one, two in combinations(sorted(taught), 2):
        shared = sorted(taught[one].keys() & taught[two].keys())
        differences = {name: _differ(taught[one][name], taught[two][name], number) for name in shared}
        known = {name: value for name, value in differences.items() if value is not None}
        if len(known) >= FEWEST:
            yield _pair(study, student, (one, two), known, overview)


def _differ(first: Group, second: Group, number: str) -> float | None:
    """Mean over the seeds that both have; None without one."""
    one, two = first.values(number), second.values(number)
    seeds = one.keys() & two.keys()
    return fmean(one[seed] - two[seed] for seed in seeds) if seeds else None


def _pair(
    study: Study, student: StudentFindings, arms: tuple[str, str], known: dict[str, float], overview: Overview
) -> Paired:
    turned = fmean(known.values()) < 0
    arm, other = reversed(arms) if turned else arms
    values = {name: -value if turned else value for name, value in known.items()}
    count, mean = len(values), fmean(values.values())
    half = float(stats.t.ppf(0.975, count - 1)) * float(stats.sem(list(values.values())))
    key = f"{arm} over {other}/{student.student} {student.setting}/{study.place}"
    how = "paired by seed, a value a teacher; "
    gain = overview.facts.add(
        f"by teacher: {key}", mean, "points", (), "", how + "t interval over teachers", (mean - half, mean + half)
    )
    above = sum(value > 0 for value in values.values())
    more = overview.facts.add(f"teachers with more: {key}", above, "teachers", (), "", how)
    total = overview.facts.add(f"teachers of: {key}", count, "number", (), "", how)
    order = sorted(values.items(), key=lambda item: item[1])
    return Paired(study, student.student, arm, other, gain, more, total, (order[0], order[-1]))


def say_by_teacher(overview: Overview) -> list[Claim]:
    """Where one method gives more than another over teachers, beyond their spread; where none does."""
    pairs = compare_methods(overview)
    if not pairs:
        return []
    sure = [pair for pair in pairs if pair.gain.low is not None and pair.gain.low > 0]
    listing = tuple(
        (p.arm, WITH, p.other, BY, p.more, OF, p.teachers, p.gain, f"({p.study.name}, {p.student})") for p in sure
    )
    if not sure:
        return [Claim("all_by_teacher_none", {"count": len(pairs)}, "tie")]
    return [Claim("all_by_teacher", {"count": len(pairs), "listing": listing})]


def tabulate_by_teacher(overview: Overview, lang: Lang) -> Table:
    """A row a study, student and two methods: the difference, with how many teachers, the teachers at both ends."""
    words, texts = read_overview_texts(lang), read_texts(lang)
    heads = [words["study"], texts["arm"], texts["against"], texts["gain_column"], words["more_with"]]
    heads += [words["least_with"], words["most_with"]]
    table = Table(tuple((head, "", place in (3, 4)) for place, head in enumerate(heads)))
    for pair in compare_methods(overview):
        metric = (
            tell_data(pair.study, lang).rpartition(", ")[2] if pair.study.findings.scored.metric != "accuracy" else ""
        )
        head = ", ".join(filter(None, (pair.study.name, pair.student, metric)))
        more, total = (show_number(fact.value, "number", lang) for fact in (pair.more, pair.teachers))
        ends = [Entry(f"{name} {show_number(value, 'points', lang, noun=False)}") for name, value in pair.ends]
        first = [Entry(head), Entry(pair.arm), Entry(pair.other), fact_entry(pair.gain, lang, noun=False)]
        table.rows.append([*first, Entry(words["of"].format(part=more, whole=total)), *ends])
    return table
