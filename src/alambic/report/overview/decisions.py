"""What to take for each student and data, over all confirmations: studies that ask of the same are told in one row.

Only what a study declared, found and did not look at before counts as shown; the rest is a lead, or left out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from alambic.report.chapters.answers import name_student
from alambic.report.chapters.data_told import tell_brief, tell_task
from alambic.report.chapters.decisions import MOST_AVOIDED, tell_settings
from alambic.report.chapters.tables import Entry, Table, drop_empty
from alambic.report.facts.advice import Decision, decide
from alambic.report.facts.contrasts import Contrast
from alambic.report.facts.declared import find_confirmed
from alambic.report.facts.gather import Group
from alambic.report.overview.gather import Overview, Study, tell_data
from alambic.report.words.document import HEADINGS
from alambic.report.words.overview_advice_texts import read_advice_texts
from alambic.report.words.overview_texts import read_overview_texts
from alambic.report.words.texts import read_texts
from alambic.report.words.wording import Lang, hold, name_group, show_bounds, show_number

MOST_RIVALS = 4
Pair = tuple[Study, Contrast]


@dataclass(frozen=True)
class Advised:
    """Decisions of confirmations on one student and data: ``kept`` of those whose seeds stood from the start, the
    newest first; ``looked`` of those that added seeds after a look."""

    kept: tuple[tuple[Study, Decision], ...]
    looked: tuple[tuple[Study, Decision], ...]

    @property
    def first(self) -> tuple[Study, Decision]:
        return (*self.kept, *self.looked)[0]

    @property
    def gain(self) -> float:
        """The largest gain of what to take, for the order of rows; below all others where there is none."""
        taken = [pick(made) for _, made in self.kept]
        return max((one.gain.value for one in taken if one is not None), default=-1.0)

    @property
    def is_sure(self) -> bool:
        return any(is_sure(study, made) for study, made in self.kept)


def pick(made: Decision) -> Contrast | None:
    """The arm to take, with its gain over the student alone: the simplest that was not shown to be worse."""
    return made.simpler or made.take


def is_sure(study: Study, made: Decision) -> bool:
    """Whether a declared contrast confirms what to take."""
    taken = pick(made)
    return taken is not None and find_confirmed(study.findings.declared, taken) is not None


def has_looked(study: Study) -> bool:
    """Whether seeds were added after a look at the results."""
    return study.findings.declared is not None and study.findings.declared.first_seeds is not None


def gather_advised(overview: Overview) -> list[Advised]:
    """A row a student and data, what is confirmed first, then by gain."""
    found: dict[tuple[str, str], list[tuple[Study, Decision]]] = {}
    for study in sorted(overview.claims, key=lambda study: str(study.findings.meta.get("started")), reverse=True):
        for made in decide(study.findings):
            found.setdefault((made.found.student, _tell(made.found.groups[0], study, "en")), []).append((study, made))
    rows = [
        Advised(
            tuple(pair for pair in pairs if not has_looked(pair[0])),
            tuple(pair for pair in pairs if has_looked(pair[0])),
        )
        for pairs in found.values()
    ]
    return sorted(rows, key=lambda row: (not row.is_sure, -row.gain))


def _tell(group: Group, study: Study, lang: Lang) -> str:
    return tell_task(group, study.findings.scored.metric, lang)


def list_harmed(overview: Overview) -> list[Pair]:
    """Declared contrasts of a taught student with the student alone that were shown to be a loss, worst first."""
    harmed = [(s, c) for s, c in overview.with_alone if c.verdict == "loss" and not _is_small(s, c)]
    return sorted(harmed, key=lambda pair: pair[1].gain.value)


def _is_small(study: Study, contrast: Contrast) -> bool:
    return study.findings.declared is not None and study.findings.declared.is_small(contrast)


def split_won(overview: Overview) -> tuple[list[Pair], list[Pair]]:
    """Confirmed contrasts of two teachers: those to advise, and those not to.

    Not to advise: seeds were added after a look; declared again on such data it was not confirmed; or the study
    declared the arm against other teachers too and it did not beat each of them.
    """
    won = [(s, c) for s, c in overview.of_teachers if s.is_confirmed(c)]
    lost = [(s, c) for s, c in overview.of_teachers if not s.is_confirmed(c)]
    kept = [pair for pair in won if not has_looked(pair[0]) and not any(_undoes(pair, other) for other in lost)]
    return kept, [pair for pair in won if pair not in kept]


def _undoes(won: Pair, other: Pair) -> bool:
    """Whether an unconfirmed contrast speaks against a confirmed one: the same declared elsewhere, or the same arm."""
    (study, c), (again, o) = won, other
    if study is again:
        return c.group.key == o.group.key
    kinds = [
        (tell_data(s, "en"), one.group.student, one.group.arm, one.other.arm, one.other.teacher)
        for s, one in (won, other)
    ]
    return kinds[0] == kinds[1]


def tabulate_all_decisions(overview: Overview, lang: Lang) -> Table:
    """A row a student and data: what to take, its gain and settings, how sure, what may do as well, what harmed."""
    words, texts = {key: by_lang[lang] for key, by_lang in HEADINGS.items()}, read_advice_texts(lang)
    heads = [texts["student_data"], texts["take_gain"], words["confidence"]]
    heads += [texts["rivals"], texts["harmed"], words["settings"]]
    table = Table(tuple((head, "", False) for head in heads))
    harmed = list_harmed(overview)
    for row in gather_advised(overview):
        study, made = row.first
        shown = sorted(row.kept or row.looked, key=lambda pair: -_value(pick(pair[1])))
        several = len(shown) > 1
        takes = [_tell_taken(pair[1], lang) + f" ({pair[0].name})" * several for pair in shown]
        sure = tell_all_sure(shown, lang)
        sure += [_tell_looked(*pair, lang) for pair in row.looked]
        rivals = [_tell_rival(s, c, lang) + f" ({s.name})" * several for s, one in shown for c in _list_rivals(one)]
        places = {one.place for one, _ in (*row.kept, *row.looked)}
        own = [c for s, c in harmed if s.place in places and c.group.student == made.found.student]
        bad = [name_group(c.group, lang) for c in own[:MOST_AVOIDED]]
        settings = [tell_settings(taken.group, lang) for _, one in shown if (taken := pick(one)) is not None]
        place = f"{name_student(made.found, study.findings)}, {_tell(made.found.groups[0], study, lang)}"
        told = ([place], takes, sure, rivals[:MOST_RIVALS], bad, list(dict.fromkeys(settings)))
        table.rows.append([_join(parts, lang) for parts in told])
    return drop_empty(table)


def _join(parts: Sequence[str], lang: Lang) -> Entry:
    return Entry(("; " if lang == "en" else " ; ").join(parts) or "–", class_="wide")


def _list_rivals(made: Decision) -> list[Contrast]:
    """What gains too and is not shown to be worse than what to take; that which a simpler arm stands in for too."""
    taken = pick(made)
    every = [*([made.take] if made.take is not None else []), *made.rivals]
    return [c for c in every if taken is not None and c.group.key != taken.group.key]


def _tell_rival(study: Study, contrast: Contrast, lang: Lang) -> str:
    sure = find_confirmed(study.findings.declared, contrast) is not None
    told = f", {HEADINGS['confirmed'][lang]}" * sure
    return f"{name_group(contrast.group, lang)} {_show_gain(contrast, lang)}{told}"


def _name_taken(made: Decision, lang: Lang) -> str:
    taken = pick(made)
    if taken is not None:
        return name_group(taken.group, lang)
    return HEADINGS["more_seeds" if made.unseen else "alone"][lang]


def _tell_taken(made: Decision, lang: Lang) -> str:
    taken = pick(made)
    return _name_taken(made, lang) + (f" {_show_gain(taken, lang)}" if taken is not None else "")


def _show_gain(contrast: Contrast | None, lang: Lang) -> str:
    if contrast is None:
        return "–"
    gain = contrast.gain
    return hold(f"{show_number(gain.value, gain.unit, lang, noun=False)} {show_bounds(gain, lang)}".strip())


def tell_all_sure(shown: Sequence[tuple[Study, Decision]], lang: Lang) -> list[str]:
    """How sure each study is, once where all say the same, else with its name."""
    told = [tell_sure(*pair, lang) for pair in shown]
    if len(set(told)) == 1:
        return told[:1]
    return [f"{one} ({study.name})" for one, (study, _) in zip(told, shown, strict=True)]


def tell_sure(study: Study, made: Decision, lang: Lang) -> str:
    """Confirmed, and against what else than the student alone; a lead; nothing shown."""
    taken = pick(made)
    if taken is None:
        return HEADINGS["unproved"][lang]
    told = find_confirmed(study.findings.declared, taken)
    if told is None:
        return _tell_undeclared(made, lang)
    if told.other.key == taken.other.key:
        return HEADINGS["confirmed"][lang]
    against = f"{read_texts(lang)['against'].lower()} {name_group(told.other, lang)} {_show_gain(told, lang)}"
    return ", ".join([HEADINGS["confirmed"][lang], against, read_advice_texts(lang)["not_over_alone"]])


def _tell_undeclared(made: Decision, lang: Lang) -> str:
    """A lead; where a confirmed arm has more parts and was not shown to be better, that it stands in for that one."""
    texts = read_advice_texts(lang)
    if made.simpler is None or made.confirmed is None:
        return texts["undeclared"]
    return texts["stands_in"].format(undeclared=texts["undeclared"], arm=name_group(made.confirmed.group, lang))


def _tell_looked(study: Study, made: Decision, lang: Lang) -> str:
    texts = read_advice_texts(lang)
    blanks = {"study": study.name, "looked": texts["added"], "arm": _name_taken(made, lang)}
    return texts["earlier"].format(**blanks, gain=_show_gain(pick(made), lang))


def tabulate_brief(overview: Overview, lang: Lang) -> Table:
    """For a wall: a row a student and task, its images, classes and epochs with it; tasks are never pooled."""
    words, texts = read_overview_texts(lang), read_advice_texts(lang)
    heads = (read_texts(lang)["student"], words["task"], words["take"], words["gain_of"])
    table = Table(tuple((head, "", False) for head in heads))
    for row in gather_advised(overview):
        _, made = row.first
        sure = [(s, one) for s, one in row.kept if is_sure(s, one)]
        _, best = max(sure or row.kept or row.looked, key=lambda pair: _value(pick(pair[1])))
        taken = pick(best)
        lead = "" if sure else f" ({texts['undeclared']})"
        take = name_group(taken.group, lang) + lead if taken is not None else texts["none_confirmed"]
        gain = _show_gain(taken, lang)
        table.rows.append([
            Entry(made.found.student), Entry(tell_brief(made.found.groups[0], lang)), Entry(take), Entry(gain),
        ])  # fmt: skip
    return table


def _value(contrast: Contrast | None) -> float:
    return contrast.gain.value if contrast is not None else float("-inf")
