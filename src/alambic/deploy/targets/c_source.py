"""Standalone C11 of an int8 network by BakeNN, with CMSIS-NN's kernels or portable ones."""

from __future__ import annotations

import re
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from alambic.deploy.packages import require
from alambic.errors import AlambicError

Kernels = Literal["cmsis-nn", "portable"]
NAME = "student"
BUILD = "bakenn_sources.cmake"  # BakeNN's list of sources: a folder that holds it was written here


@dataclass(frozen=True)
class CSource:
    """Generated C.

    Attributes:
        sources, includes, defines: what a compiler needs; paths are absolute.
        header: declares ``function(arena, input, output)``. Bytes of its three arguments follow; these are three
            buffers, so the arena does not hold the image.
        kernels: names of those used; a layer that CMSIS-NN does not take falls back to a portable one.
    """

    folder: Path
    sources: tuple[Path, ...]
    includes: tuple[Path, ...]
    defines: tuple[str, ...]
    header: Path
    function: str
    arena_bytes: int
    input_bytes: int
    output_bytes: int
    kernels: tuple[str, ...]


def write_c(tflite: Path | str, folder: Path | str, kernels: Kernels = "cmsis-nn") -> CSource:
    """Writes C sources, their licences included, into a folder; C sources that stood there are replaced.

    Raises AlambicError where BakeNN is missing, or lacks an operator of the network (mean, hard-swish, requantisation),
    or where the folder holds anything else.
    """
    if kernels not in get_args(Kernels):
        raise AlambicError(f"expected kernels {' or '.join(get_args(Kernels))}, got {kernels!r}")
    bakenn, selection = require("bakenn", "chip"), require("bakenn.backend.portable_c.selection", "chip")
    fast = kernels == "cmsis-nn"
    policy = selection.KernelPolicy.STATIC_PRIORITY if fast else selection.KernelPolicy.PORTABLE
    options = selection.CBackendOptions(kernel_policy=policy, enable_cmsis_nn=fast, target=bakenn.CORTEX_M4)
    folder = Path(folder).resolve()
    check_folder(folder)
    shutil.rmtree(folder, ignore_errors=True)
    folder.parent.mkdir(parents=True, exist_ok=True)
    try:
        made = bakenn.compile_tflite(str(tflite), str(folder), name=NAME, backend_options=options)
    except bakenn.BakeNNError as error:
        shutil.rmtree(folder, ignore_errors=True)  # half written, it would stand in the way of the next
        said = _name_operators(str(error))
        raise AlambicError(
            f"{tflite}: expected a network that BakeNN writes as C, but it says: {said}; try ReLU or ReLU6, average "
            "pooling and residual additions, which it has"
        ) from error
    header = folder / f"bknn_{NAME}.h"
    wanted = rf"BKNN_{NAME.upper()}_(ARENA_SIZE|INPUT_BYTES|OUTPUT_BYTES) (\d+)u"
    sizes = {key: int(value) for key, value in re.findall(wanted, header.read_text())}
    build = (folder / BUILD).read_text()
    return CSource(
        folder=folder,
        sources=tuple(Path(item) for item in _read_list(build, "BAKENN_MODEL_SOURCES", folder)),
        includes=tuple(Path(item) for item in _read_list(build, "BAKENN_MODEL_INCLUDE_DIRS", folder)),
        defines=tuple(_read_list(build, "BAKENN_MODEL_COMPILE_DEFINITIONS", folder)),
        header=header,
        function=f"bknn_{NAME}_infer",
        arena_bytes=sizes["ARENA_SIZE"],
        input_bytes=sizes["INPUT_BYTES"],
        output_bytes=sizes["OUTPUT_BYTES"],
        kernels=tuple(sorted(set(re.findall(r"\[\d+\] \S+: (\S+) ", made.memory_report.to_text())))),
    )


def check_folder(folder: Path) -> None:
    """Raises AlambicError for what ``write_c`` must not replace: anything but its own C sources or an empty folder."""
    if folder.is_dir():
        if (folder / BUILD).is_file() or not any(folder.iterdir()):
            return
    elif not folder.exists():
        return
    raise AlambicError(
        f"{folder}: expected no such folder, an empty one, or C sources of an earlier deploy, got one without {BUILD}, "
        "because what stands there would be removed; try to move it, or another --out"
    )


def _name_operators(text: str) -> str:
    """BakeNN's words with TFLite's names beside its operator numbers."""
    operators = require("ai_edge_litert.schema_py_generated", "chip").BuiltinOperator
    names = {value: key for key, value in vars(operators).items() if isinstance(value, int)}
    return re.sub(r"operator code (\d+)", lambda found: f"{found[0]} ({names.get(int(found[1]), 'unknown')})", text)


def _read_list(build: str, name: str, folder: Path) -> list[str]:
    """A list of the generated CMake file."""
    found = re.search(rf"set\({name}\s*(.*?)\)", build, re.DOTALL)
    if found is None:
        raise AlambicError(f"{folder}: expected {name} in BakeNN's list of sources; try bakenn 1.0.0")
    text = found[1].replace("${CMAKE_CURRENT_LIST_DIR}", str(folder))
    return [item.strip().strip('"') for item in text.splitlines() if item.strip()]
