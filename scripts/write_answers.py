"""Writes what the committed studies found: `python scripts/write_answers.py`.

Three answers, as tables and sentences in docs/answers.md; the README has a table of what ranks teachers. Which teacher:
of studies whose teachers were judged (``suitability.json`` beside the exported ledger). Which method: of claims. Which
new idea: the fate of each one, which docs/ideas.md tells too.

Each study with purpose "claim" whose ledger is exported beside its file (``studies/**/ledger``) is told: its contrasts
in a table, then the words of its own report. A test writes all again and compares. A study that is not finished is
named and nothing else is told of it: whoever looks at p values while the seeds come in finds what he likes.

``docs/answers.svg`` shows all declared contrasts, ``docs/gains.svg`` those with the student alone,
``docs/teachers-STUDY.svg`` a judged study's teachers. Studies that
declared falsifiers are told in docs/ideas.md likewise: each idea's fate beside its controls.
"""

from __future__ import annotations

import itertools
from pathlib import Path

from markupsafe import Markup

from alambic.report.chapters.across import describe_across
from alambic.report.chapters.claims import METRIC_NAMES, SCORE_NAMES, Claim
from alambic.report.chapters.data_told import detail_data
from alambic.report.chapters.declared import describe_declared
from alambic.report.chapters.ideas import describe_ideas
from alambic.report.chapters.suitability import (
    best_estimator,
    list_survey,
    name_allowed,
    say_families,
    say_judgement,
    tell_title,
)
from alambic.report.chapters.tables import Table, fact_entry
from alambic.report.chapters.teachers import draw_teachers
from alambic.report.facts.contrasts import Contrast
from alambic.report.facts.fact import Fact, Facts
from alambic.report.facts.findings import Findings
from alambic.report.facts.suited import Judged, Suitability
from alambic.report.overview.chip import say_levels
from alambic.report.overview.gather import Overview, gather
from alambic.report.overview.kept import (
    CORRECTED,
    CORRECTED_AT,
    claim_ledgers,
    count_compared,
    count_seeds,
    count_wanted,
    find,
    find_former,
    idea_ledgers,
    ideas_finished,
    is_finished,
    is_judged,
    judged_ledgers,
    mean_gains,
)
from alambic.report.print.svg import paint
from alambic.report.svg import Scale, drawing, line, mark, round_ticks, tag, text
from alambic.report.words.suitability import COVARIATES
from alambic.report.words.texts import read_texts
from alambic.report.words.wording import name_group, show_number
from alambic.study.ledger import Ledger

FIGURE, GAINS = "docs/answers.svg", "docs/gains.svg"
WIDTH, NAMES = 940.0, 500.0  # of the figure; its left part that holds the contrasts' names
TONES = ("gain", "loss", "tie", "open")  # the key below the figure
LONGEST = 76  # letters of a name there; a longer pair of names stands on two lines
LOOKED = "seeds added after a look"
ROOT = Path(__file__).resolve().parent.parent
PAGE = "docs/answers.md"
HOW_TO_READ = f"""Tables first, then the words of each study's own report. *better* was declared before the run and
holds after Holm's correction within its study. *tie* means **not shown**: less than the smallest such difference that a
test shows here four times in five, or than was declared to matter; it does not mean equal, read the interval (*tie, not
zero*: it leaves out zero all the same). *undecided* is what neither says; of an idea, that its interval shows no
advantage and, with all of its controls counted (Bonferroni), does not rule one out. *alone* is the student without a
teacher. The rule for comparing two arms with a
teacher was corrected on {CORRECTED}, results known; verdicts that it changed say so. *{LOOKED.capitalize()}*: that test
errs more often than its p tells. Three declarations (`resnet8`, `adapted_fashion`, `adapted_fish`) stand in this
repository's history only since a lost session was recovered, after their results; that they came first rests on the
hash of the file that the ledger took at its first run. The teachers of CIFAR-100, Fashion-MNIST and presence were
trained with the labels of the whole train split, their students with those of a part: what is gained is in part what
those labels hold. The student alone is the one that learns from the bank's views; what fresh views each epoch give it
stands in [curves.md](curves.md). p is over seeds; intervals are over seeds and images, under *Which teacher?* over
teachers. Each claim has only the controls that its rows name; what a wider student, label smoothing and teachers that
know nothing give on CIFAR-100 is an [exploration](../studies/cross-architecture/README.md)."""
START, END = "<!-- answers: written by scripts/write_answers.py -->\n", "<!-- end of answers -->\n"


