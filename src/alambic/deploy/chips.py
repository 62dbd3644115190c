"""Chips by name: what memory they offer to a network, and what runs it there.

Engines, and what counts as RAM and flash on each:

- ``accelerator``: activations in RAM by the greedy planner; weights and biases in flash. Where and how wide it keeps
  the factors that requantise is its own affair (registers, commands, a shift), so they are not counted: keep flash for
  them by ``reserved_flash_kib``.
- ``c``: C sources with CMSIS-NN kernels; beside the activations the scratch of the worst layer and the input image,
  which BakeNN's arena does not hold; a multiplier and a shift (8 bytes) an output channel and code beside the weights.
- ``tflm``: TFLite-Micro; the real interpreter's arena; the .tflite file.
- ``ethos``: an Arm Ethos-U; SRAM and compressed flash as Vela says.

>>> find_chip("stm32h747i-disco").ram_bytes
1048576
"""

from __future__ import annotations

import math
import tomllib
from dataclasses import dataclass, fields
from importlib.resources import files
from pathlib import Path
from typing import Any, Literal, get_args

from alambic.deploy.arithmetic import TFLM, Arithmetic, read_arithmetic
from alambic.deploy.graph import Kind
from alambic.errors import AlambicError, nearest

Engine = Literal["accelerator", "c", "tflm", "ethos"]
KIB = 1024
TEXTS = ("core", "engine", "source", "note", "stedgeai")


@dataclass(frozen=True)
class Chip:
    """A named budget. Sizes are KiB; None where unknown or without limit.

    Attributes:
        reserved_ram_kib, reserved_flash_kib: what the network may not use (camera frame, stack, firmware).
        largest_block_kib: where ``ram_kib`` sums banks at addresses apart, the largest one: no buffer may be larger.
        alignment: of each buffer, bytes. operators: kinds of the int8 graph that run there; None = all.
        arithmetic: how it computes; TFLite-Micro's by default.
        stedgeai: options by which ST's own compiler analyses for it; empty where that is no compiler for it.
    """

    name: str
    core: str
    engine: Engine
    source: str
    note: str = ""
    flash_kib: float | None = None
    ram_kib: float | None = None
    reserved_flash_kib: float = 0
    reserved_ram_kib: float = 0
    largest_block_kib: float | None = None
    alignment: int = 16
    operators: tuple[str, ...] | None = None
    arithmetic: Arithmetic = TFLM
    stedgeai: str = ""

    @property
    def flash_bytes(self) -> int | None:
        """What is left for the network."""
        return None if self.flash_kib is None else round((self.flash_kib - self.reserved_flash_kib) * KIB)

    @property
    def ram_bytes(self) -> int | None:
        """What is left for the network."""
        return None if self.ram_kib is None else round((self.ram_kib - self.reserved_ram_kib) * KIB)

    @property
    def largest_block_bytes(self) -> int | None:
        """Of RAM in one piece; None where all of it is."""
        return None if self.largest_block_kib is None else round(self.largest_block_kib * KIB)


def load_chips(extra: Path | str | None = None) -> dict[str, Chip]:
    """All chips by name; those of a file of your own replace ours of the same name.

    Raises AlambicError that names the entry and the key where a file is not as chips.toml says.
    """
    ours = files("alambic.deploy").joinpath("chips.toml")
    found = _read("chips.toml", ours.read_text())
    if extra is not None:
        try:
            text = Path(extra).read_text("utf-8")
        except OSError as error:
            raise AlambicError(f"expected a file of chips at {extra}: {error.strerror}") from error
        except UnicodeDecodeError as error:
            raise AlambicError(
                f"{extra}: expected TOML in UTF-8, got another encoding: {error}; try to save it as UTF-8"
            ) from error
        found |= _read(str(extra), text)
    return found


def find_chip(name: str, extra: Path | str | None = None) -> Chip:
    """One chip. Raises AlambicError with the nearest names."""
    chips = load_chips(extra)
    if name not in chips:
        raise AlambicError(
            f"expected a chip by name, got {name!r}; {nearest(name, chips)}; a chip of your own is one table in a file "
            "given with --chips"
        )
    return chips[name]


def _read(source: str, text: str) -> dict[str, Chip]:
    try:
        tables = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise AlambicError(f"{source}: expected TOML, got something else: {error}") from error
    return {name: _make(source, name, table) for name, table in tables.items()}


def _make(source: str, name: str, table: Any) -> Chip:
    where = f"{source}, chip {name!r}"
    if not isinstance(table, dict):
        raise AlambicError(f"{where}: expected a table [{name}], got {table!r}")
    known = {item.name for item in fields(Chip)} - {"name"}
    for key, value in table.items():
        if key not in known:
            raise AlambicError(f"{where}: expected known keys, got {key!r}; {nearest(key, known)}")
        if key in TEXTS and not isinstance(value, str):
            raise AlambicError(f"{where}: expected text for {key}, got {value!r}")
        if key.endswith("_kib") and not (type(value) in (int, float) and 0 <= value < math.inf):
            raise AlambicError(f"{where}: expected {key} as a number of KiB, 0 or more, got {value!r}")
    for key in ("core", "engine", "source"):
        if key not in table:
            raise AlambicError(f"{where}: expected the key {key}, found none")
    if table["engine"] not in get_args(Engine):
        raise AlambicError(f"{where}: expected an engine among {', '.join(get_args(Engine))}, got {table['engine']!r}")
    for key in ("flash_kib", "ram_kib"):
        size, reserved = table.get(key, math.inf), table.get(f"reserved_{key}", 0)
        if reserved > size:
            raise AlambicError(
                f"{where}: expected reserved_{key} of at most {key} {size}, got {reserved}, because it is a part of "
                f"that; try the chip's whole memory as {key}"
            )
    if table.get("largest_block_kib", 0) > table.get("ram_kib", math.inf):
        raise AlambicError(
            f"{where}: expected largest_block_kib of at most ram_kib {table['ram_kib']}, got "
            f"{table['largest_block_kib']}, because it is one of the banks that ram_kib sums; try to leave it out "
            "where all RAM is one piece"
        )
    alignment = table.get("alignment", 16)
    if type(alignment) is not int or alignment < 1:
        raise AlambicError(f"{where}: expected alignment as a number of bytes, 1 or more, got {alignment!r}")
    operators = table.get("operators")
    if operators is not None:
        if not (isinstance(operators, list) and all(isinstance(kind, str) for kind in operators)):
            raise AlambicError(
                f'{where}: expected operators as a list of names, got {operators!r}; try ["conv", "dense"]'
            )
        unknown = set(operators) - set(get_args(Kind))
        if unknown:
            raise AlambicError(f"{where}: expected operators of the int8 graph, got {sorted(unknown)}; "
                               f"known names: {', '.join(get_args(Kind))}")  # fmt: skip
        table = {**table, "operators": tuple(operators)}
    if "arithmetic" in table:
        table = {**table, "arithmetic": read_arithmetic(where, table["arithmetic"])}
    return Chip(name=name, **table)
