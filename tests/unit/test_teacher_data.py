"""Which images taught a teacher: said by the file, by its card, by its training here; else tables say ``unknown``."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from alambic.config import read_document, read_tables
from alambic.study.content import _seen_data
from alambic.training.teacher_file import read_entry


@pytest.mark.parametrize(
    ("table", "card", "expected"),
    [
        ('net = "zoo:resnet8_w16"', None, "same"),  # trained by the study
        ('net = "zoo:resnet8_w16"\nweights = "a.safetensors"', None, "unknown"),
        ('net = "zoo:resnet8_w16"\nweights = "a.safetensors"', {}, "unknown"),
        ('net = "card"\nweights = "a.safetensors"', {"spec": {"teacher_data": "superset"}}, "superset"),
        (
            'net = "card"\nweights = "a.safetensors"\nteacher_data = "same"',
            {"spec": {"teacher_data": "superset"}},
            "same",
        ),
        ('net = "zoo:resnet8_w16"\nweights = "a.safetensors"\nteacher_data = "same"', None, "same"),
        ('net = "timm:resnet18"\npretrained = true', None, "external"),
        ('net = "timm:resnet18"\npretrained = true\nteacher_data = "superset"', None, "superset"),
        ('net = "a.onnx"', None, "unknown"),
        ('net = "own.py:make"\nfit_head = true', None, "unknown"),
    ],
)
def test_what_tables_say(tmp_path: Path, table: str, card: dict[str, object] | None, expected: str) -> None:
    file = tmp_path / "teachers.toml"
    file.write_text(f"[teachers.one]\n{table}\n")
    if card is not None:
        (tmp_path / "a.json").write_text(json.dumps(card))
    document = read_document(file)
    entry = read_entry("one", read_tables(document, "teachers")["one"], document)
    assert _seen_data(entry, tmp_path) == expected