def tell_study(folder: Path, root: Path) -> list[str]:
    """One study: what was compared on what, each declared contrast, the command that computes it again."""
    ledger = Ledger(folder, read_only=True)
    if not is_finished(folder):
        wanted, found = count_wanted(ledger), count_seeds(folder)
        place = folder.relative_to(root).parent
        whole = sum(count >= wanted for count in found)
        return [
            f"**[{ledger.meta('study_name')}](../{place})** is not finished: {whole} of its {len(found)} declared "
            f"contrasts have all {wanted} seeds, and nothing is told before all have.",
            "",
        ]
    findings = find(folder)
    assert findings.declared is not None
    said = [
        block.text("en")
        for block in describe_declared(findings.declared, "en")
        if isinstance(block, Claim) and block.key not in ("declared_before", "rest_explores")
    ]
    told = [*[f"- {sentence}" for sentence in said], *_tell_former(findings)]
    return [_tell_setting(findings), "", *told, "", *_trace(folder, root)]


def _tell_former(findings: Findings) -> list[str]:
    """Verdicts of a study that the correction changed, in a sentence."""
    assert findings.declared is not None
    changed = [
        f"{name_group(contrast.group, 'en')} against {name_group(contrast.other, 'en')} ({former})"
        for contrast in findings.declared.contrasts
        if (former := find_former(contrast, findings))
    ]
    told = f"Told otherwise until {CORRECTED}, when a rule was corrected after these results were known"
    return [f"- {told}: {'; '.join(changed)}."] if changed else []


def _tell_setting(findings: Findings) -> str:
    """What was trained on what, and what the students alone score."""
    alone = [
        f"`{found.student}` alone scores {show_number(found.baseline.score.value, 'share', 'en')}"
        for found in findings.students
        if found.baseline is not None
    ]
    return (
        f"**{findings.name}** ({_tell_data(findings)}, "
        f"{SCORE_NAMES[findings.scored.number]['en']}): {', '.join(alone)}."
    )


def _tell_data(findings: Findings) -> str:
    """What the student sees, training images and, where it is not accuracy, the metric."""
    metric = findings.scored.metric
    told = [METRIC_NAMES[metric]["en"]] if metric in METRIC_NAMES and metric != "accuracy" else []
    return ", ".join([*detail_data(findings.groups[0], "en"), *told])


def _trace(folder: Path, root: Path) -> list[str]:
    """The command that computes a study's numbers again, and where it stands."""
    place = folder.relative_to(root)
    command = f"alambic report {place} --check {place.parent}/report.html"
    return [f"`{command}` computes each number again; the study is in [{place.parent}](../{place.parent}).", ""]


def tabulate_claims(root: Path) -> list[str]:
    """A row a declared contrast of the finished claims; what is not finished is named below."""
    rows = ["| study | what | against | points gained | |", "|---|---|---|---|---|"]
    below: list[str] = []
    for folder in claim_ledgers(root):
        place = folder.relative_to(root).parent
        if not is_finished(folder):
            below += ["", *tell_study(folder, root)]
            continue
        findings = find(folder)
        assert findings.declared is not None
        alone = next((found.baseline for found in findings.students if found.baseline is not None), None)
        told = f"; alone {show_number(alone.score.value, 'share', 'en')}" if alone is not None else ""
        told += f"; {count_wanted(Ledger(folder, read_only=True))} seeds"
        first = findings.declared.first_seeds
        told += f", of which {first.value:.0f} were asked for first" if first is not None else ""
        head = f"[{place.relative_to('studies')}](../{place}), {_tell_data(findings)}{told}"
        for contrast in findings.declared.contrasts:
            verdict = read_texts("en")[findings.declared.name_verdict(contrast)]
            former = find_former(contrast, findings)
            verdict += f" ({former} until {CORRECTED})" if former else ""
            verdict += f", {LOOKED}" if first is not None else ""
            names = f"{name_group(contrast.group, 'en')} | {name_group(contrast.other, 'en')}"
            rows.append(f"| {head} | {names} | {_show(contrast.gain)} | {verdict} |")
            head = ""
    return [*rows, *below, ""]


