"""Facts: every number of a report with its unit, its query on the ledger and the rows that it comes from."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

Unit = Literal[
    "share", "points", "effect", "p", "bytes", "seconds", "correlation", "decimal", "nats",
    "seeds", "images", "cells", "teachers", "blocks", "classes", "number",
]  # fmt: skip


@dataclass(frozen=True)
class Fact:
    """One number.

    Attributes:
        number: its place in the report's list of facts, from 1. name: what it is, stable from run to run.
        value, low, high: in the ledger's unit (shares and effects as fractions of one); bounds are None without one.
        sql: a query on the ledger that gives ``value``; empty where no query can.
        how: what was computed beyond the query: the interval, a test, a power.
        rows: ids of the cells that it comes from.
    """

    number: int
    name: str
    value: float
    unit: Unit
    rows: tuple[str, ...]
    sql: str = ""
    how: str = ""
    low: float | None = None
    high: float | None = None

    @property
    def anchor(self) -> str:
        return f"F{self.number}"

    @property
    def query(self) -> str:
        """How a person gets the number again: the query, then what was computed from it."""
        return "; ".join(part for part in (self.sql, self.how) if part)


class Facts:
    """The facts of one report in the order of their making; a name is given once."""

    def __init__(self) -> None:
        self.all: list[Fact] = []
        self._by_name: dict[str, Fact] = {}

    def add(
        self,
        name: str,
        value: float,
        unit: Unit,
        rows: Iterable[str],
        sql: str = "",
        how: str = "",
        bounds: tuple[float, float] | None = None,
    ) -> Fact:
        """Registers a fact; one that is there already under this name is given back unchanged."""
        if name in self._by_name:
            return self._by_name[name]
        low, high = bounds if bounds is not None and not math.isnan(bounds[0]) else (None, None)
        fact = Fact(len(self.all) + 1, name, float(value), unit, tuple(rows), sql, how, low, high)
        self.all.append(fact)
        self._by_name[name] = fact
        return fact


def mean_query(number: str, rows: Iterable[str]) -> str:
    """SQL: mean of a number over cells."""
    return f"SELECT avg({_number('numbers', number)}) FROM cells WHERE id IN ({_listed(rows)})"


def sum_query(number: str, rows: Iterable[str]) -> str:
    """SQL: sum of a number over cells."""
    return f"SELECT sum({_number('numbers', number)}) FROM cells WHERE id IN ({_listed(rows)})"


def fall_query(number: str, other: str, rows: Iterable[str]) -> str:
    """SQL: mean over cells of one number minus another."""
    difference = f"{_number('numbers', number)} - {_number('numbers', other)}"
    return f"SELECT avg({difference}) FROM cells WHERE id IN ({_listed(rows)})"


def paired_query(number: str, first: Iterable[str], second: Iterable[str]) -> str:
    """SQL: mean difference of a number between two sets of cells, paired by seed."""
    difference = f"{_number('a.numbers', number)} - {_number('b.numbers', number)}"
    pairs = f"cells a JOIN cells b ON {_number('a.content', 'seed')} = {_number('b.content', 'seed')}"
    return f"SELECT avg({difference}) FROM {pairs} WHERE a.id IN ({_listed(first)}) AND b.id IN ({_listed(second)})"


def count_query(state: str) -> str:
    """SQL: how many cells are in a state."""
    return f"SELECT count(*) FROM cells WHERE state = '{state}'"


def _number(column: str, name: str) -> str:
    """A number of a cell; "a - b" is one minus the other."""
    first, *less = [f"json_extract({column}, '$.{part}')" for part in name.split(" - ")]
    return f"({' - '.join([first, *less])})" if less else first


def _listed(rows: Iterable[str]) -> str:
    return ", ".join("'" + row.replace("'", "''") + "'" for row in rows)
