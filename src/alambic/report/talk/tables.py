"""Tables as slides show them: never the best rows alone, columns by name, and what is left out is told."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from alambic.report.chapters.tables import Entry, Table

TONES = ("gain", "loss", "tie", "clear_tie", "open", "warn")  # classes of a cell that tells a verdict


def choose(tones: Sequence[str], most: int) -> list[int]:
    """Places of at most ``most`` items: of each tone its share, evenly over the order, both ends of it included.

    The first of a list sorted by gain are its winners: shown alone they would tell a better story than the whole.
    """
    if len(tones) <= most:
        return list(range(len(tones)))
    groups: dict[str, list[int]] = {}
    for place, tone in enumerate(tones):
        groups.setdefault(tone, []).append(place)
    if len(groups) > most:
        return _spread(list(range(len(tones))), most)
    exact = {tone: most * len(own) / len(tones) for tone, own in groups.items()}
    given = {tone: max(1, int(share)) for tone, share in exact.items()}
    while sum(given.values()) < most:
        given[max(groups, key=lambda tone: exact[tone] - given[tone])] += 1
    while sum(given.values()) > most:
        given[max((t for t in groups if given[t] > 1), key=lambda tone: given[tone] - exact[tone])] -= 1
    return sorted(place for tone, own in groups.items() for place in _spread(own, given[tone]))


def _spread(places: list[int], count: int) -> list[int]:
    if count == 1:
        return [places[len(places) // 2]]
    return [places[round(step * (len(places) - 1) / (count - 1))] for step in range(count)]


def tone_of(row: Sequence[Entry]) -> str:
    """The class of the last cell that tells a verdict; "" where none does."""
    return next((cell.class_ for cell in reversed(row) if cell.class_ in TONES), "")


def drop_columns(table: Table, heads: Collection[str]) -> Table:
    """The table without the columns of these headings; a heading that it has not is no matter."""
    kept = [place for place, (head, _, _) in enumerate(table.heads) if head not in heads]
    return Table(tuple(table.heads[i] for i in kept), [[row[i] for i in kept] for row in table.rows])


def drop_repeated(table: Table) -> Table:
    """The table without a first column that says the same in each of several rows, as one student's name does."""
    if len(table.rows) < 2 or len({row[0].text for row in table.rows}) > 1:
        return table
    return Table(table.heads[1:], [row[1:] for row in table.rows])


def turn(table: Table) -> Table:
    """A table of one row as one of two columns: a line for each number."""
    if len(table.rows) != 1:
        return table
    heads, (row,) = [head for head, _, _ in table.heads], table.rows
    lines = [[Entry(head), cell] for head, cell in zip(heads[1:], row[1:], strict=True)]
    return Table(((heads[0], "", False), (row[0].text, "", True)), lines)