def tabulate_ideas(root: Path) -> list[str]:
    """A row an idea of the finished studies: its fate, and its hardest control."""
    rows = ["| study | idea | fate | against its hardest control | points gained |", "|---|---|---|---|---|"]
    below: list[str] = []
    for folder in idea_ledgers(root):
        if not ideas_finished(folder):
            below += ["", *tell_ideas(folder, root)]
            continue
        findings, place = find(folder), folder.relative_to(root).parent
        if findings.ideas_changed:
            below += ["", f"{place.relative_to('studies')}: {Claim('ideas_changed', {}).text('en')}"]
        head = f"[{place.relative_to('studies')}](../{place}), {findings.students[0].student}"
        for idea in findings.ideas:
            hardest = idea.hardest
            assert hardest is not None  # a finished study misses no control
            told = f"{name_group(hardest.group, 'en')} – {name_group(hardest.other, 'en')}"
            rows.append(f"| {head} | {idea.name} | {read_texts('en')[idea.fate]} | {told} | {_show(hardest.gain)} |")
            head = ""
    return [*rows, *below, ""]


def tabulate_families(findings: Findings) -> list[str]:
    """What each family gave as measured, then its effect against the reference, a row a scope and model."""
    assert findings.suitability is not None
    rows = ["| teachers | allowing for | against | points that a family gives more |", "|---|---|---|---|"]
    means = mean_gains(findings)
    told = "; ".join(f"{family} {show_number(gain, 'points', 'en', noun=False)}" for family, gain in means.items())
    nothing = COVARIATES[""]["en"]
    rows.append(f"| all, means as measured | {nothing} | the student alone | {told} |")
    shown = itertools.groupby(findings.suitability.families, key=lambda one: (one.scope, one.covariates))
    for (scope, _), same in shown:
        families = list(same)
        told = "; ".join(f"{family.effect.family} {_show(family.gain)}" for family in families)
        allowed = ", ".join(COVARIATES[name]["en"] for name in name_allowed(families[0]))
        count = int(families[0].teachers.value)
        scope += "" if families[0].main else ", for comparison"
        rows.append(f"| {scope} ({count}) | {allowed} | {families[0].reference} | {told} |")
    return rows


def _show(fact: Fact) -> str:
    """A number of points with its interval, without its noun."""
    entry = fact_entry(fact, "en", noun=False)
    return f"{entry.text} {entry.note}".strip()


def tell_teachers(folder: Path, root: Path) -> list[str]:
    """One study of teachers: how far before-the-fact estimates can be trusted, which families give more."""
    findings = find(folder)
    assert findings.suitability is not None
    if not is_judged(findings, folder):
        return [f"**{findings.name}** is not finished, or was judged before it was.", ""]
    least, most = min(count_compared(findings)), max(count_compared(findings))
    told = f"{least} seeds" if least == most else f"{least} to {most} seeds"
    head = f"{_tell_setting(findings)} {told}; an exploration, whose results wait for a confirmation."
    judged = [f"- {claim.text('en')}" for claim in say_judgement(findings.suitability)]
    if str(findings.meta.get("started")) < CORRECTED_AT:
        judged.append(f"- Which model is a scope's answer on families was settled on {CORRECTED}, these gains known.")
    drawn = [f"![Gain by teacher]({Path(figure_of(folder)).name})", ""] if _draw_teachers(findings) else []
    families = [f"- {claim.text('en')}" for claim in say_families(findings.suitability)]
    return [head, "", *drawn, *judged, *families, "", *tabulate_families(findings), "", *_trace(folder, root)]


def tabulate_judged(root: Path) -> list[str]:
    """A row a study of teachers: how accuracy, a pilot, the best and the worst estimator rank, what the first two lose,
    how many families differ from the one with most teachers, and how wide the intervals on that are."""
    heads = ["study", "teachers", "accuracy", "a pilot", "best estimator", "worst estimator"]
    heads += ["lost by the most accurate", "by the pilot", "families told apart"]
    rows = [f"| {' | '.join(heads)} |", "|---" * len(heads) + "|"]
    for folder in judged_ledgers(root):
        findings, place = find(folder), folder.relative_to(root).parent
        found = findings.suitability
        if found is None or not is_judged(findings, folder):
            continue
        facts = {judged.verdict.name: judged.facts for judged in found.verdicts}
        best = best_estimator(found)
        worst = next(reversed(list_survey(found)), None)
        named = " | ".join("none" if one is None else _name_rank(one) for one in (best, worst))
        ranks = [_show(facts[name]["spearman"]) for name in ("accuracy", "pilot_gain")]
        lost = [_show(facts[name]["regret"]).lstrip("+") for name in ("accuracy", "pilot_gain")]
        teachers = f"{facts['accuracy']['teachers'].value:.0f}"
        rows.append(
            f"| [{place.relative_to('studies')}]({place}) | {teachers} | {ranks[0]} | {ranks[1]} | {named} | "
            f"{' | '.join(lost)} | {_tell_apart(found)} |"
        )
    return [*rows, ""]


