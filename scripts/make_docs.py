"""Writes the generated documentation: ``docs/methods/NAME.md`` for each method, and the tables of ``docs/survey.md``.

``python scripts/make_docs.py`` writes; ``--check`` only says which pages are out of date (exit code 1). The prose of
the survey is written by hand, around its generated parts.
"""

from __future__ import annotations

import argparse
import inspect
import re
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from study_page import make_study_page

from alambic.catalogue import CONTROLS, FIDELITY, MARKS, count_methods, needs_of
from alambic.methods import all_methods, create_method
from alambic.methods.base import Method, Paper
from alambic.methods.modifier import Modifier
from alambic.training.bank import BANKABLE
from alambic.training.costs import read_cost, read_setting
from alambic.treatments import all_modifiers, all_treatments
from alambic.treatments.base import Treatment

DOCS = Path(__file__).parent.parent / "docs"
NOTE = "<!-- made by scripts/make_docs.py: change the method's file instead -->"


def read_keys() -> dict[str, str]:
    """Title -> key of ``references.bib``."""
    text = (DOCS / "references.bib").read_text()
    return {title: key for key, title in re.findall(r"@\w+\{(\w+),\n  title = \{\{(.+?)\}\},", text)}


def cite(paper: Paper) -> str:
    """The key of a paper; LightlyTrain's parts share an entry."""
    keys = read_keys()
    return keys.get(paper.title) or keys[paper.title.split(":")[0]]


def read_equalities() -> dict[str, list[list[str]]]:
    """Method -> its rows of ``references.md``."""
    found: dict[str, list[list[str]]] = {}
    for line in (DOCS / "references.md").read_text().splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if line.startswith("| ") and len(cells) == 8 and cells[0] != "method" and not cells[0].startswith("-"):
            name = cells[0].split(" (")[0].split(" + ")[-1]
            found.setdefault(name, []).append(cells)
    return found


def describe_paper(paper: Paper) -> list[str]:
    if not paper.year:
        return []
    lines = [f"**{paper.title}**, {paper.authors}, {paper.venue} {paper.year}".replace(",  ", ", ")]
    lines[0] += f" (`{cite(paper)}` in [references.bib](../references.bib))."
    if paper.arxiv:
        lines.append(f"arXiv [{paper.arxiv}](https://arxiv.org/abs/{paper.arxiv}).")
    if paper.code:
        lines.append(f"Code that it was compared with: [{paper.code}](https://github.com/{paper.code}).")
    return ["\n".join(lines)]


def describe_needs(cls: type[Method]) -> list[str]:
    needs = cls.needs
    student = ", ".join(sorted(needs.student)) or "nothing beside the logits for cross-entropy"
    rows = [f"- student: {student}", f"- teacher: {', '.join(sorted(needs.teacher)) or 'nothing'}"]
    if more := sorted(needs_of(cls) - needs.student - needs.teacher):
        rows.append(f"- also: {', '.join(more)}")
    if needs.teacher:
        fits = needs.teacher <= BANKABLE
        rows.append("- source: " + ("a bank, the teacher runs once" if fits else "a live teacher at every step"))
    classes = f"- fewest classes: {cls.min_classes}"
    rows.append(classes + (f", because {cls.degenerate}" if cls.degenerate else ""))
    if cls.stages:
        rows.append("- stages before the main one: " + ", ".join(f"{n} ({s:.0%})" for n, s in cls.stages))
    if not cls.deployable:
        rows.append("- **its projector stays at inference: studies of small students skip it**")
    return rows


def describe_cost(name: str) -> str:
    price, setting = read_cost(name), read_setting()
    if price is None:
        return "Not measured."
    return (
        f"{price}.\n\nMeasured by `scripts/method_costs.py`: {setting['student']} learns from {setting['teacher']}; "
        f"{setting['batch']}; plain step {setting['plain_step']}; {setting['machine']}. "
        "A ratio within .1 of 1 is noise."
    )


