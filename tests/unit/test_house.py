"""The house: no import goes up a floor, no file outgrows its room, help answers at once."""

import ast
import resource
import subprocess
import sys
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

import alambic

ROOT = Path(alambic.__file__).parent
FLOORS = [
    {"errors"},
    {"files", "config", "version"},
    {"functional"},
    {"models", "data"},
    {"methods"},
    {"training", "deploy"},
    {"treatments", "suitability"},
    {"study"},
    {"report", "catalogue"},
    {
        *("cli", "cli_study", "cli_methods", "cli_deploy", "cli_suitability", "cli_report", "cli_doctor"),
        *("cli_distill", "cli_networks"),
    },
]
HEIGHT = {room: height for height, rooms in enumerate(FLOORS) for room in rooms}
REPORT = [{"svg", "facts"}, {"words"}, {"stamp", "chapters"}, {"page", "print"}, {"talk"}, {"check", "overview"}]
PLACE = {room: height for height, rooms in enumerate(REPORT) for room in rooms}
FILES = sorted(ROOT.rglob("*.py"))


def room_of(path):
    return path.relative_to(ROOT).parts[0].removesuffix(".py")


def imports_of(path, depth=1):
    """The room of each import; at depth 2 the room within the report."""
    for node in ast.walk(ast.parse(path.read_text())):
        named = [node.module or ""] if isinstance(node, ast.ImportFrom) else []
        if isinstance(node, ast.ImportFrom) and node.module == "alambic.report":
            named = [f"alambic.report.{name.name}" for name in node.names]
        if isinstance(node, ast.Import):
            named = [name.name for name in node.names]
        for name in named:
            parts = name.split(".")
            if parts[0] == "alambic" and len(parts) > depth and (depth == 1 or parts[1] == "report"):
                yield parts[depth]


def modules_of(path, known):
    """The modules that a file imports, anywhere but for types; of its own package, which it lies in, not."""
    tree = ast.parse(path.read_text())
    typed = [node for node in ast.walk(tree) if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test)]
    left = {id(node) for block in typed for node in ast.walk(block)}
    for node in ast.walk(tree):
        if id(node) in left or not isinstance(node, (ast.Import, ast.ImportFrom)):
            continue
        inside = f"{node.module}." if isinstance(node, ast.ImportFrom) else ""
        for name in node.names:
            full = inside + name.name
            yield full if full in known else full.rpartition(".")[0]


def test_no_import_goes_in_a_circle():
    named = {".".join(("alambic", *path.relative_to(ROOT).with_suffix("").parts)): path for path in FILES}
    known = {name.removesuffix(".__init__"): path for name, path in named.items()}
    graph = {name: {*modules_of(path, known)} & known.keys() for name, path in known.items()}
    assert sum(map(len, graph.values())) > 1000
    TopologicalSorter({name: found - {name.rpartition(".")[0]} for name, found in graph.items()}).prepare()


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_import_goes_up(path):
    room = room_of(path)
    if room == "__init__":
        return
    assert room in HEIGHT, f"{room} has no floor: add it to FLOORS"
    for other in imports_of(path):
        assert HEIGHT[other] <= HEIGHT[room], f"{path.relative_to(ROOT)} imports {other}, which stands above {room}"


def test_a_wrong_import_would_be_seen(tmp_path):
    wrong = tmp_path / "x.py"
    wrong.write_text("from alambic.report.page.page import write_report\nimport alambic.study.run\n")
    assert list(imports_of(wrong)) == ["report", "study"]


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_files_stay_under_a_room(path):
    assert len(path.read_text().splitlines()) <= 300


def test_help_imports_no_torch_and_answers_at_once():
    code = "import sys, alambic.cli; alambic.cli.make_parser().format_help(); sys.exit('torch' in sys.modules)"
    best = min(_timed([sys.executable, "-c", code]) for _ in range(3))
    assert best < 0.5


def _timed(command):
    """The processor's seconds: other programs of the machine do not count."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def test_public_names_exist():
    for name in alambic.__all__:
        assert getattr(alambic, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'Distil'"):
        _ = alambic.Distil
