"""Sources (uint8 images with content-hashed splits) and views (pure functions of seed, image id and view id)."""

from alambic.data.load import load_source, source_names
from alambic.data.source import Source
from alambic.data.spec import DataSpec

__all__ = ["DataSpec", "Source", "load_source", "source_names"]