def make_page(name: str, cls: type[Method], equalities: list[list[str]]) -> str:
    """The page of one method."""
    method = create_method(name)
    doc = inspect.cleandoc(cls.__doc__ or "")
    summary = (sys.modules[cls.__module__].__doc__ or "").strip().splitlines()[0]
    said = "\n\n".join(doc.split("\n\n")[1:])
    star = " \\* (reconstructed: counted apart)" if cls.fidelity == "C" else ""
    parts = [
        NOTE,
        f"# {name}{star}",
        summary,
        *describe_paper(cls.paper),
        *([said] if said else []),
        f"Family: {cls.family}. Fidelity: **{cls.fidelity}**, {FIDELITY[cls.fidelity]}.",
        "## Formula",
        f"```\n{cls.formula or 'none'}\n```",
        "## Needs",
        "\n".join(describe_needs(cls)),
        "## Defaults",
        "| setting | default |\n| --- | --- |\n" + "\n".join(f"| {k} | {v} |" for k, v in method.hyper().items()),
        "## Differences from the authors' code",
        cls.differences or "None known.",
    ]
    if cls.components:
        parts += ["## Components of the paper"]
        parts += ["\n".join(f"- {part}: {'present' if there else '**absent**'}" for part, there in cls.components)]
    parts += ["## Evidence", (cls.evidence or "None published.") + " (Marks: [survey](../survey.md#marks).)"]
    parts += ["## Cost", describe_cost(name)]
    parts += ["## Proof", describe_proof(name, cls, equalities)]
    parts += ["## Use", describe_use(name, cls)]
    return "\n\n".join(parts) + "\n"


def describe_proof(name: str, cls: type[Method], equalities: list[list[str]]) -> str:
    at_equal = cls.at_equal if isinstance(cls.at_equal, str) else f"{cls.at_equal:g}"
    lines = [
        f"Golden values: `tests/contract/references/{name}.py`, a NumPy loop written from the formula. Value where "
        f"student equals teacher: {at_equal}."
    ]
    if equalities:
        lines += ["", "| | ours | theirs | difference | repository@commit |", "| --- | ---: | ---: | ---: | --- |"]
        lines += [f"| {r[0]} | {r[1]} | {r[2]} | {r[3]} | {r[4]} |" for r in equalities]
    return "\n".join(lines)


def describe_use(name: str, cls: type[Method]) -> str:
    given = ", ids=ids" if cls.needs.ids else ""
    given += ", second=other_view" if cls.needs.views == 2 else ""
    more = ", train_size=len(data)" if "specs.train_size" in inspect.getsource(cls) or cls.needs.ids else ""
    more += ", class_means=class_means" if cls.needs.train_stats else ""
    more += ", steps=len(loader) * epochs" if cls.warms_up or cls.stages else ""
    return (
        f'```python\ndistiller = alambic.Distiller(student, teacher, method="{name}", example_input=images{more})\n'
        f"optimizer = torch.optim.SGD(distiller.parameters(), lr=0.1, momentum=0.9)\n"
        f'loss = distiller(images, labels{given})\n```\n\nIn a study file: `methods = ["none", "{name}"]`.'
    )


def make_table(methods: dict[str, type[Method]]) -> str:
    """Methods with needs, cost and evidence."""
    rows = [
        "| method | family | year | fidelity | student reads | teacher gives | bank | classes | time | MiB "
        "| evidence |",
        "|" + " --- |" * 8 + " ---: |" * 2 + " --- |",
    ]
    for name, cls in sorted(methods.items(), key=lambda item: (item[1].family, item[0])):
        price = read_cost(name)
        bank = "" if not cls.needs.teacher else "yes" if cls.needs.teacher <= BANKABLE else "live"
        star = "\\*" if cls.fidelity == "C" else ""
        cells = [
            f"[{name}](methods/{name}.md){star}",
            cls.family,
            str(cls.paper.year or ""),
            cls.fidelity,
            " ".join(sorted(cls.needs.student)),
            " ".join(sorted(cls.needs.teacher)),
            bank,
            f"{cls.min_classes}+",
            f"{price.time:.2f}" if price else "",
            f"{price.step_mib + price.kept_mib:.1f}" if price else "",
            cls.evidence,
        ]
        rows.append("| " + " | ".join(cells) + " |")
    return "\n".join(rows)


def make_modifier_table(modifiers: dict[str, type[Modifier]]) -> str:
    rows = ["| modifier | paper | formula | fidelity | evidence |", "| --- | --- | --- | --- | --- |"]
    for name, cls in sorted(modifiers.items()):
        paper = f"{cls.paper.title} (`{cite(cls.paper)}`)"
        formula = cls.formula.replace("|", "\\|")
        rows.append(f"| {name} | {paper} | `{formula}` | {cls.fidelity} | {cls.evidence} |")
    return "\n".join(rows)


def make_treatment_table(treatments: dict[str, type[Treatment]]) -> str:
    rows = ["| treatment | of | what it does | settings | fidelity | components | evidence |", "|" + " --- |" * 7]
    for name, cls in sorted(treatments.items(), key=lambda item: (item[1].kind, item[0])):
        source = f" ({cls.paper.title}, `{cite(cls.paper)}`)" if cls.paper.year else ""
        formula = cls.formula.replace("|", "\\|")
        settings = ", ".join(f"{key} {value}" for key, value in cls().hyper().items())
        parts = ", ".join(part if there else f"**without** {part}" for part, there in cls.components)
        cells = [name, cls.kind, f"`{formula}`{source}", settings, cls.fidelity, parts, cls.evidence]
        rows.append("| " + " | ".join(cells) + " |")
    return "\n".join(rows)


