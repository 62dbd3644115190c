"""``alambic methods``: lists, filters, counts and explains the distillation methods."""

from __future__ import annotations

import argparse
import inspect
import textwrap
from typing import Any

# the parser is built at each start, so heavy imports stay inside the functions


def add_commands(commands: Any) -> None:
    """Adds the command to the main parser."""
    methods = commands.add_parser("methods", help="list the distillation methods, or explain one")
    methods.add_argument(
        "name", nargs="?", help="a method, modifier or treatment: formula, defaults, differences, evidence, cost"
    )
    methods.add_argument("--count", action="store_true", help="how many there are, by kind")
    methods.add_argument("--family", help="only this family: logit, embedding, map, relation, control, baseline")
    methods.add_argument("--needs", metavar="A,B", help="only methods that read these: logits, embedding, labels, ...")
    methods.add_argument("--without", metavar="A,B", help="only methods that read none of these: stages, head, ...")
    methods.add_argument("--year", metavar="FROM-TO", help="2023, 2023-, -2019 or 2019-2023")
    methods.add_argument("--cost", type=float, metavar="RATIO", help="a step at most this many times plain training's")
    methods.add_argument(
        "--fidelity", metavar="AB", help="A equal to the authors' code, B formula, C reconstructed, O ours"
    )
    methods.add_argument("--evidence", metavar="MARK", help="published numbers with this mark: C, R, A, N or M")
    methods.add_argument("--classes", type=int, help="only methods that work with so many classes (1 = one logit)")
    methods.set_defaults(run=show_methods)


def show_methods(options: argparse.Namespace) -> int:
    """One method, the counts, or the table of those that pass the filters."""
    from alambic.catalogue import select_methods
    from alambic.errors import AlambicError

    if options.classes is not None and options.classes < 1:
        raise AlambicError(f"expected --classes of at least 1, got {options.classes}; try 1 for one logit, 2, 10, ...")
    if options.cost is not None and not options.cost > 0:
        raise AlambicError(
            f"expected --cost above 0, got {options.cost:g}, because it is a ratio to plain training; try --cost 1.5"
        )
    if options.name:
        print(describe_named(options.name))
        return 0
    filters = ("family", "needs", "without", "year", "cost", "fidelity", "evidence", "classes")
    chosen = select_methods(**{name: getattr(options, name) for name in filters})
    if options.count:
        print(describe_counts(chosen, whole=all(getattr(options, name) is None for name in filters)))
        return 0
    print(list_methods(chosen))
    return 0


def list_methods(methods: Any) -> str:
    """The table: a star marks a reconstruction, which stands apart in every count."""
    from alambic.training.costs import read_cost
    from alambic.treatments import all_modifiers, all_treatments

    lines = [f"{'method':20}{'family':12}{'mark':6}{'year':6}{'time':7}{'student reads':26}teacher gives"]
    for name, cls in methods.items():
        price = read_cost(name)
        star = "*" if cls.fidelity == "C" else ""
        time = f"{price.time:.2f}x" if price is not None else "-"
        reads, gives = (" ".join(sorted(side)) for side in (cls.needs.student, cls.needs.teacher))
        year = str(cls.paper.year or "")
        lines.append(f"{name + star:20}{cls.family:12}{cls.fidelity:6}{year:6}{time:7}{reads:26}{gives}")
    lines.append("around them: " + ", ".join([*all_modifiers(), *all_treatments()]))
    lines.append(f"{len(methods)} methods; time: a training step beside plain cross-entropy's; * reconstructed")
    return "\n".join(lines)


def describe_counts(methods: Any, whole: bool) -> str:
    """Losses, reconstructions and controls; modifiers and treatments where nothing is filtered."""
    from alambic.catalogue import FIDELITY, count_methods
    from alambic.treatments import all_modifiers, all_treatments

    counts = count_methods(methods)
    lines = [f"losses: {counts['A'] + counts['B']}"]
    lines += [f"  {mark}: {counts[mark]} ({FIDELITY[mark]})" for mark in ("A", "B")]
    lines += [f"reconstructed: {counts['C']} ({FIDELITY['C']}; not among the losses)"]
    lines += [f"ours: {counts['O']} ({FIDELITY['O']}; not among the losses)"]
    controls = f"controls and baselines: {counts['controls']}"
    if whole:
        kinds = [cls.kind for cls in all_treatments().values()]
        lines += [f"modifiers: {len(all_modifiers())}", f"treatments: {len(kinds) - kinds.count('control')}"]
        controls = f"controls: {counts['controls']} losses and baselines, {kinds.count('control')} treatments"
    lines.append(controls)
    return "\n".join(lines)


