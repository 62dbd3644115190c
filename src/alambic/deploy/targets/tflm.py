"""TFLite-Micro itself: the real interpreter, with its recorded memory, on this machine."""

from __future__ import annotations

import contextlib
import json
import math
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, NoReturn

import numpy as np
import numpy.typing as npt

from alambic.deploy.packages import require
from alambic.deploy.targets.host import Floats, Int8s, Parameters, run_images
from alambic.errors import AlambicError, explain_exit, one_line

CHILD = Path(__file__).with_name("tflm_child.py")
ARENA = 64 << 20  # bytes offered, far more than any of these networks needs; untouched pages cost nothing
LINE = re.compile(r"\[RecordingMicroAllocator\] Arena allocation (head|tail) (\d+) bytes")
REFUSED = 1  # the child's exit code where TFLite-Micro says why
LAST = 600  # characters of its words


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
    with _start(path) as interpreter:
        interpreter.run(np.zeros(interpreter.shape, np.int8))
        text = interpreter.end()
    found = {key: int(value) for key, value in LINE.findall(text)}
    if set(found) != {"head", "tail"}:
        raise AlambicError(
            f"{path}: expected the arena's head and tail in TFLite-Micro's record, got {text[:300]!r}; "
            "try the pinned version of tflite-micro"
        )
    return Arena(found["head"], found["tail"])


def predict_tflm(path: Path | str, images: npt.NDArray[Any]) -> Floats:
    """Logits N x classes of normalised images N x C x H x W by TFLite-Micro's kernels; 3 to 60 ms an image."""
    with _start(path) as interpreter:
        return run_images(path, images, interpreter.shape, interpreter.given, interpreter.wanted, interpreter.run)


class _Interpreter:
    """A network in a process of its own (``tflm_child.py``), which may die.

    Attributes:
        shape: of the input, 1 x H x W x C. given, wanted: scale and zero point of input and output.
    """

    def __init__(self, path: Path | str, process: subprocess.Popen[bytes], said: IO[bytes]) -> None:
        assert process.stdin is not None
        assert process.stdout is not None
        self._path, self._process, self._said = path, process, said
        self._images, self._answers = process.stdin, process.stdout
        told = self._answers.readline()
        if not told:
            self._fail()
        given, wanted = json.loads(told)
        self.shape, self._answer = tuple(given["shape"]), tuple(wanted["shape"])
        self.given: Parameters = given["scale"], given["zero_point"]
        self.wanted: Parameters = wanted["scale"], wanted["zero_point"]

    def run(self, image: Int8s) -> Int8s:
        """The output for one image."""
        with contextlib.suppress(BrokenPipeError):  # then there is no answer either
            self._images.write(image.tobytes())
            self._images.flush()
        count = math.prod(self._answer)
        answer = self._answers.read(count)
        if len(answer) < count:
            self._fail()
        return np.frombuffer(answer, np.int8).reshape(self._answer)

    def end(self) -> str:
        """What it says in the end: its record of the arena."""
        self._images.close()
        if self._process.wait():
            self._fail()
        return self._read()

    def _fail(self) -> NoReturn:
        code, said = self._process.wait(), one_line(self._read())[-LAST:]
        if code == REFUSED:
            why, tried = f"it says: {said}", "a network without the operator that it names, or smaller weights"
        else:
            why = f"its process ended with {explain_exit(code)}" + (f", and said: {said}" if said else "")
            tried = "smaller weights: the scales of very large ones overflow"
        raise AlambicError(f"{self._path}: expected a .tflite file that TFLite-Micro runs, but {why}; try {tried}")

    def _read(self) -> str:
        self._said.seek(0)
        return self._said.read().decode(errors="replace")


@contextlib.contextmanager
def _start(path: Path | str) -> Iterator[_Interpreter]:
    require("tflite_micro", "chip")
    if Path(path).read_bytes()[4:8] != b"TFL3":  # its parser would read beyond the end of anything else
        raise AlambicError(f"{path}: expected a .tflite file, got other bytes; try the one that alambic deploy writes")
    command = [sys.executable, "-P", str(CHILD), str(path), str(ARENA)]
    pipe = subprocess.PIPE
    with (
        tempfile.TemporaryFile() as said,
        # a session of its own: Ctrl-C is answered here, and the child ends with its standard input
        subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=said, start_new_session=True) as process,
    ):
        assert process.stdin is not None
        try:
            yield _Interpreter(path, process, said)
        finally:
            with contextlib.suppress(BrokenPipeError):
                process.stdin.close()