def _name_rank(judged: Judged) -> str:
    return f"{tell_title(judged).by_lang['en']} {_show(judged.facts['spearman'])}"


def _tell_apart(found: Suitability) -> str:
    """Of all teachers, in the model that is the answer: families that differ, and half the width of the intervals."""
    effects = [family.effect for family in found.families if family.main and family.scope == "all"]
    if not effects:
        return "no answer"
    halves = sorted((effect.high - effect.low) / 2 for effect in effects)
    return f"{sum(effect.is_clear for effect in effects)} of {len(effects)}, ±{halves[0]:.1f} to ±{halves[-1]:.1f}"


def figure_of(folder: Path) -> str:
    """Where the picture of a study's teachers stands, from the root."""
    return f"docs/teachers-{Ledger(folder, read_only=True).meta('study_name')}.svg"


def _draw_teachers(findings: Findings) -> str:
    drawn = draw_teachers(findings, "en", read_texts("en"))
    return paint(drawn) + "\n" if drawn is not None else ""


def draw_all(root: Path) -> dict[str, str]:
    """Path from the root -> SVG, of every figure of the README."""
    teachers = {figure_of(folder): _draw_teachers(find(folder)) for folder in judged_ledgers(root)}
    whole = {FIGURE: draw_answers(root), GAINS: draw_answers(root, gains=True)}
    return {**whole, **{name: drawn for name, drawn in teachers.items() if drawn}}


def draw_answers(root: Path, gains: bool = False) -> str:
    """An SVG: every declared contrast of the finished claims with its interval; a panel and an axis a metric.

    ``gains``: only those with the student alone.
    """
    panels: dict[str, list[tuple[str, Contrast | None, bool]]] = {}
    for folder in claim_ledgers(root):
        findings = find(folder)
        if findings.declared is None or not is_finished(folder):
            continue
        place = folder.relative_to(root / "studies").parent
        added = " (seeds added)" if findings.declared.first_seeds is not None else ""
        metric = METRIC_NAMES.get(findings.scored.metric, {"en": findings.scored.metric})["en"]
        rows = panels.setdefault(metric, [])
        shown = [contrast for contrast in findings.declared.contrasts if contrast.other.is_baseline or not gains]
        for student in dict.fromkeys(contrast.group.student for contrast in shown):
            rows.append((f"{place}{added}, {student}, {findings.scored.precision}", None, False))
            for contrast in shown:
                if contrast.group.student == student:
                    names = [name_group(contrast.group, "en"), name_group(contrast.other, "en")]
                    told = names[0] if gains else " – ".join(names)
                    told = told if len(told) <= LONGEST else told.replace(" – ", " –\n", 1)
                    rows.append((told, contrast, findings.declared.is_small(contrast)))
    drawn: list[Markup] = []
    height = 0.0
    for metric, rows in panels.items():
        marks, height = _draw_panel(metric, rows, height)
        drawn += marks
    for at, tone in enumerate(TONES):
        drawn += [mark("diamond", 14 + 100 * at, height + 16, 5, f"point {tone}")]
        drawn += [text(24 + 100 * at, height + 20, read_texts("en")[tone])]
    height += 30
    ground = tag("rect", width=WIDTH, height=height, fill="#ffffff")
    kind = "gain over the student alone" if gains else "contrast"
    return paint(drawing(WIDTH, height, f"Every declared {kind} of the finished studies", ground, *drawn)) + "\n"


def _draw_panel(metric: str, rows: list[tuple[str, Contrast | None, bool]], top: float) -> tuple[list[Markup], float]:
    """The contrasts of one metric below ``top`` on an axis of their own, and where they end."""
    seen = [c.paired.interval for _, c, _ in rows if c is not None]
    low, high = (100 * min([i.low for i in seen] + [0.0]) - 0.2, 100 * max([i.high for i in seen] + [0.0]) + 0.2)
    tall = [24.0 if "\n" not in told else 38.0 for told, *_ in rows]
    scale, bottom = Scale(low, high, NAMES, WIDTH - 20.0), top + 20.0 + sum(tall)
    drawn: list[Markup] = []
    for tick in round_ticks(low, high):
        drawn += [line(scale(tick), top + 12, scale(tick), bottom, "axis" if tick == 0 else "grid")]
        drawn += [text(scale(tick), bottom + 16, f"{tick:+g}" if tick else "0", "middle", "tick")]
    drawn += [text((NAMES + WIDTH) / 2, bottom + 34, f"points of {metric} gained, 95 % intervals", "middle", "axis")]
    for index, (told, contrast, small) in enumerate(rows):
        y = top + 12 + sum(tall[:index]) + tall[index] / 2
        for number, part in enumerate(told.split("\n")):
            lower = y + 4 + 14 * (number - told.count("\n") / 2)
            drawn.append(text(8 if contrast is None else 20, lower, part, class_="head" if contrast is None else ""))
        if contrast is None:
            continue
        tone = "tie" if small else contrast.verdict
        found = contrast.paired.interval
        drawn += [line(scale(100 * found.low), y, scale(100 * found.high), y, f"whisker {tone}")]
        drawn += [mark("diamond", scale(100 * found.mean), y, 5, f"point {tone}")]
    return drawn, bottom + 48


