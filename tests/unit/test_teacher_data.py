"""Which images taught a teacher: said by the file, by its card, by its training here; else tables say ``unknown``."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from alambic.config import read_document, read_tables
from alambic.models.teacher import widest_data
from alambic.study.content import _seen_data
from alambic.training.teacher_file import read_entry, read_teacher_file


@pytest.mark.parametrize(
    ("table", "card", "expected"),
    [
        ('net = "zoo:resnet8_w16"', None, "same"),  # trained by the study
        ('net = "zoo:resnet8_w16"\nweights = "a.safetensors"', None, "unknown"),
        ('net = "zoo:resnet8_w16"\nweights = "a.safetensors"', {}, "unknown"),
        ('net = "card"\nweights = "a.safetensors"', {"spec": {"teacher_data": "superset"}}, "superset"),
        ('net = "card"\nweights = "a.safetensors"', {"spec": {"teacher_data": "same"}, "train_images": 50}, "same"),
        ('net = "card"\nweights = "a.safetensors"', {"spec": {"teacher_data": "same"}, "train_images": 20}, "same"),
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
    assert _seen_data({"one": entry}, "one", tmp_path, 50, 50) == expected
    more = table == 'net = "zoo:resnet8_w16"' or (card or {}).get("train_images") == 50  # trained here, or so its card
    assert _seen_data({"one": entry}, "one", tmp_path, 20, 50) == ("superset" if more else expected)


def test_who_learnt_from_another_has_seen_what_that_one_saw() -> None:
    assert widest_data("same", "superset") == "superset"
    assert widest_data("external", "same", "superset") == "external"
    assert widest_data("same") == "same"


@pytest.mark.parametrize("how", ["distil_from", "start_from"])
def test_what_a_study_says_of_one_that_it_trains_from_another(tmp_path: Path, how: str) -> None:
    file = tmp_path / "teachers.toml"
    file.write_text(
        '[data]\nsource = "digits"\n[teachers.hub]\nnet = "timm:resnet18"\npretrained = true\n'
        f'[teachers.mine]\nnet = "zoo:resnet8_w16"\n{how} = "hub"\n'
        f'[teachers.last]\nnet = "zoo:resnet8_w16"\nteacher_data = "same"\n{how} = "mine"\n'
        f'[teachers.lost]\nnet = "card"\nweights = "a.safetensors"\n'
        f'[teachers.vague]\nnet = "zoo:resnet8_w16"\n{how} = "lost"\n'
    )
    (tmp_path / "a.json").write_text("{}")
    entries = read_teacher_file(file)[1]
    seen = {name: _seen_data(entries, name, tmp_path, 50, 50) for name in entries}
    assert seen == {"hub": "external", "mine": "external", "last": "external", "lost": "unknown", "vague": "unknown"}


def test_data_of_a_teacher_file_start_at_its_folder_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "all.npz").write_bytes(b"")
    file = tmp_path / "teachers.toml"
    file.write_text('[data]\nsource = "all.npz"\n[teachers.one]\nnet = "zoo:resnet8_w16"\n')
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert read_teacher_file(file)[0].source == str(tmp_path / "all.npz")
