"""Files that are either whole or not there: checkpoints and weights, written beside and renamed."""

from __future__ import annotations

import contextlib
import hashlib
import io
import os
import pickle
import shutil
import struct
import tempfile
import time
import warnings
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from alambic.errors import AlambicError

SEAL = b"\nalambic sha256 "
ABANDONED = 3600.0  # seconds


def make_folder(folder: Path) -> None:
    """Makes a folder where there is none. Raises AlambicError where that cannot be."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise AlambicError(f"cannot make the folder {folder}: {error.strerror}; try another output folder") from error


def write_atomic(path: Path, write: Callable[[Path], object]) -> None:
    """Lets ``write`` fill a temporary file in the same folder, syncs it, and renames it to ``path``.

    A kill at any moment leaves the old file or the new one, never half of one. Raises AlambicError where the disk
    is full or the folder cannot be written.
    """
    path = Path(path)
    make_folder(path.parent)
    try:
        handle, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".part", dir=path.parent)
        os.close(handle)
        os.chmod(name, 0o644)  # mkstemp makes files that only their owner can read
    except OSError as error:
        raise AlambicError(f"cannot write into {path.parent}: {error.strerror}; try another output folder") from error
    part = Path(name)
    try:
        write(part)
        with part.open("rb") as done:
            os.fsync(done.fileno())
        os.replace(part, path)
    except (OSError, SafetensorError) as error:  # safetensors tells of a full disk by its own error
        raise AlambicError(
            f"cannot write {path}: {getattr(error, 'strerror', None) or error}; what was there before is untouched; "
            "try freeing disk space"
        ) from error
    finally:
        with contextlib.suppress(OSError):
            part.unlink()


def remove_parts(folder: Path) -> None:
    """Removes what killed processes left half made: parts in which nothing has changed for an hour."""
    for part in folder.glob(".*.part"):
        with contextlib.suppress(FileNotFoundError):  # its owner lives, and has just ended
            inside = [part, *part.iterdir()] if part.is_dir() else [part]
            if time.time() - max(path.stat().st_mtime for path in inside) < ABANDONED:
                continue
            if part.is_dir():
                shutil.rmtree(part, ignore_errors=True)
            else:
                part.unlink()


def save_checkpoint(path: Path, state: dict[str, Any]) -> None:
    """A resumable state: tensors, numbers, strings, lists and dicts of them, sealed with its checksum."""
    content = io.BytesIO()
    torch.save(state, content)
    body = content.getvalue()
    seal = SEAL + hashlib.sha256(body).hexdigest().encode()
    write_atomic(path, lambda part: part.write_bytes(body + seal))


def load_checkpoint(path: Path, key: str) -> dict[str, Any] | None:
    """The state saved under ``key``; None where there is none, or it is another run's. Never unpickles code.

    Raises AlambicError for a file that is not whole: torch itself does not notice a changed byte of a tensor.
    """
    if not path.exists():
        return None
    try:
        content = path.read_bytes()
        body, seal = content[: -len(SEAL) - 64], content[-len(SEAL) - 64 :]
        if seal != SEAL + hashlib.sha256(body).hexdigest().encode():
            raise ValueError("its checksum differs")
        state: dict[str, Any] = torch.load(io.BytesIO(body), map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, ValueError, RuntimeError, EOFError, OSError, KeyError) as error:
        raise AlambicError(
            f"checkpoint {path}: expected a whole file written by alambic, got one that cannot be read safely "
            f"({error if isinstance(error, ValueError) else type(error).__name__}); "
            "try deleting it: only the work since the last finished cell is lost"
        ) from error
    return state if state.get("key") == key else None


def hash_tensors(state: Mapping[str, Tensor] | Iterable[tuple[str, Tensor]]) -> str:
    """sha256 over names, shapes, types and bytes of tensors, in name order."""
    digest = hashlib.sha256()
    items = state.items() if isinstance(state, Mapping) else state
    for name, tensor in sorted(items):
        value = tensor.detach().cpu().contiguous(memory_format=torch.contiguous_format)
        digest.update(f"{name}|{tuple(value.shape)}|{value.dtype}|".encode())
        digest.update(value.flatten().view(torch.uint8).numpy().tobytes() if value.numel() else b"")
    return digest.hexdigest()


def hash_file(path: Path) -> str:
    """sha256 of a file's bytes."""
    with Path(path).open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


# what torch's reader and its unpickler raise over damaged files, but for pickle's own error
DAMAGED = (
    *(RuntimeError, EOFError, KeyError, ValueError, IndexError, TypeError, AttributeError, AssertionError),
    *(ImportError, OverflowError, struct.error),
)


def read_state_dict(path: Path) -> dict[str, Tensor]:
    """Tensors of a safetensors file, or of a torch file read without running code.

    Raises AlambicError when the file is missing, truncated, not weights, or would run code.
    """
    if not path.exists():
        raise AlambicError(f"expected a weights file at {path}, found none")
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch warns of a pickle's protocol, and refuses it all the same
            state: Any = torch.load(path, map_location="cpu", weights_only=True)
    except (SafetensorError, OSError) as error:
        raise AlambicError(f"expected whole weights at {path}, got a file that cannot be read: {error}") from error
    except pickle.UnpicklingError:  # torch's own words advise to read it all the same
        raise AlambicError(
            f"refused {path}: expected tensors alone, got a file that holds more than tensors, or a damaged one; what "
            "else it holds could run code, so it is not read; try saving net.state_dict() as safetensors"
        ) from None
    except DAMAGED as error:  # its words over a TorchScript archive advise to read it all the same, too
        raise AlambicError(
            f"expected whole weights at {path}, got a file that torch does not read as tensors "
            f"({type(error).__name__}); try another copy, or saving net.state_dict() as safetensors"
        ) from None
    for key in ("state_dict", "model", "model_state_dict"):
        if isinstance(state, dict) and isinstance(state.get(key), dict):
            state = state[key]
    if not isinstance(state, dict) or not all(isinstance(value, Tensor) for value in state.values()):
        raise AlambicError(f"expected a state_dict (names to tensors) at {path}, got {type(state).__name__}")
    return state