def tell_ideas(folder: Path, root: Path) -> list[str]:
    """One study of ideas: on what, each idea's fate, where its cells stand."""
    findings = find(folder)
    wanted = count_wanted(Ledger(folder, read_only=True))
    place = folder.relative_to(root).parent
    where = f"[{findings.name}](../{place})"
    if not ideas_finished(folder):
        return [f"**{where}** is not finished, and nothing is told before all of its seeds are there.", ""]
    students = ", ".join(dict.fromkeys(f"`{found.student}`" for found in findings.students))
    head = (
        f"**{where}** ({_tell_data(findings)}, "
        f"{SCORE_NAMES[findings.scored.number]['en']}, {wanted} seeds) on {students}:"
    )
    told = describe_ideas(findings.ideas, (), findings.ideas_changed, "en")
    claims = [block for block in told if isinstance(block, Claim)]
    lines = [f"- {claim.text('en')}" for claim in claims if claim.key != "ideas_judged"]
    page = (folder.parent / "report.html").exists()
    traced = [f"Every control and the cells of each number: `{place}/report.html`.", ""] if page else []
    return [head, "", *lines, "", *traced]


def tell_levels(overview: Overview) -> list[str]:
    """What is reached, since gains are no levels: recall where false alarms are counted, and in the dark."""
    told = [claim.text("en") for claim in say_levels(overview)]
    return [*(f"- {sentence}" for sentence in told), ""] if told else []


def tell_across(overview: Overview) -> list[str]:
    """Pairs of arms over all teachers, students and data of the finished studies."""
    told: list[str] = []
    for block in describe_across(overview.across, "en"):
        if isinstance(block, Claim):
            told += [block.text("en"), ""]
        elif isinstance(block, Table):
            told += [f"| {' | '.join(head for head, *_ in block.heads)} |", "|---" * len(block.heads) + "|"]
            told += [f"| {' | '.join(f'{e.text} {e.note}'.strip() for e in row)} |" for row in block.rows] + [""]
    return ["## Beyond what was tried", "", *told] if told else []


def _between_marks(path: Path, told: list[str]) -> str:
    before, rest = path.read_text().split(START)
    return before + START + "\n".join(told) + END + rest.split(END)[1]


def write_answers(root: Path) -> str:
    """The README with what ranks teachers as the committed ledgers give it."""
    return _between_marks(root / "README.md", tabulate_judged(root))


def write_details(root: Path) -> str:
    """docs/answers.md: each question's table, then each study in the sentences of its report, with its command."""
    overview = gather(root, (), Facts())
    told = [
        "<!-- made by scripts/write_answers.py from committed ledgers -->",
        *("# The answers, study by study", "", HOW_TO_READ, ""),
        *("## Which teacher?", "", *[line for f in judged_ledgers(root) for line in tell_teachers(f, root)]),
        *("## Which method?", "", *tabulate_claims(root), *tell_levels(overview)),
        *[line for f in claim_ledgers(root) for line in tell_study(f, root)],
        *tell_across(overview),
        *("## Which new idea?", "", *tabulate_ideas(root)),
        *[line for f in idea_ledgers(root) for line in tell_ideas(f, root)],
    ]
    return "\n".join(told)


def write_fates(root: Path) -> str:
    """docs/ideas.md with the fates of the ideas as the committed ledgers give them."""
    told = [line for folder in idea_ledgers(root) for line in tell_ideas(folder, root)]
    return _between_marks(root / "docs" / "ideas.md", told or ["No study of ideas is committed yet.", ""])


if __name__ == "__main__":
    told = {"README.md": write_answers(ROOT), PAGE: write_details(ROOT), "docs/ideas.md": write_fates(ROOT)}
    told |= draw_all(ROOT)
    for name, content in told.items():
        (ROOT / name).write_text(content)
