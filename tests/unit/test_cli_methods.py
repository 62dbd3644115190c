"""``alambic methods``: what is filtered, counted and told."""

from __future__ import annotations

import pytest

from alambic.catalogue import count_methods, needs_of, select_methods
from alambic.cli import main
from alambic.errors import AlambicError
from alambic.methods import all_methods
from alambic.training.costs import read_cost
from alambic.treatments import all_modifiers, all_treatments


def told(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    assert main(["methods", *words]) == 0
    return capsys.readouterr().out


def test_filters_are_what_they_say() -> None:
    known = all_methods()
    assert set(select_methods()) == set(known)
    assert {n for n, c in known.items() if "embedding" in needs_of(c)} == set(select_methods(needs="embedding"))
    both = select_methods(needs="logits,labels", without="stages, head")
    assert {"dkd", "rld", "nkd"} <= set(both)
    assert not {"kd", "ofa", "sdd"} & set(both)
    assert {c.paper.year for c in select_methods(year="2024-").values()} == {2024, 2025, 2026}
    assert {c.paper.year for c in select_methods(year="2019").values()} == {2019}
    assert max(c.paper.year for c in select_methods(year="-2016").values()) == 2016
    assert "none" not in select_methods(year="-2016")
    assert {c.fidelity for c in select_methods(fidelity="bc").values()} == {"B", "C"}
    assert all("[R]" in c.evidence for c in select_methods(evidence="r").values())
    assert "dist" not in select_methods(classes=2)
    assert "rsd" in select_methods(classes=1)
    assert {c.family for c in select_methods(family="relation").values()} == {"relation"}


def test_cost_filter_follows_the_measurements() -> None:
    cheap = select_methods(cost=1.1)
    assert "kd" in cheap
    for name in all_methods():
        price = read_cost(name)
        assert (name in cheap) == (price is not None and price.time <= 1.1)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"needs": "embeding"}, "did you mean 'embedding'"),
        ({"year": "new"}, "2019-2023"),
        ({"year": "-"}, "2019-2023"),
        ({"fidelity": "Z"}, "try AB"),
        ({"evidence": "X"}, "try R"),
        ({"family": "logits"}, "did you mean 'logit'"),
    ],
)
def test_a_wrong_filter_says_what_is_right(wrong: dict[str, str], said: str) -> None:
    with pytest.raises(AlambicError, match=said):
        select_methods(**wrong)  # type: ignore[arg-type]


def test_count_keeps_reconstructions_and_controls_apart(capsys: pytest.CaptureFixture[str]) -> None:
    counts = count_methods(all_methods())
    assert sum(counts.values()) == len(all_methods())
    assert all_methods()["gst"].fidelity == "O"
    assert counts["A"] + counts["B"] >= 45
    text = told(capsys, "--count")
    assert f"losses: {counts['A'] + counts['B']}\n" in text
    assert f"reconstructed: {counts['C']} " in text
    assert f"ours: {counts['O']} " in text
    assert f"modifiers: {len(all_modifiers())}\n" in text
    kinds = [cls.kind for cls in all_treatments().values()]
    assert len(kinds) - kinds.count("control") >= 9
    assert f"treatments: {len(kinds) - kinds.count('control')}\n" in text
    assert f"{kinds.count('control')} treatments\n" in text
    filtered = told(capsys, "--count", "--family", "relation")
    assert "modifiers" not in filtered
    assert "controls and baselines: 0" in filtered


def test_list_and_explanation(capsys: pytest.CaptureFixture[str]) -> None:
    table = told(capsys, "--fidelity", "C")
    assert "lfcc*" in table
    assert "kd " not in table
    text = told(capsys, "rsd")
    for word in ("2507.21844", "kappa 0.01", "evidence"):
        assert word in text
    assert "adaptive feedback prompts (absent)" in told(capsys, "pat_lite")
    assert "times the step of plain cross-entropy" in told(capsys, "kd")
    assert "also reads: ids" in told(capsys, "crd")
    assert main(["methods", "rds"]) == 2
    assert "rsd" in capsys.readouterr().err


def test_what_stands_around_a_method_is_explained_too(capsys: pytest.CaptureFixture[str]) -> None:
    for name in (*all_modifiers(), *all_treatments()):
        text = told(capsys, name)
        assert text.startswith(f"{name}  (")
        assert "evidence:" in text
    assert "wide_student" in told(capsys)  # the list names them
    assert main(["methods", "quant_noize"]) != 0
    assert "did you mean 'quant_noise'" in capsys.readouterr().err
