"""TFLite-Micro in a process of its own, because its C++ aborts where a network does not please it.

``python tflm_child.py NET.tflite ARENA_BYTES`` writes one line of JSON about the network's input and output, answers
each image of its standard input, and where that ends prints the arena's record to stderr. Exit code 1: it refused.
"""

from __future__ import annotations

import json
import math
import os
import sys
from typing import Any

import numpy as np
from tflite_micro.python.tflite_micro import runtime


def describe(details: dict[str, Any]) -> dict[str, Any]:
    """Shape, scale and zero point of one side."""
    found = details["quantization_parameters"]
    return {
        "shape": [int(size) for size in details["shape"]],
        "scale": float(found["scales"][0]),
        "zero_point": int(found["zero_points"][0]),
    }


def serve(path: str, arena: int) -> None:
    """A life: the network is loaded, images come in, answers go out, both as raw bytes, until there are no more."""
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what C++ may print is no answer
    try:
        net = runtime.Interpreter.from_file(path, arena_size=arena)
        given = describe(net.get_input_details(0))
        answers.write(json.dumps([given, describe(net.get_output_details(0))]).encode() + b"\n")
        answers.flush()
        shape = given["shape"]
        while image := sys.stdin.buffer.read(math.prod(shape)):
            net.set_input(np.frombuffer(image, np.int8).reshape(shape), 0)
            net.invoke()
            answers.write(np.asarray(net.get_output(0)).tobytes())
            answers.flush()
    except (RuntimeError, ValueError) as error:
        sys.exit(str(error))
    net.print_allocations()


if __name__ == "__main__":
    serve(sys.argv[1], int(sys.argv[2]))
