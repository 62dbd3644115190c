"""A version is that of the code: prose may be corrected, numbers may not; committed cells keep theirs."""

from __future__ import annotations

from pathlib import Path

import pytest

from alambic.methods.base import all_methods
from alambic.study.ledger import Ledger
from alambic.version import file_version, source_version

STUDIES = Path(__file__).parents[2] / "studies"
SOURCE = '''"""A method."""

class Method:
    """What it is."""

    paper = Paper(
        "A title",
        2020,
    )
    formula = "L = CE"
    differences = "none"
    weight: float = 1.0

    def loss(self, gap):
        """Of a gap."""
        return self.weight * gap
'''


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ('"""A method."""\n', '"""Another word,\nover two lines."""\n'),
        ("What it is", "What it was"),
        ("        2020,\n", "        2020,\n        '2001.00001',\n"),
        ('"none"', '("one", "two")'),
        ('"""Of a gap."""', '"""Of a gap.\n\n        Returns: a number.\n        """'),
        ("\n\n    def", "\n\n\n    def"),
    ],
)
def test_prose_does_not_change_a_version(before: str, after: str) -> None:
    assert before in SOURCE
    assert source_version(SOURCE.replace(before, after)) == source_version(SOURCE)


@pytest.mark.parametrize(
    ("before", "after"), [("float = 1.0", "float = 2.0"), ("* gap", "+ gap"), ("def loss", "def lose")]
)
def test_code_does(before: str, after: str) -> None:
    assert before in SOURCE
    assert source_version(SOURCE.replace(before, after)) != source_version(SOURCE)


def test_a_string_that_is_no_docstring_counts() -> None:
    body = 'def name():\n    return "kd"\n'
    assert source_version(body) != source_version(body.replace("kd", "vkd"))


@pytest.mark.parametrize("study", ["cross-architecture/cifar100", "cross-architecture/fashion", "presence/people"])
def test_cells_of_committed_claims_keep_their_versions(study: str) -> None:
    """What is committed is never recomputed: a restored ledger of a claim has no stale arm but label smoothing's."""
    known = all_methods()
    rows = Ledger(STUDIES / study / "ledger", read_only=True).rows("done")
    stored = {pair for row in rows for pair in row.content["methods"].items()}
    assert {name for name, _ in stored} >= {"none", "kd"}
    assert {name for name, version in stored if file_version(known[name]) != version} <= {"label_smoothing"}
