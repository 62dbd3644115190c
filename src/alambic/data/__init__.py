"""Sources (uint8 images with content-hashed splits) and views (pure functions of seed, image id and view id)."""

from alambic.data.arrays import from_arrays
from alambic.data.load import load_source, source_names
from alambic.data.photometry import Photometry, Sensor
from alambic.data.source import Source
from alambic.data.spec import DataSpec
from alambic.data.views import CLEAN, ViewSpec, key, mixing, photograph, render, render_clean, view_ids

__all__ = [
    "CLEAN",
    "DataSpec",
    "Photometry",
    "Sensor",
    "Source",
    "ViewSpec",
    "from_arrays",
    "key",
    "load_source",
    "mixing",
    "photograph",
    "render",
    "render_clean",
    "source_names",
    "view_ids",
]
