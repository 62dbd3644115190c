"""Parquet files as the Hugging Face hub stores images: a struct of bytes and path, and a label column.

Takes one file, or a folder with ``train``, ``validation`` and ``test`` files or shards, beside each other or below
``data``.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch

from alambic.data.arrays import as_labels
from alambic.data.decode import Opener, check_room, collect, opener
from alambic.data.raw import RawImages, data_root, need_path, split_of
from alambic.data.spec import DataSpec
from alambic.errors import AlambicError, nearest

NAME = "parquet"
_ROWS = 512
_ROW_BYTES = 100  # of a label as Python holds it: a small file may claim thousands of millions of rows


def accepts(path: Path) -> bool:
    return bool(find_files(path))


def read(spec: DataSpec, download: bool) -> RawImages:
    """Reads every image; class names come from the schema's ClassLabel where it has one."""
    root = need_path(spec, NAME)
    files = find_files(root)
    if not files:
        raise AlambicError(
            f"{root}: expected .parquet files here or below data, got {'none' if root.exists() else 'no such folder'}; "
            f"try another path, or ALAMBIC_DATA, the folder where such names are looked for ({data_root()})"
        )
    return read_files(root, files, spec)


def read_files(root: Path, files: list[Path], spec: DataSpec) -> RawImages:
    """Reads some files of a folder; each one's split is told by its name, unless it is alone."""
    splits = [split_of(file.stem) for file in files]
    if len(files) == 1:
        splits = [None]
    unknown = [file.name for file, split in zip(files, splits, strict=True) if split is None]
    if unknown and len(unknown) < len(files):
        raise AlambicError(f"{root}: expected names that begin with train, validation or test, got {unknown[:5]} too")
    try:
        return _read_rows(root, files, splits, spec)
    except (OSError, pa.ArrowException) as error:
        raise AlambicError(f"{root}: cut off, damaged, or no Parquet file ({error}); try to copy it again") from error


def _read_rows(root: Path, files: list[Path], splits: list[int | None], spec: DataSpec) -> RawImages:
    tables = [pq.ParquetFile(file) for file in files]
    schema = tables[0].schema_arrow
    image, features = _image_column(schema, root), _features(schema)
    wanted = [spec.label] if spec.group is None else [spec.label, spec.group]
    for file, table in zip(files, tables, strict=True):
        names = table.schema_arrow.names
        for column in (image, *wanted):
            if column not in names:
                raise AlambicError(
                    f"{file}: expected a column {column!r}, got the columns {names}; "
                    f"try another label or group: {nearest(column, names)}"
                )
    count = sum(table.metadata.num_rows for table in tables)
    check_room(count * _ROW_BYTES, str(root))
    columns = [[value for table in tables for value in table.read([name]).column(0).to_pylist()] for name in wanted]
    rows = [table.metadata.num_rows for table in tables]
    decoded = collect(_items(files, tables, image), sum(rows), spec, str(root))
    labels, classes = _labels(columns[0], features.get(spec.label, {}).get("names"), f"{root} column {spec.label!r}")
    groups = None if spec.group is None else [str(value) for value in columns[1]]
    if spec.group is not None and None in columns[1]:
        raise AlambicError(
            f"{root}: expected a group in column {spec.group!r} for each image, got none in row "
            f"{columns[1].index(None)}; try another column"
        )
    places = None if None in splits else torch.tensor(np.repeat([int(split or 0) for split in splits], rows))
    return RawImages(
        decoded.images,
        labels[decoded.kept],
        classes,
        groups=None if groups is None else [groups[row] for row in decoded.kept.tolist()],
        split=None if places is None else places[decoded.kept],
        unreadable=decoded.unreadable,
    )


def find_files(path: Path) -> list[Path]:
    """The file itself, or the files of a folder or of its sub-folder ``data``, in the order of their names."""
    if path.is_file():
        return [path] if path.suffix.lower() == ".parquet" else []
    return sorted(path.glob("*.parquet")) or sorted(path.glob("data/*.parquet"))


def _features(schema: pa.Schema) -> dict[str, dict[str, Any]]:
    """The feature table that the ``datasets`` library leaves in the schema's metadata; empty where there is none."""
    stored = (schema.metadata or {}).get(b"huggingface")
    features = json.loads(stored).get("info", {}).get("features", {}) if stored else {}
    return {name: value for name, value in features.items() if isinstance(value, dict)}


def _image_column(schema: pa.Schema, root: Path) -> str:
    declared = [name for name, value in _features(schema).items() if value.get("_type") == "Image"]
    shaped = [
        field.name
        for field in schema
        if (pa.types.is_struct(field.type) and field.type.get_field_index("bytes") >= 0)
        or pa.types.is_binary(field.type)
        or pa.types.is_large_binary(field.type)
    ]
    if not (declared or shaped):
        raise AlambicError(
            f"{root}: expected an image column (bytes, or a struct of bytes and path), got {schema.names}"
        )
    return (declared or shaped)[0]


def _items(files: list[Path], tables: list[pq.ParquetFile], image: str) -> Iterator[tuple[str, Opener]]:
    for file, table in zip(files, tables, strict=True):
        row = 0
        for batch in table.iter_batches(batch_size=_ROWS, columns=[image]):
            for value in batch.column(0).to_pylist():
                yield f"{file.name} row {row}", opener(_content(value, file))
                row += 1


def _content(value: dict[str, Any] | bytes | None, file: Path) -> Path | bytes:
    if isinstance(value, dict):
        path = value.get("path")
        return value["bytes"] if value["bytes"] is not None else file.parent / path if path else b""
    return value or b""


def _labels(values: list[Any], names: list[str] | None, where: str) -> tuple[torch.Tensor, tuple[str, ...]]:
    """Labels and class names of a column of numbers or names; nothing is an unlabelled image."""
    known = [value for value in values if value is not None]
    if known and isinstance(known[0], str):
        titles = names or sorted(set(known))
        place = {title: index for index, title in enumerate(titles)}
        return as_labels(np.array([-1 if v is None else place.get(v, len(titles)) for v in values]), titles, where)
    if not all(isinstance(value, int) for value in known):
        raise AlambicError(
            f"{where}: expected whole numbers or names, got {type(known[0]).__name__}; try another label"
        )
    return as_labels(np.array([-1 if v is None else v for v in values], dtype=np.int64), names, where)
