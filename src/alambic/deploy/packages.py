"""Packages that only deployment needs: imported when used, and named when missing."""

from __future__ import annotations

import importlib
import importlib.util
from typing import Any

from alambic.errors import AlambicError


def require(package: str, extra: str = "deploy") -> Any:
    """The module ``package``. Raises AlambicError that names the extra to install where it is missing."""
    try:
        return importlib.import_module(package)
    except ImportError as error:
        raise AlambicError(
            f"expected the package {package.partition('.')[0]!r}, found none ({error}); "
            f'try: pip install "alambic[{extra}]"'
        ) from error


def has(package: str) -> bool:
    """Whether a package is installed, without importing it."""
    return importlib.util.find_spec(package) is not None
