"""Tables on paper: no word over the next column, repeats merged within a page, type no smaller than it must be."""

from __future__ import annotations

import pytest

from alambic.report.chapters.tables import Entry, Table
from alambic.report.print.measure import FREE, Ruler, measure_all, pieces
from alambic.report.print.tables import LANDSCAPE, MOST_ROWS, PORTRAIT, hold_ends, lay, merge

pytest.importorskip("typst")

LONGS = "cifar100, person or rest, 16 × 16 grey, 20,000 images, average precision, 8 epochs"


def _table(columns: int, text: str = "dscnn_24x3", rows: int = 3) -> Table:
    made = Table(tuple((f"Head {x}", "", False) for x in range(columns)))
    made.rows.extend([Entry(f"{text}{y}{x}") for x in range(columns)] for y in range(rows))
    return made


def _measure(table: Table) -> Ruler:
    from alambic.report.print.pdf import ask_typst

    return measure_all([table], ask_typst)


def _overflow(table: Table, ruler: Ruler) -> float:
    """By how many points a piece of a text, as set, passes its column at most."""
    made = lay(table, ruler)
    assert sum(made["widths"]) <= (LANDSCAPE if made["across"] else PORTRAIT) + 0.1
    worst = 0.0
    for row in made["rows"]:
        if len(row) == len(made["widths"]):
            for cell, width in zip(row, made["widths"], strict=True):
                every = (piece.rstrip(" " + FREE) for piece in pieces(cell["text"], False))
                wide = max(made["size"] * ruler.width(piece, False, made["stretch"]) for piece in every)
                worst = max(worst, wide - (width - 2 * made["inset"]))
    return worst


def test_no_word_lies_over_the_next_column() -> None:
    """Columns that shared the page by the number of letters let "dscnn_24x3" run into "cifar100"."""
    heads = ("Student", "On", "Take", "Settings", "Gain to expect", "Confidence", "What not to do")
    table = Table(tuple((head, "", False) for head in heads))
    sure = "a lead, to confirm; vkd, the teacher adapted to the sensor from resnet_adapted, was not shown to be better"
    texts = ("dscnn_24x3", LONGS, "vkd from resnet", "vkd, balance=73.8, lr=0.114", "+15.36 points", sure, "–")
    table.rows.append([Entry(text, note="[+12.52, +18.41]" if "points" in text else "") for text in texts])
    assert _overflow(table, _measure(table)) <= 0.1


@pytest.mark.parametrize(("columns", "text"), [(12, "presence_adapted_again"), (16, "dscnn_24x3"), (9, "x" * 70)])
def test_what_is_too_wide_is_set_smaller_then_across_then_cut(columns: int, text: str) -> None:
    table = _table(columns, text)
    ruler = _measure(table)
    made = lay(table, ruler)
    assert made["size"] < 8 or made["across"]
    if "_" not in text:  # no joint to break at: any letter, as the typesetter measures each
        assert made["across"]
        assert all(FREE in cell["text"] for row in made["rows"] for cell in row)
    else:
        assert _overflow(table, ruler) <= 0.1


def test_few_short_columns_stay_at_full_size_and_unbroken() -> None:
    made = lay(_table(3), _measure(_table(3)))
    assert (made["size"], made["stretch"], made["across"]) == (8, 100, False)
    assert not any(FREE in cell["text"] for row in made["rows"] for cell in row)


def test_a_list_of_long_texts_fills_the_page_at_full_size() -> None:
    """Small type saved lines of references, and columns stopped short of the margin."""
    table = Table((("For", "", False), ("Reference", "", False)))
    table.rows.extend([Entry("kd"), Entry("Hinton, Vinyals, Dean. Distilling the Knowledge. " * 4)] for _ in range(3))
    made = lay(table, _measure(table))
    assert made["size"] == 8
    assert sum(made["widths"]) == pytest.approx(PORTRAIT, abs=1)
    assert made["whole"]


def test_an_interval_keeps_to_its_line() -> None:
    table = Table((("Gain", "", True),), [[Entry("+2.69 points", note="[+2.69, +3.43]")]])
    ((cell,),) = lay(table, Ruler({}))["rows"]
    assert cell["text"].endswith("[+2.69,\u00a0+3.43]")


def test_repeats_are_merged_where_all_to_the_left_repeats_or_where_they_are_long() -> None:
    rows = [["a", LONGS, "tie"], ["a", LONGS, "gain"], ["b", LONGS, "tie"], ["b", "short", "gain"]]
    assert merge(rows, [False] * 3) == [[2, 3, 1], [0, 0, 1], [2, 0, 1], [0, 1, 1]]
    assert merge([["a", "x", LONGS], ["b", "y", LONGS]], [False] * 3) == [[1] * 3] * 2
    assert merge([["a", "1"], ["b", "1"]], [False, True]) == [[1, 1], [1, 1]]
    assert merge([["a", "b"], ["a", "b"]], [False] * 2) == [[1, 1], [1, 1]]  # no row vanishes


def test_a_long_run_is_told_anew_so_that_no_page_begins_with_a_blank() -> None:
    table = Table((("Study", "", False), ("Seed", "", True)))
    table.rows.extend([Entry("presence" if y == 0 else ""), Entry(str(y))] for y in range(3 * MOST_ROWS))
    made = lay(table, Ruler({}))
    firsts = [row[0] for row in made["rows"] if len(row) == 2]
    assert [cell["text"] for cell in firsts] == ["presence"] * 3
    assert [cell["span"] for cell in firsts] == [MOST_ROWS] * 3
    tall = Table((("Study", "", False), ("Words", "", False)))
    tall.rows.extend([Entry("presence"), Entry(f"{y} " + "word " * 120)] for y in range(8))
    assert max(row[0]["span"] for row in lay(tall, Ruler({}))["rows"]) < 8


@pytest.mark.parametrize(
    ("heights", "held"),
    [
        ([20.0] * 5, [2, 0, 1, 2, 0]),
        ([20.0] * 3, [2, 0, 1]),
        ([20.0], [1]),
        ([], []),
        ([20.0, 20.0, 20.0, 20.0, 400.0], [2, 0, 1, 1, 1]),  # a tall row may go by itself
    ],
)
def test_no_row_stands_alone_on_a_page(heights: list[float], held: list[int]) -> None:
    assert hold_ends(heights) == held


def test_a_row_higher_than_a_page_may_break() -> None:
    table = Table((("Reason", "", False),), [[Entry("word " * 1500)], [Entry("word")]])
    made = lay(table, Ruler({}))
    assert [row[0]["loose"] for row in made["rows"]] == [True, False]
