"""The chapter on what a single number hides: agreement, calibration, and how alike student and teacher have become."""

from __future__ import annotations

from markupsafe import Markup

from alambic.report.chapters.answers import name_student
from alambic.report.chapters.blocks import Block, Figure
from alambic.report.chapters.claims import METRIC_NAMES, Blank, Claim
from alambic.report.chapters.rows import WIDTH
from alambic.report.chapters.tables import Entry, Table, fact_entry
from alambic.report.facts.examined import Alignment
from alambic.report.facts.fact import Fact
from alambic.report.facts.findings import Findings, StudentFindings
from alambic.report.facts.gather import Array, Group
from alambic.report.facts.sensors import read_condition
from alambic.report.svg import drawing, tag, text
from alambic.report.words.texts import Texts, read_texts
from alambic.report.words.wording import Lang, name_group, show_number

MOST_PAIRS = 4  # drawn of one student; of more, a table and the two ends
COLUMNS = ("agreement_int8", "agreement", "ece", "ece_int8", "nll", "nll_int8")


def describe_trust(findings: Findings, lang: Lang) -> list[Block]:
    """Claims and a table of agreement and calibration; the command that computes what is missing."""
    texts = read_texts(lang)
    blocks: list[Block] = []
    for found in findings.students:
        blocks += say_trust(found, findings)
    table = _tabulate(findings, lang, texts)
    blocks += [table] if table.rows else []
    blocks += describe_conditions(findings, lang)
    examined = findings.examination
    if examined is None:
        return [*blocks, Claim("not_examined", {})]
    blocks.append(Claim("examined_on", {"images": str(examined.images), "split": texts[f"on_{examined.split}"]}))
    if examined.left_out:
        blocks.append(Claim("examined_without", {"count": examined.left_out}, "warning"))
    bare = sum(not examined.numbers.get(group.key) for group in findings.groups)
    if bare:
        blocks.append(Claim("examined_partly", {"count": bare}, "warning"))
    return blocks


def say_trust(found: StudentFindings, findings: Findings) -> list[Claim]:
    """Agreement of int8 with fp32, and whose confidence to believe, for one student."""
    student = name_student(found, findings)
    claims = []
    agreements = _order(found, findings, "agreement_int8")
    if agreements:
        (least, worst), (most, _) = agreements[0], agreements[-1]
        told: dict[str, Blank] = {"student": student, "least": least, "arm": worst}
        one = len(agreements) == 1
        claims.append(Claim("agreement_one", told) if one else Claim("agreement", {**told, "most": most}))
    errors = _order(found, findings, "ece")
    if len(errors) > 1:
        (least, best), (most, worst) = errors[0], errors[-1]
        blanks: dict[str, Blank] = {"student": student, "best": best, "least": least, "worst": worst, "most": most}
        claims.append(Claim("calibrated", blanks))
    copied = _order(found, findings, "agreement")
    if copied:
        claims.append(Claim("copied", {"student": student, "arm": copied[-1][1], "most": copied[-1][0]}))
    return claims


def numbers_of(group: Group, findings: Findings) -> dict[str, Fact]:
    """Agreement and calibration of a group: by the ledger where it tells, else by the examination."""
    examined = findings.examination.numbers.get(group.key, {}) if findings.examination is not None else {}
    own = {"agreement_int8": group.numbers["agreement_int8"]} if "agreement_int8" in group.numbers else {}
    return {**examined, **findings.two_classes.get(group.key, {}), **own}


def _order(found: StudentFindings, findings: Findings, name: str) -> list[tuple[Fact, Group]]:
    known = [(numbers[name], group) for group in found.groups if name in (numbers := numbers_of(group, findings))]
    return sorted(known, key=lambda item: (item[0].value, item[1].key))


def _tabulate(findings: Findings, lang: Lang, texts: Texts) -> Table:
    each = [(found, group, numbers_of(group, findings)) for found in findings.students for group in found.groups]
    kept = [name for name in COLUMNS if any(name in numbers for _, _, numbers in each)]
    heads = [(texts["student"], "", False), (texts["arm"], "", False)]
    table = Table((*heads, *((texts[f"trust_{name}"], "", True) for name in kept)))
    for found, group, numbers in each:
        if not numbers:
            continue
        row = [Entry(name_student(found, findings)), Entry(name_group(group, lang))]
        table.rows.append([*row, *(fact_entry(numbers.get(name), lang, noun=False) for name in kept)])
    return table


def describe_conditions(findings: Findings, lang: Lang) -> list[Block]:
    """Scores behind other sensors and by other metrics, where the study asked for them: those of test before tune.

    A row for each arm and sensor, a column for each metric and precision.
    """
    texts = read_texts(lang)
    names = sorted({name for numbers in findings.conditions.values() for name in numbers})
    names = [name for name in names if name.startswith("test")] or names
    if not names:
        return []
    split = names[0].split("_")[0]
    told = [read_condition(name) or ("", "") for name in names]
    sensors = sorted({sensor for sensor, _ in told})  # "" is the one that the students were trained behind
    columns = [(metric, suffix) for metric in sorted({metric for _, metric in told}) for suffix in ("", "_int8")]
    columns = [(metric, suffix) for metric, suffix in columns if any(_ends(name, metric, suffix) for name in names)]
    heads = [(texts[name], "", False) for name in ("student", "arm", "behind")]
    table = Table((*heads, *((_name_column(metric, suffix, findings, lang), "", True) for metric, suffix in columns)))
    for found in findings.students:
        for group in found.groups:
            numbers = findings.conditions.get(group.key, {})
            for sensor in sensors:
                place = f"{split}_on_{sensor}" if sensor else split
                given = [numbers.get(f"{place}{metric and f'_{metric}'}{suffix}") for metric, suffix in columns]
                if any(given):
                    row = [name_student(found, findings), name_group(group, lang), sensor or texts["own_sensor"]]
                    scores = [fact_entry(fact, lang, noun=False) for fact in given]
                    table.rows.append([*map(Entry, row), *scores])
    return [Claim("conditions", {}), table]


