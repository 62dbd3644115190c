"""Atomic files, safe weights, and study files whose errors name file, line and key."""

import io
import os
import pickle
import warnings
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from alambic.config import build, find_line, read_document
from alambic.errors import AlambicError
from alambic.files import hash_tensors, load_checkpoint, read_state_dict, save_checkpoint, write_atomic
from alambic.study.study_file import read_study


@dataclass(frozen=True)
class Inner:
    ratio: float = 0.5
    kind: Literal["a", "b"] = "a"


@dataclass(frozen=True)
class Outer:
    count: int
    names: tuple[str, ...] = ()
    inner: Inner = field(default_factory=Inner)
    pair: tuple[int, int] | None = None
    extra: dict[str, Any] = field(default_factory=dict)


def document(tmp_path, text):
    path = tmp_path / "f.toml"
    path.write_text(text)
    return read_document(path)


def test_builds_nested_tables(tmp_path):
    found = document(tmp_path, 'count = 3\nnames = ["x"]\npair = [1, 2]\n[inner]\nratio = 1\nkind = "b"\n')
    assert build(Outer, found.tables, found) == Outer(3, ("x",), Inner(1.0, "b"), (1, 2))


@pytest.mark.parametrize(
    ("text", "line", "said"),
    [
        ('count = "3"', 1, "expected a whole number, got '3'"),
        ("count = true", 1, "expected a whole number"),
        ("count = 1\ncuont = 2", 2, "did you mean 'count'"),
        ("count = 1\n\n[inner]\nratio = 'x'", 4, "expected a number"),
        ("count = 1\n[inner]\nkind = 'c'", 3, "expected one of 'a', 'b'"),
        ("count = 1\npair = [1, 2, 3]", 2, "list of 2"),
        ("count = 1\ninner.ratio = 'x'", 2, "expected a number"),
    ],
)
def test_errors_name_line_and_key(tmp_path, text, line, said):
    found = document(tmp_path, text)
    with pytest.raises(AlambicError, match=said) as error:
        build(Outer, found.tables, found)
    assert f"f.toml:{line} " in str(error.value)


def test_missing_key_is_named(tmp_path):
    found = document(tmp_path, "names = []")
    with pytest.raises(AlambicError, match="'count'"):
        build(Outer, found.tables, found)


def test_find_line_of_a_table():
    assert find_line("a = 1\n\n[b.c]\nd = 2\n", ("b", "c", "e")) == 3
    assert find_line("a = 1\n", ("z",)) is None


@settings(max_examples=60, deadline=None)
@given(st.text(max_size=200))
def test_any_text_gives_a_named_error_or_a_study(tmp_path_factory, text):
    path = tmp_path_factory.mktemp("fuzz") / "study.toml"
    path.write_text(text, encoding="utf-8", errors="surrogatepass") if text.isascii() else path.write_bytes(
        text.encode("utf-8", "surrogatepass")
    )
    with pytest.raises(AlambicError):
        read_study(path)


keys = st.sampled_from(
    ["name", "purpose", "seeds", "students", "methods", "data", "views", "recipe", "arms", "teachers"]
)
values = st.sampled_from(
    ['"x"', "3", "-1", "[]", '["none"]', "{}", "{ a = 1 }", "true", "1e400", '[["x"]]', "[{ method = 3 }]"]
)


@settings(max_examples=100, deadline=None)
@given(st.dictionaries(keys, values, min_size=1))
def test_any_study_table_gives_a_named_error_or_a_study(tmp_path_factory, table):
    path = tmp_path_factory.mktemp("fuzz") / "study.toml"
    path.write_text("".join(f"{key} = {value}\n" for key, value in table.items()))
    try:
        read_study(path)
    except AlambicError:
        return


def test_a_failing_write_leaves_the_old_file(tmp_path):
    path = tmp_path / "x"
    path.write_text("old")

    def fail(part):
        part.write_text("half")
        raise OSError(28, "No space left on device")

    with pytest.raises(AlambicError, match="No space left"):
        write_atomic(path, fail)
    assert path.read_text() == "old"
    assert [item.name for item in tmp_path.iterdir()] == ["x"]


def test_checkpoint_of_another_run_is_not_taken(tmp_path):
    save_checkpoint(tmp_path / "c", {"key": "a", "x": torch.ones(2)})
    assert load_checkpoint(tmp_path / "c", "b") is None
    assert torch.equal(load_checkpoint(tmp_path / "c", "a")["x"], torch.ones(2))
    assert load_checkpoint(tmp_path / "none", "a") is None


def test_damaged_checkpoint_says_what_to_do(tmp_path):
    save_checkpoint(tmp_path / "c", {"key": "a", "x": torch.ones(2000)})
    whole = (tmp_path / "c").read_bytes()
    (tmp_path / "c").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(AlambicError, match="try deleting it"):
        load_checkpoint(tmp_path / "c", "a")


def test_hash_sees_names_shapes_and_layout_free_values():
    x = torch.randn(2, 3, 4, 4)
    turned = x.to(memory_format=torch.channels_last)
    assert hash_tensors({"a": x, "n": torch.tensor(3)}) == hash_tensors({"a": turned, "n": torch.tensor(3)})
    assert hash_tensors({"a": x}) != hash_tensors({"b": x})
    assert hash_tensors({"a": x}) != hash_tensors({"a": x.reshape(2, 3, 16)})


class Hostile:
    def __reduce__(self):
        return os.mkdir, ("ran",)


def saved(state):
    content = io.BytesIO()
    torch.save(state, content)
    return content.getvalue()


def scripted():
    content = io.BytesIO()
    torch.jit.save(torch.jit.script(torch.nn.Linear(1, 1)), content)
    return content.getvalue()


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (
            lambda: saved({"w": Hostile()}),
            "refused .*: expected tensors alone, got a file that holds more than tensors",
        ),
        (
            lambda: saved({"w": torch.zeros(2), "made": Path("x")}),
            "holds more than tensors.* try saving net.state_dict",
        ),
        (lambda: pickle.dumps({"w": 1}, protocol=4), "holds more than tensors, or a damaged one"),  # torch warns of it
        (scripted, "expected whole weights at .*does not read as tensors"),
        (lambda: b"hello there", "expected whole weights at .*does not read as tensors .*KeyError.*; try another copy"),
        (lambda: saved({"w": torch.zeros(99)})[:300], "expected whole weights at .*does not read as tensors"),
        (lambda: b"\x80\x02U\xff.", "expected whole weights|refused"),
    ],
)
def test_weights_that_are_no_tensors_are_refused_in_our_own_words(tmp_path, monkeypatch, make, said):
    """torch's own words advise to read them all the same."""
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "w.pt"
    path.write_bytes(make())
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(AlambicError, match=said) as caught:
            read_state_dict(path)
    assert "weights_only" not in str(caught.value)
    assert str(caught.value).isprintable()
    assert caught.value.__suppress_context__  # nor does a traceback in Python show them
    assert not (tmp_path / "ran").exists()
