"""The int8 graph of a file."""

from __future__ import annotations

from pathlib import Path

from alambic.deploy.graph import Int8Graph
from alambic.deploy.lower import Lowering
from alambic.deploy.lower_ops import LOWERERS


def read_graph(path: Path | str) -> Int8Graph:
    """The graph of an int8 QDQ ONNX file. Raises AlambicError for an operator or form that int8 targets do not have."""
    return Lowering(Path(path)).run(LOWERERS)
