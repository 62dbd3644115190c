"""The closest names to a mistyped one, capitals or not."""

from __future__ import annotations

from alambic.errors import nearest


def test_capitals_do_not_hide_a_name() -> None:
    assert nearest("KD", ["kd", "dkd", "vkd"]).startswith("did you mean 'kd'")
    assert "'VID'" in nearest("vid", ["VID", "ab"])
    assert nearest("zzzz", ["kd", "at"]) == "known names: at, kd"