def _ends(name: str, metric: str, suffix: str) -> bool:
    return (read_condition(name) or ("", ""))[1] == metric and name.endswith("_int8") == bool(suffix)


def _name_column(metric: str, suffix: str, findings: Findings, lang: Lang) -> str:
    own = findings.scored.metric
    named = METRIC_NAMES[metric][lang] if metric else METRIC_NAMES.get(own, {}).get(lang, own)
    return f"{named}, int8" if suffix else named


def describe_alignment(findings: Findings, lang: Lang) -> list[Block]:
    """CKA of student and teacher stages before and after, for each pair; the command where it is missing."""
    examined, texts = findings.examination, read_texts(lang)
    if examined is None or not any(examined.alignments.values()):
        return [Claim("not_aligned", {})]
    blocks: list[Block] = []
    for student, aligned in examined.alignments.items():
        drawn = aligned
        if len(aligned) > MOST_PAIRS:
            ordered = sorted(aligned, key=_rise)
            drawn = (ordered[-1], ordered[0])
            blocks.append(_tabulate_alignment(student, aligned, lang, texts))
        for one in drawn:
            blocks.append(say_alignment(student, one))
            title = f"{texts['cka']}: {student}, {one.teacher}"
            ends = f" {texts['cka_ends']}" if drawn is not aligned else ""
            blocks.append(Figure(_draw(one, title, lang, texts), texts["cka_caption"] + ends))
    return blocks


def _rise(one: Alignment) -> float:
    """What distillation adds to the mean CKA of training alone; without such a student, of no training."""
    return one.means["after"].value - one.means.get("alone", one.means["before"]).value


def _tabulate_alignment(student: str, aligned: tuple[Alignment, ...], lang: Lang, texts: Texts) -> Table:
    """Mean CKA over stages of each pair, those first whose likeness distillation raised most."""
    numbers = ("cka_before", "before"), ("cka_alone", "alone"), ("cka_after", "after")
    heads = [(texts[name], "", False) for name in ("student", "arm")]
    table = Table((*heads, *((f"CKA, {texts[title]}", "", True) for title, _ in numbers)))
    for one in sorted(aligned, key=_rise, reverse=True):
        means = [fact_entry(one.means.get(name), lang) for _, name in numbers]
        table.rows.append([Entry(student), Entry(name_group(one.group, lang)), *means])
    return table


def say_alignment(student: str, one: Alignment) -> Claim:
    """How alike the pair was, became, and would have become anyway."""
    blanks: dict[str, Blank] = {
        "student": student,
        "teacher": one.teacher,
        "arm": one.group,
        "after": one.means["after"],
    }
    blanks["before"] = one.means["before"]
    if "alone" not in one.means:
        return Claim("aligned", blanks)
    return Claim("aligned_alone", {**blanks, "alone": one.means["alone"]})


def _draw(one: Alignment, title: str, lang: Lang, texts: Texts) -> Markup:
    """Panels side by side: rows are the student's stages, columns the teacher's."""
    panels = [(texts["cka_before"], one.before)]
    panels += [(texts["cka_alone"], one.alone)] if one.alone is not None else []
    panels.append((name_group(one.group, lang), one.after))
    wide = WIDTH / 3
    parts = [_draw_panel(name, table, wide * place, wide, lang, texts) for place, (name, table) in enumerate(panels)]
    height = 62 + 32 * max(len(table) for _, table in panels)
    return drawing(WIDTH, height, title, *parts)


def _draw_panel(name: str, table: Array, left: float, wide: float, lang: Lang, texts: Texts) -> Markup:
    across, down = len(table[0]), len(table)
    margin, top, tall = 58.0, 44.0, 30.0
    cell = min(46.0, (wide - margin - 10) / across)
    parts = [text(left + margin, 14, name if len(name) <= 26 else name[:25] + "…", "start", "head")]
    parts.append(text(left + margin, 34, f"{texts['teacher'].lower()} 1…{across}", "start", "tick"))
    for row in range(down):
        y = top + tall * row
        parts.append(text(left + margin - 6, y + tall / 2 + 4, f"{texts['stage']} {row + 1}", "end", "tick"))
        for column in range(across):
            value = float(table[row][column])
            strength = f"{0.06 + 0.6 * min(max(value, 0.0), 1.0):.2f}"
            x = left + margin + cell * column
            parts.append(
                tag("rect", x=x, y=y, width=cell - 2, height=tall - 2, rx=2, class_="heat s0", fill_opacity=strength)
            )
            shown = show_number(value, "decimal", lang)
            parts.append(text(x + cell / 2 - 1, y + tall / 2 + 4, shown, "middle", "tick strong"))
    return tag("g", *parts)
