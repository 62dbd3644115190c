"""Study files from a hostile or careless hand: a named error or a study, never a traceback."""

import copy
import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from alambic.cli import main
from alambic.errors import AlambicError
from alambic.study.study_file import read_study
from alambic.training.teacher_file import read_teacher_file

GOOD = {
    "name": "x",
    "purpose": "demo",
    "seeds": 2,
    "students": ["dscnn_8x2"],
    "methods": ["none", "kd"],
    "data": {"source": "fashion-mnist", "size": 28, "channels": 1, "tune": 0.1, "classes": {"a": "b", "c": ["d"]}},
    "views": {"count": 2, "zoom": [0.5, 1.0], "mix": "none", "student": {"brightness": 0.1, "sensor": {"grey": True}}},
    "recipe": {"epochs": 2, "lr": 0.1, "optimizer": "sgd"},
    "task": {"metric": "accuracy", "class_weights": [1.0, 2.0]},
    "int8": {"enabled": True, "calibration": "minmax"},
    "execution": {"jobs": 1, "threads": 1, "live_only": False},
    "teachers": {
        "a": {"net": "zoo:resnet8_w8", "kwargs": {}, "size": [32, 32], "recipe": {"epochs": 1}, "seed": 1},
        "b": {"net": "timm:vit_tiny", "distil_from": "a", "method": "kd", "settings": {"temperature": 2.0}},
    },
    "arms": [
        {"method": "kd", "name": "hot", "settings": {"temperature": 8.0}, "weights": [1.0], "teachers": ["a"]},
        {"method": ["kd", "rsd"], "settings": {"kd": {"weight": 1.0}}, "modifiers": ["lskd"], "ce_weight": 0.5},
    ],
}


def write_toml(value):
    """A value as inline TOML."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{json.dumps(str(k))} = {write_toml(v)}" for k, v in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(write_toml, value)) + "]"
    if isinstance(value, float):
        return repr(value)
    return json.dumps(value)


def save(path, tables):
    path.write_text("".join(f"{json.dumps(key)} = {write_toml(value)}\n" for key, value in tables.items()))


def places(value, path=()):
    """The path of every key and item inside nested tables and lists."""
    pairs = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in pairs:
        yield (*path, key)
        yield from places(item, (*path, key))


words = st.sampled_from(
    [
        "",
        "x",
        "../x",
        "/etc/passwd",
        "none",
        "kd",
        "a",
        "zoo:",
        "timm:../x",
        "x.py:f",
        ":",
        "\x1b[2J",
        "=1+1",
        "a/b",
        "..",
    ]
)
simple = st.one_of(
    words, st.booleans(), st.integers(-(2**63), 2**63 - 1), st.floats(), st.text("ab\n\"'\\é<>&", max_size=5)
)
values = st.recursive(
    simple, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(words, inner, max_size=3), max_leaves=5
)


def change(tables, where, value, how):
    """The tables with one place replaced, removed, or with a key added beside it."""
    changed = copy.deepcopy(tables)
    holder = changed
    for key in where[:-1]:
        holder = holder[key]
    if how == "remove":
        del holder[where[-1]]
    elif how == "add" and isinstance(holder, dict):
        holder["surprise"] = value
    else:
        holder[where[-1]] = value
    return changed


def answer(reader, path):
    """Empty where the file was read; else the file's name, if the error names it."""
    try:
        reader(path)
    except AlambicError as error:
        return path.name if path.name in str(error) else f"an error that names no file: {error}"
    return ""


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.sampled_from(list(places(GOOD))), values, st.sampled_from(["replace", "replace", "remove", "add"]))
def test_a_changed_study_gives_a_named_error_or_a_study(tmp_path, where, value, how):
    path = tmp_path / "study.toml"
    save(path, change(GOOD, where, value, how))
    assert answer(read_study, path) in ("", "study.toml")


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.sampled_from([p for p in places(GOOD) if p[0] in ("data", "views", "recipe", "teachers")]), values)
def test_a_changed_teacher_file_gives_a_named_error_or_teachers(tmp_path, where, value):
    path = tmp_path / "teachers.toml"
    tables = {name: GOOD[name] for name in ("data", "views", "recipe", "teachers")}
    save(path, change(tables, where, value, "replace"))
    assert answer(read_teacher_file, path) in ("", "teachers.toml")


def test_the_good_file_is_good(tmp_path):
    save(tmp_path / "study.toml", GOOD)
    assert len(read_study(tmp_path / "study.toml").arms) == 4


@pytest.mark.parametrize("name", ["../../x", "/etc/x", "a/b", "..", ".hidden", "", "a\\b", "a\x1b[2Jb", "a\nb"])
def test_names_that_become_files_or_lines_are_plain(tmp_path, name):
    path = tmp_path / "study.toml"
    save(path, {**GOOD, "name": name})
    with pytest.raises(AlambicError, match="plain name"):
        read_study(path)
    save(path, {**GOOD, "teachers": {name: GOOD["teachers"]["a"]}, "arms": GOOD["arms"][1:]})
    with pytest.raises(AlambicError, match="plain name"):
        read_study(path)
    save(path, {"data": GOOD["data"], "teachers": {name: GOOD["teachers"]["a"]}})
    with pytest.raises(AlambicError, match="plain name"):
        read_teacher_file(path)


def test_an_arm_named_with_control_characters_is_refused(tmp_path):
    path = tmp_path / "study.toml"
    save(path, {**GOOD, "arms": [{"method": "kd", "name": "\x1b]0;owned\x07"}]})
    with pytest.raises(AlambicError, match="printable"):
        read_study(path)


def test_an_error_shows_control_characters_as_codes(tmp_path, capsys):
    path = tmp_path / "study.toml"
    save(path, {**GOOD, "\x1b]0;owned\x07": 1})
    assert main(["study", "run", str(path), "--out", str(tmp_path / "out")]) == 2
    said = capsys.readouterr().err
    assert "\x1b" not in said
    assert "\\x1b]0;owned" in said
