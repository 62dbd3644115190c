"""TFLite-Micro itself: the real interpreter, with its recorded memory, on this machine."""

from __future__ import annotations

import contextlib
import os
import re
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
import numpy.typing as npt

from alambic.deploy.packages import require
from alambic.deploy.targets.host import Floats, Int8s, Parameters, run_images
from alambic.errors import AlambicError

RUNTIME = "tflite_micro.python.tflite_micro.runtime"
ARENA = 64 << 20  # bytes offered, far more than any of these networks needs; untouched pages cost nothing
LINE = re.compile(r"\[RecordingMicroAllocator\] Arena allocation (head|tail) (\d+) bytes")


@dataclass(frozen=True)
class Arena:
    """RAM that TFLite-Micro takes, in bytes.

    Attributes:
        head: activations and scratch, reused from operator to operator.
        tail: what stays for the whole life of the network (structs, per-channel multipliers). Measured on this
            64-bit machine: a 32-bit core has shorter pointers in the structs.
    """

    head: int
    tail: int

    @property
    def total(self) -> int:
        return self.head + self.tail


def measure_arena(path: Path | str) -> Arena:
    """The arena of a .tflite file, recorded by the interpreter over one run on zeros."""
    interpreter = _load(path)
    details = interpreter.get_input_details(0)
    with _catch_stderr() as caught:
        interpreter.set_input(np.zeros(details["shape"], details["dtype"]), 0)
        interpreter.invoke()
        interpreter.print_allocations()
    text = _read(caught)
    found = {key: int(value) for key, value in LINE.findall(text)}
    if set(found) != {"head", "tail"}:
        raise AlambicError(
            f"{path}: expected the arena's head and tail in TFLite-Micro's record, got {text[:300]!r}; "
            "try the pinned version of tflite-micro"
        )
    return Arena(found["head"], found["tail"])


def predict_tflm(path: Path | str, images: npt.NDArray[Any]) -> Floats:
    """Logits N x classes of normalised images N x C x H x W by TFLite-Micro's kernels; 3 to 60 ms an image."""
    interpreter = _load(path)
    given, wanted = interpreter.get_input_details(0), interpreter.get_output_details(0)

    def run(image: Int8s) -> Int8s:
        interpreter.set_input(image, 0)
        interpreter.invoke()
        return np.asarray(interpreter.get_output(0))

    return run_images(path, images, given["shape"], _parameters(given), _parameters(wanted), run)


def _parameters(details: dict[str, Any]) -> Parameters:
    found = details["quantization_parameters"]
    return float(found["scales"][0]), int(found["zero_points"][0])


def _load(path: Path | str) -> Any:
    runtime = require(RUNTIME, "chip")
    if Path(path).read_bytes()[4:8] != b"TFL3":  # its parser would read beyond the end of anything else
        raise AlambicError(f"{path}: expected a .tflite file, got other bytes; try the one that alambic deploy writes")
    with _catch_stderr() as caught:
        try:
            return runtime.Interpreter.from_file(str(path), arena_size=ARENA)
        except (RuntimeError, ValueError) as error:
            failure = error
    raise AlambicError(
        f"{path}: expected a .tflite file that TFLite-Micro runs, but it says: {_read(caught).strip() or failure}; "
        "try a network without the operator that it names; scales of an untrained one may overflow as well"
    ) from failure


@contextlib.contextmanager
def _catch_stderr() -> Iterator[IO[bytes]]:
    """Sends what C++ writes to the process's stderr into a temporary file; it is read after the block."""
    sys.stderr.flush()
    kept = os.dup(2)
    caught = tempfile.TemporaryFile()  # noqa: SIM115 - read by the caller once stderr is back, freed with it
    os.dup2(caught.fileno(), 2)
    try:
        yield caught
    finally:
        os.dup2(kept, 2)
        os.close(kept)


def _read(caught: IO[bytes]) -> str:
    caught.seek(0)
    return caught.read().decode(errors="replace")
