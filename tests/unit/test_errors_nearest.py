"""What errors are made of: the closest names to a mistyped one, a reason on one line, how a process ended."""

from __future__ import annotations

import tempfile
from pathlib import Path

from alambic.errors import explain_exit, nearest, one_line


def test_capitals_do_not_hide_a_name() -> None:
    assert nearest("KD", ["kd", "dkd", "vkd"]).startswith("did you mean 'kd'")
    assert "'VID'" in nearest("vid", ["VID", "ab"])
    assert nearest("zzzz", ["kd", "at"]) == "known names: at, kd"


def test_a_stored_reason_is_one_line_without_a_temporary_folder() -> None:
    with tempfile.TemporaryDirectory() as name:
        inside = Path(name) / "plain" / "net.tflite"
        assert one_line(f"{inside}: refused \r\nNode\t7  ({inside})") == "net.tflite: refused Node 7 (net.tflite)"
        assert one_line(f"none at {name}/a.onnx, /data/mine/a.onnx") == "none at a.onnx, /data/mine/a.onnx"


def test_how_a_process_ended() -> None:
    assert explain_exit(-6) == "exit code -6, an abort of a native library"
    assert explain_exit(-9) == "exit code -9, often a lack of memory"
    assert [explain_exit(code) for code in (1, None)] == ["exit code 1", "exit code None"]
