"""docs/study_file.md, which `make_docs.py` writes: each table and key of a study file, from the classes behind it."""

from __future__ import annotations

import dataclasses
import inspect
import re
from typing import Any, Literal, get_args, get_origin, get_type_hints

from alambic.data import DataSpec, Sensor, ViewSpec
from alambic.data.photometry import Photometry
from alambic.models.teacher import TeacherSpec
from alambic.study import arms_file, confirm, specs, study_file
from alambic.study.falsifiers import Falsifier
from alambic.study.place import Execution
from alambic.training import teacher_file
from alambic.training.recipe import Recipe

# heading -> the dataclasses whose fields are its keys
TABLES: dict[str, tuple[type, ...]] = {
    "The head of the file": (study_file._Head,),
    "[data]": (DataSpec,),
    "[views]": (ViewSpec,),
    "[views.student] and [views.teacher]": (Photometry,),
    "[views.student.sensor], [test_sensors.NAME]": (Sensor,),
    "[recipe]": (Recipe,),
    "[task]": (specs.TaskSpec,),
    "[int8]": (specs.Int8Spec,),
    "[teachers.NAME]": (TeacherSpec, teacher_file._Training),
    "[[arms]]": (arms_file._ArmTable,),
    "[[falsifiers]]": (Falsifier,),
    "[tuning]": (specs.Tuning,),
    "[finalists]": (specs.Finalists,),
    "[execution]": (Execution,),
    "confirm.toml: its head": (confirm._File,),
    "confirm.toml: [[contrasts]]": (confirm.Contrast,),
}
# of a study, which differ from the class's own
STUDY_DEFAULTS: dict[tuple[type, str], int] = {(ViewSpec, "count"): specs.DEFAULT_VIEWS}
FILLED_IN = {"provenance", "split_hash", "groups"}  # by the teacher's card or by the study, not by hand
HEAD = """# The study file

<!-- made by scripts/make_docs.py: change the docstring of the table's class instead -->

One TOML file says what a study compares. A key that no table knows is refused with the nearest one, and so is a value
of another type; errors name file, line and key. `extends = "other.toml"` takes from another file what this one does not
say. Relative paths start at the file's folder. `alambic study new` writes one to begin with, `alambic study plan` says
what it costs and what it could see. `alambic teachers train` reads a file with `[data]`, `[views]`, `[recipe]` and
`[teachers.NAME]` alone. A default shown as – is what a left out key means; the texts call it None.

A finished cell is kept as long as all that it was made of stays: data, views, recipe, arm, seed, the weights of its
teacher, your own students' code, and the files of its method and treatments. Not in it: what those files import from
alambic itself. After a change in there, or of alambic's version, start with another `--out`.
"""


def describe_fields(cls: type) -> dict[str, str]:
    """Field -> what the ``Attributes`` of the class's docstring say of it; several may share one text."""
    doc = inspect.getdoc(cls) or ""
    told = doc.partition("Attributes:\n")[2]
    told = re.split(r"\n(?=\S)", told)[0]  # what is indented under it
    names = "|".join(sorted((field.name for field in dataclasses.fields(cls)), key=len, reverse=True))
    flat = " ".join(told.split())
    parts = re.split(rf"(?:^|(?<=\. ))((?:{names})(?:, (?:{names}))*): ", flat)
    found: dict[str, str] = {}
    for group, text in zip(parts[1::2], parts[2::2], strict=True):
        for name in group.split(", "):
            found[name] = text.strip().rstrip(".").replace("``", "`").replace("|", "\\|")
    return found


def show_default(field: Any) -> str:
    """What holds where the key is left out."""
    if field.default is not dataclasses.MISSING:
        value = field.default
    elif field.default_factory is not dataclasses.MISSING:
        value = field.default_factory()
    else:
        return "must be there"
    if value is None or value in ("", (), {}) or dataclasses.is_dataclass(value):
        return "–"
    return f"`{str(value).lower() if isinstance(value, bool) else list(value) if isinstance(value, tuple) else value}`"


def list_choices(cls: type, name: str, told: str) -> str:
    """The words that a key may be, where its text does not name them all."""
    kind = get_type_hints(cls)[name]
    choices = get_args(kind) if get_origin(kind) is Literal else ()
    return "" if all(str(choice) in told for choice in choices) else f": {', '.join(f'`{c}`' for c in choices)}"


def make_study_page() -> str:
    """The page's text."""
    lines = [HEAD]
    for heading, classes in TABLES.items():
        lines += [f"## {heading}" if heading[0] != "[" else f"## `{heading}`", ""]
        summary = (inspect.getdoc(classes[0]) or "").partition("\n\n")[0]
        lines += [
            " ".join(summary.split()).replace("``", "`"),
            "",
            "| key | default | meaning |",
            "| --- | --- | --- |",
        ]
        for cls in classes:
            meanings = describe_fields(cls)
            for field in dataclasses.fields(cls):
                if field.name not in FILLED_IN:
                    meaning = meanings.get(field.name, "") + list_choices(cls, field.name, meanings.get(field.name, ""))
                    own = STUDY_DEFAULTS.get((cls, field.name))
                    default = show_default(field) if own is None else f"`{own}`"
                    lines.append(f"| {field.name} | {default} | {meaning} |")
        lines.append("")
    return "\n".join(lines)