def describe_named(name: str) -> str:
    """A method, modifier or treatment by name. Raises AlambicError with the nearest of all for an unknown one."""
    from alambic.errors import AlambicError, nearest
    from alambic.methods import all_methods, create_method
    from alambic.methods.modifier import Modifier
    from alambic.treatments import all_modifiers, all_treatments, create_modifier, create_treatment
    from alambic.treatments.base import Treatment

    if name in all_modifiers():
        return describe_around(create_modifier(name), Modifier, "modifier of logit losses")
    if name in all_treatments():
        treatment = create_treatment(name)
        kind = "control" if treatment.kind == "control" else f"treatment of the {treatment.kind}"
        return describe_around(treatment, Treatment, kind)
    known = [*all_methods(), *all_modifiers(), *all_treatments()]
    if name not in known:
        raise AlambicError(f"no method, modifier or treatment is called {name!r}; {nearest(name, known)}")
    return describe_method(create_method(name))


def describe_around(item: Any, base: type, kind: str) -> str:
    """A modifier or a treatment for a person: what it is, paper, formula, defaults, differences, evidence."""
    from alambic.methods.settings import declared_settings

    paper = item.paper
    settings = ", ".join(f"{name} {value}" for name, value in declared_settings(type(item), base).items())
    lines = [
        f"{item.name}  ({kind}, fidelity {item.fidelity})",
        f"  {paper.title}" + (f", {paper.authors}, {paper.venue} {paper.year}" if paper.year else ""),
        f"  arXiv {paper.arxiv}" if paper.arxiv else "",
        f"  formula: {item.formula}" if item.formula else "",
        f"  defaults: {settings}" if settings else "",
        f"  differences from the authors' code: {item.differences or 'none known'}",
        f"  evidence: {item.evidence or 'none published'}",
        textwrap.indent(inspect.getdoc(type(item)) or "", "  "),
    ]
    return "\n".join(line for line in lines if line)


def describe_method(method: Any) -> str:
    """A method for a person: paper, formula, defaults, differences, evidence, cost."""
    from alambic.catalogue import needs_of
    from alambic.training.costs import read_cost, read_setting

    paper, price = method.paper, read_cost(method.name)
    more = sorted(needs_of(type(method)) - method.needs.student - method.needs.teacher)
    parts = [f"{name} ({'present' if present else 'absent'})" for name, present in method.components]
    lines = [
        f"{method.name}  (family {method.family}, fidelity {method.fidelity})",
        f"  {paper.title}" + (f", {paper.authors}, {paper.venue} {paper.year}" if paper.year else ""),
        f"  arXiv {paper.arxiv}" if paper.arxiv else "",
        f"  authors' code: {paper.code}" if paper.code else "",
        f"  formula: {method.formula}",
        "  defaults: " + ", ".join(f"{name} {value}" for name, value in method.hyper().items()),
        f"  student reads: {' '.join(sorted(method.needs.student)) or 'nothing but logits for cross-entropy'}",
        f"  teacher gives: {' '.join(sorted(method.needs.teacher)) or 'nothing'}",
        f"  also reads: {' '.join(more)}" if more else "",
        f"  fewest classes: {method.min_classes}" + (f" ({method.degenerate})" if method.degenerate else ""),
        f"  components: {', '.join(parts)}" if parts else "",
        f"  differences from the authors' code: {method.differences or 'none known'}",
        f"  evidence across architectures: {method.evidence or 'none published'}",
        f"  cost: {price} ({read_setting()['student']}, batch 128, {read_setting()['machine']})" if price else "",
    ]
    return "\n".join(line for line in lines if line)
