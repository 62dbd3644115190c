"""The state of a student that is the user's own code: a name such as ``net.py:make`` does not tell of an edit."""

from __future__ import annotations

import hashlib
import inspect
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import nn

from alambic.files import hash_file, hash_tensors

_TORCH = str(Path(torch.__file__).parent)
_PLAIN = (bool, int, float, str, tuple, list)


def hash_student(net: nn.Module) -> str:
    """Hash of all that decides what a fresh student computes.

    Its modules with their plain attributes, its weights, and the files (beside torch's) that its classes, hooks and
    replaced methods are written in. Read off the network: its file's folder is known to the study alone.
    """
    digest = hashlib.sha256(hash_tensors(net.state_dict()).encode())
    for name, module in net.named_modules():
        own = {k: v for k, v in vars(module).items() if not k.startswith("_") and isinstance(v, _PLAIN)}
        text = f"{name}|{type(module).__qualname__}|{module.extra_repr()}|{sorted(own.items())}"
        digest.update(re.sub(r" at 0x[0-9a-f]+", "", text).encode())
    for path in sorted({path for module in net.modules() for path in _find_files(module)}):
        digest.update(hash_file(path).encode())
    return digest.hexdigest()[:12]


def _find_files(module: nn.Module) -> Iterator[Path]:
    """Files of the functions of its class and bases, of its own replaced methods and of its hooks."""
    found: list[Any] = [item for kind in type(module).__mro__ for item in vars(kind).values()]
    for item in vars(module).values():
        found += item.values() if isinstance(item, dict) else [item]
    for item in found:
        code = getattr(inspect.unwrap(getattr(item, "__func__", item)), "__code__", None)
        if code is not None and not code.co_filename.startswith(_TORCH) and Path(code.co_filename).is_file():
            yield Path(code.co_filename)
