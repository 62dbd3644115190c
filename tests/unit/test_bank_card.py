"""What a bank's card, a scorecard's key and a ledger say of a teacher: never where its files lie."""

from __future__ import annotations

import json
from pathlib import Path

from torch import nn

from alambic.models.teacher import Teacher, TeacherSpec
from alambic.models.teachers import tell_outputs


def make_teacher(net: str, folder: Path = Path(), **kwargs: object) -> Teacher:
    return Teacher("t", nn.Flatten(), TeacherSpec(net, kwargs), (8, 8), (0.5,), (0.25,), 64, "hash", {}, folder)


def test_a_card_tells_the_file_and_its_state_but_not_its_folder(tmp_path: Path) -> None:
    told = []
    for folder, text in (("a", "x = 1"), ("b", "x = 1"), ("c", "x = 2")):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "own.py").write_text(text)
        for net in (f"{tmp_path / folder / 'own.py'}:make", "own.py:make"):
            told.append(tell_outputs(make_teacher(net, tmp_path / folder))["net"])
    assert not any(str(tmp_path) in name for name in told)
    assert len(set(told[:4])) == 1
    assert told[4] == told[5] != told[0]
    assert tell_outputs(make_teacher("../zoo/t.onnx"))["net"] == "t.onnx"


def test_settings_are_told_where_there_are_any() -> None:
    plain = {
        "net": "zoo:resnet8_w8",
        "size": [8, 8],
        "mean": [0.5],
        "std": [0.25],
    }  # so that older banks keep their keys
    assert tell_outputs(make_teacher("zoo:resnet8_w8")) == plain
    assert tell_outputs(make_teacher("zoo:resnet8_w8", gain=-3.0)) == {**plain, "kwargs": {"gain": -3.0}}
    assert json.loads(json.dumps(plain)) == plain
