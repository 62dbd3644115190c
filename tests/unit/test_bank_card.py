"""What a bank's card says of a user's own network: its file's name and hash, never where it lies."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

from alambic.study.taught import _name_net


def test_a_card_tells_the_file_and_its_state_but_not_its_folder(tmp_path: Path) -> None:
    told = []
    for folder, text in (("a", "x = 1"), ("b", "x = 1"), ("c", "x = 2")):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "own.py").write_text(text)
        for net in (f"{tmp_path / folder / 'own.py'}:make", "own.py:make"):
            teacher = SimpleNamespace(spec=SimpleNamespace(net=net), card={"folder": str(tmp_path / folder)})
            told.append(_name_net(teacher, SimpleNamespace(folder=tmp_path)))
    assert not any(str(tmp_path) in name for name in told)
    assert len(set(told[:4])) == 1
    assert told[4] == told[5] != told[0]
    plain = SimpleNamespace(spec=SimpleNamespace(net="zoo:resnet8_w8"), card={})
    assert _name_net(plain, SimpleNamespace(folder=tmp_path)) == "zoo:resnet8_w8"
