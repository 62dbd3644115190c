"""alambic: distil big networks of any architecture into tiny convolutional ones.

The public names load when they are first used, so that ``alambic --help`` answers at once.
"""

from importlib import import_module
from typing import Any

__version__ = "0.1.0"

_HOMES = {
    "Distiller": "alambic.training.distiller",
    "AlambicError": "alambic.errors",
    "Method": "alambic.methods",
    "create_method": "alambic.methods",
    "create_student": "alambic.models.students",
    "load_source": "alambic.data",
    "DataSpec": "alambic.data",
    "ViewSpec": "alambic.data",
    "Recipe": "alambic.training.recipe",
}
__all__ = sorted(_HOMES)


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'alambic' has no attribute {name!r}; it has {', '.join(__all__)}")
    return getattr(import_module(_HOMES[name]), name)
