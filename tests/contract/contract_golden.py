"""``pure`` against an independent NumPy reference, its value at equality, and the facts that documentation reads."""

from __future__ import annotations

import ast
import importlib.util
import inspect
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import torch
from contract_nets import needed
from contract_tools import MethodClass, built, evaluate, suitable_pair

FOLDER = Path(__file__).parent / "references"
Case = tuple[Any, Any, Any, dict[str, Any]]
SHAPES: dict[str, tuple[tuple[int, ...], ...]] = {
    "logits": ((6, 5), (9, 3), (4, 2), (7, 40)),
    "embedding": ((8, 5), (5, 12)),
    "map": ((4, 6, 5, 5), (3, 4, 4, 6)),
    "energy": ((4, 6, 6), (3, 4, 5)),
}


def load_reference(name: str, folder: Path = FOLDER) -> ModuleType:
    """The reference module of a method: ``reference(student, teacher, labels, **hyper)`` and, where it helps,

    - ``HYPER``: a list of hyper-parameter sets to try instead of (defaults, floats times 1.3);
    - ``make_inputs(rng)``: yields (student, teacher, labels, hyper) where ``pure`` compares something unusual;
    - ``MIXED = True``: ``pure`` takes float B x C targets as labels, too;
    - ``reference_parts(method, s, t, batch, progress)``: the parts of ``loss`` as a dict of arrays.
    """
    path = folder / f"{name}.py"
    assert path.is_file(), f"method {name!r} has no reference: write tests/contract/references/{name}.py"
    imported = {
        alias.name.split(".")[0]
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Import | ast.ImportFrom)
        for alias in ([ast.alias(node.module or "")] if isinstance(node, ast.ImportFrom) else node.names)
    }
    shared = imported & {"torch", "alambic", "timm"}
    assert not shared, f"the reference of {name!r} imports {sorted(shared)}: it must share no code with the method"
    if str(FOLDER) not in sys.path:
        sys.path.append(str(FOLDER))  # for what the references share
    spec = importlib.util.spec_from_file_location(f"reference_of_{name}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def make_cases(cls: MethodClass, name: str, module: ModuleType) -> Iterator[Case]:
    """Inputs of ``pure``: several shapes, labels with gaps, authors' and other hyper-parameters."""
    rng = np.random.default_rng(sum(name.encode()))
    if hasattr(module, "make_inputs"):
        yield from module.make_inputs(rng)
        return
    settings = getattr(module, "HYPER", None) or default_settings(cls)
    for shape in SHAPES[cls.pure_input]:
        classes = shape[1]
        if cls.pure_input == "logits" and classes < cls.min_classes:
            continue
        scale = 2.0 if cls.pure_input == "logits" else 1.0
        student, teacher = rng.normal(size=shape) * scale, rng.normal(size=shape) * scale
        if cls.pure_input == "energy":
            student, teacher = student**2, teacher**2
        labels = rng.integers(0, classes, shape[0]) if cls.needs.labels else None
        for hyper in settings:
            yield student, teacher, labels, hyper
        if labels is None:
            continue
        gaps = labels.copy()
        gaps[::3] = -1
        yield student, teacher, gaps, settings[-1]
        if getattr(module, "MIXED", False):
            yield student, teacher, rng.dirichlet(np.ones(classes), shape[0]), settings[-1]


def default_settings(cls: MethodClass) -> list[dict[str, Any]]:
    """What ``pure`` takes of the method's settings: the authors' values, and floats times 1.3."""
    assert cls.pure is not None
    accepted = inspect.signature(cls.pure).parameters
    authors = {key: value for key, value in cls.hyper_defaults().items() if key in accepted}
    return [authors, {key: value * 1.3 if isinstance(value, float) else value for key, value in authors.items()}]


def to_torch(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        return torch.from_numpy(value)
    if isinstance(value, list | tuple):
        return type(value)(to_torch(item) for item in value)
    return value


def check_reference(cls: MethodClass, name: str, module: ModuleType | None = None) -> None:
    """``pure`` in float64 equals the reference to 1e-5 relative, for every case, in value and in shape."""
    if cls.pure is None and cls.family == "baseline":
        return
    assert cls.pure is not None, "a method needs `pure`, the formula as a function"
    module = module or load_reference(name)
    count = 0
    for student, teacher, labels, hyper in make_cases(cls, name, module):
        given = {key: to_torch(value) for key, value in hyper.items()}
        got = cls.pure(to_torch(student), to_torch(teacher), to_torch(labels), **given)
        expected = np.asarray(module.reference(student, teacher, labels, **hyper))
        assert tuple(got.shape) == expected.shape, f"shape {tuple(got.shape)}, the reference has {expected.shape}"
        np.testing.assert_allclose(got.numpy(), expected, rtol=1e-5, atol=1e-8, err_msg=f"hyper {hyper}")
        count += 1
    assert count >= 2, "fewer than two cases: nothing was compared"


def check_equality(cls: MethodClass, name: str, module: ModuleType | None = None) -> None:
    """``at_equal`` holds: a number, a formula with ``pure_at_equal``, or a reason why there is no value."""
    value = cls.at_equal
    if isinstance(value, str) and value.startswith("none, because "):
        assert len(value) > len("none, because "), "at_equal gives no reason"
        return
    assert cls.pure is not None, "at_equal says a value, but there is no `pure`"
    module = module or load_reference(name)
    for student, teacher, labels, hyper in make_cases(cls, name, module):
        equal, given = to_torch(teacher), {key: to_torch(item) for key, item in hyper.items()}
        got = cls.pure(equal, equal, to_torch(labels), **given)
        if isinstance(value, str):
            assert value.startswith("formula: "), f"at_equal is {value!r}: a number, 'formula: ...' or 'none, because'"
            assert cls.pure_at_equal is not None, "at_equal is a formula, but pure_at_equal is missing"
            expected = cls.pure_at_equal(equal, **given)
        else:
            expected = torch.full_like(got, value)
        apart = float(cls.pure(to_torch(student), equal, to_torch(labels), **given).abs().mean())
        torch.testing.assert_close(got, expected.to(got.dtype), rtol=1e-4, atol=1e-4 * apart)


def check_facts(cls: MethodClass, name: str) -> None:
    """What the survey, the pages and the tables read is there."""
    paper, baseline = cls.paper, cls.family == "baseline"
    assert paper.title, "the paper has no title"
    if not baseline:
        assert paper.authors, "the paper has no authors"
        assert 1990 <= paper.year <= 2030, f"the paper's year is {paper.year}"
        assert paper.venue or paper.arxiv, "the paper has neither venue nor arXiv id"
        assert cls.evidence, "no evidence: one line of published numbers with their marks"
        assert re.search(r"\[(C|R|A|N|M)\]", cls.evidence), "the evidence carries no mark [C], [R], [A], [N] or [M]"
    assert re.fullmatch(r"(\d{4}\.\d{4,5})?", paper.arxiv), f"{paper.arxiv!r} is no arXiv id"
    assert re.fullmatch(r"([\w.-]+/[\w.-]+)?", paper.code), f"{paper.code!r} is no owner/name"
    assert cls.formula, "no formula"
    assert cls.family in ("logit", "embedding", "map", "relation", "baseline", "control"), f"family {cls.family!r}"
    assert cls.fidelity in ("A", "B", "C", "O"), f"fidelity {cls.fidelity!r}"
    assert isinstance(cls.differences, str), "differences is text"
    assert cls.__doc__, "no docstring"
    assert inspect.getmodule(cls).__doc__, "the file has no docstring"
    lite = any(not present for _, present in cls.components)
    assert lite == name.endswith("_lite"), "the name ends in _lite exactly where a component of the paper is left out"
    if cls.pure is not None:
        assert cls.pure_input in ("logits", "embedding", "map", "energy"), f"pure_input {cls.pure_input!r}"
        first = list(inspect.signature(cls.pure).parameters)[:3]
        assert first == ["student", "teacher", "labels"], f"pure takes {first} first"
        assert cls.pure.__doc__, "pure has no docstring"


def check_parts(cls: MethodClass, name: str, module: ModuleType | None = None) -> None:
    """``loss`` equals the reference's own parts, where the reference has them: weights, schedules, wiring."""

    if cls.pure is None:
        return
    module = module or load_reference(name)
    if not hasattr(module, "reference_parts"):
        return
    pair = suitable_pair(cls)
    method = built(cls, pair)
    s, t, batch = needed(pair, method)
    for progress in (0.0, 0.05, 0.5, 1.0):
        got = evaluate(method, s, t, batch, progress)
        expected = module.reference_parts(method, s, t, batch, progress)
        assert set(got) == set(expected), f"parts {sorted(got)}, the reference has {sorted(expected)}"
        for part, value in expected.items():
            np.testing.assert_allclose(
                got[part].detach().numpy(), value, rtol=1e-4, atol=1e-5, err_msg=f"{part} at progress {progress}"
            )