def make_counts() -> str:
    known = all_methods()
    counts = count_methods(known)
    losses = {n: c for n, c in known.items() if c.family not in CONTROLS and c.fidelity in "AB"}
    families = Counter(cls.family for cls in losses.values())
    fits = sum(bool(c.needs.teacher) and c.needs.teacher <= BANKABLE for c in losses.values())
    said = ", ".join(f"{count} {family}" for family, count in sorted(families.items()))
    treatments = [cls.fidelity for cls in all_treatments().values() if cls.kind != "control"]
    return (
        f"{counts['A'] + counts['B']} losses ({said}): {counts['A']} equal to the authors' code, {counts['B']} from "
        f"the paper's formula. Apart from them: {counts['C']} reconstructed from abstracts (\\*), {counts['O']} "
        f"of our own, not published, {counts['controls']} "
        f"controls and baselines, {len(all_modifiers())} modifiers, {len(treatments)} treatments "
        f"({treatments.count('O')} of them our own). {fits} of the "
        "losses read only what a bank holds."
    )


CRITERIA: dict[str, Callable[[str, type[Method]], bool]] = {
    "bank": lambda name, cls: cls.needs.teacher <= BANKABLE,
    "deployable": lambda name, cls: cls.deployable,
    "no memory": lambda name, cls: not cls.needs.ids,
    "one view": lambda name, cls: cls.needs.views == 1 and not cls.needs.train_stats,
    "step <= 1.25": lambda name, cls: (price := read_cost(name)) is not None and price.time <= 1.25,
    "fidelity A, B": lambda name, cls: cls.fidelity in "AB",
    "two classes": lambda name, cls: cls.min_classes <= 2,
}


def make_selection() -> str:
    """The criteria that metadata can decide, applied to every loss; those that pass all stand first."""
    rows = []
    for name, cls in sorted(all_methods().items()):
        if cls.family not in CONTROLS:
            verdicts = [test(name, cls) for test in CRITERIA.values()]
            cells = " | ".join("yes" if verdict else "**no**" for verdict in verdicts)
            rows.append((verdicts.count(False), f"| {name} | {cells} | {verdicts.count(False)} |"))
    head = f"| method | {' | '.join(CRITERIA)} | failed |\n|" + " --- |" * (len(CRITERIA) + 1) + " ---: |"
    return "\n".join([head, *(row for _, row in sorted(rows))])


def fill(text: str, parts: dict[str, str]) -> str:
    """The survey with its generated parts renewed; each stands between two marks."""
    for name, part in parts.items():
        found = re.search(f"<!-- generated: {name} -->\n(.*?)<!-- end -->", text, re.S)
        if not found:
            raise SystemExit(f"expected the mark <!-- generated: {name} --> in docs/survey.md, found none")
        text = text[: found.start(1)] + part + "\n" + text[found.end(1) :]
    return text


def make_all() -> dict[Path, str]:
    """Every generated file with its text."""
    known, equalities = all_methods(), read_equalities()
    pages = {DOCS / "methods" / f"{n}.md": make_page(n, c, equalities.get(n, [])) for n, c in known.items()}
    losses = {n: c for n, c in known.items() if c.fidelity in "AB" and c.family not in CONTROLS}
    survey = DOCS / "survey.md"
    parts = {
        "counts": make_counts(),
        "marks": "\n".join(f"- **[{mark}]** {text}" for mark, text in MARKS.items()),
        "selection": make_selection(),
        "losses": make_table(losses),
        "reconstructed": make_table({n: c for n, c in known.items() if c.fidelity == "C"}),
        "controls": make_table({n: c for n, c in known.items() if c.family in CONTROLS}),
        "modifiers": make_modifier_table(dict(all_modifiers())),
        "treatments": make_treatment_table(dict(all_treatments())),
    }
    return {**pages, survey: fill(survey.read_text(), parts), DOCS / "study_file.md": make_study_page()}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 where a page is out of date")
    check = parser.parse_args().check
    pages = make_all()
    stale = [path for path, text in pages.items() if not path.exists() or path.read_text() != text]
    gone = sorted(set((DOCS / "methods").glob("*.md")) - set(pages))
    for path in stale + gone:
        print(f"{'out of date' if check else 'written' if path in pages else 'removed'}: {path.relative_to(DOCS)}")
        if not check and path in pages:
            path.parent.mkdir(exist_ok=True)
            path.write_text(pages[path])
        elif not check:
            path.unlink()
    return int(check and bool(stale or gone))


if __name__ == "__main__":
    raise SystemExit(main())
