"""Writes study files: for ``alambic study new`` and for the one-cell study behind ``alambic distill``."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from alambic.study.specs import DEFAULT_VIEWS


@dataclass(frozen=True)
class Request:
    """What a person names on the command line.

    Attributes:
        students: zoo names or ``file.py:function``. data: a source name or a path.
        teachers: as in a study file, or a weights file with a card, or an ONNX file.
        methods: names; none for those that ``choose_methods`` finds.
        seeds, epochs, views: counts. train: number of training images, None for all.
        chip: that each row is judged for. chips: a file with chips of one's own.
        purpose: demo, explore or claim. size, channels: of the canvas, None for the images' own.
    """

    name: str
    students: Sequence[str]
    data: str
    teachers: Sequence[str] = ()
    methods: Sequence[str] = ()
    seeds: int = 4
    epochs: int = 20
    views: int = DEFAULT_VIEWS
    train: int | None = None
    purpose: str = "demo"
    size: int | None = None
    channels: int | None = None
    teacher_epochs: int = 20
    settings: dict[str, object] = field(default_factory=dict)
    chip: str | None = None
    chips: Path | None = None


def compose_study(request: Request, folder: Path) -> str:
    """The text of a study file that will lie in ``folder``; every choice stands in it, ready to be edited."""
    methods = request.methods or choose_methods(request.teachers)
    lines = [
        f"name = {quote(request.name)}",
        f"purpose = {quote(request.purpose)}  # demo: tests once, no ranking; explore and claim: tune scores only",
        f"seeds = {request.seeds}",
        f"students = {quote_list([own_or_zoo(name, folder) for name in request.students])}",
        f"methods = {quote_list(methods)}" if not request.settings else "",
        f"chip = {quote(request.chip)}  # each row says whether it fits" if request.chip else "",
        f"chips = {quote(str(request.chips.resolve()))}" if request.chip and request.chips else "",
        "",
        "[data]",
        f"source = {quote(str(Path(request.data).resolve()) if Path(request.data).exists() else request.data)}",
        f"train = {request.train}" if request.train is not None else "",
        f"size = {request.size}" if request.size is not None else "",
        f"channels = {request.channels}" if request.channels else "",
        "",
        "[views]  # each image in this many augmented versions; the teacher runs once on each",
        f"count = {request.views}",
        "flip = true",
        "shift = 2",
        "",
        "[recipe]",
        f"epochs = {request.epochs}",
        "batch = 64",
        "lr = 0.1",
        "weight_decay = 1e-4",
        "",
    ]
    for name, teacher in zip(_teacher_names(request.teachers), request.teachers, strict=True):
        lines += [*_teacher_lines(f"teachers.{_key(name)}", teacher, request.teacher_epochs, folder), ""]
    if request.settings:
        (method,) = methods
        pairs = ", ".join(f"{_key(name)} = {_value(value)}" for name, value in request.settings.items())
        lines += ["[[arms]]", f"method = {quote(method)}", f"settings = {{ {pairs} }}", ""]
    return "\n".join(line for i, line in enumerate(lines) if line or (i and lines[i - 1])) + "\n"


def choose_methods(teachers: Sequence[str]) -> tuple[str, ...]:
    """Methods to begin with that can work: an ONNX file gives class scores alone, and no teacher teaches nothing."""
    if not teachers:
        return ("none",)
    if all(teacher.endswith(".onnx") for teacher in teachers):
        return ("none", "kd", "dist", "ofa_logit")
    return ("none", "kd", "rsd", "ofa")


def _teacher_lines(table: str, teacher: str, epochs: int, folder: Path) -> list[str]:
    if teacher.endswith((".safetensors", ".pt", ".pth")):
        return [f"[{table}]", 'net = "card"', f"weights = {quote(relative(teacher, folder))}"]
    if teacher.endswith(".onnx"):
        return [f"[{table}]", f"net = {quote(relative(teacher, folder))}"]
    if ".py:" in teacher:
        return [f"[{table}]", f"net = {quote(own_or_zoo(teacher, folder))}"]
    return [
        f"[{table}]  # trained on this data's train split, once",
        f"net = {quote(teacher)}",
        f"[{table}.recipe]",
        f"epochs = {epochs}",
    ]


def teacher_name(teacher: str) -> str:
    """A plain table name for a teacher: ``timm:vit_tiny`` gives ``vit_tiny``, ``nets/big.onnx`` gives ``big``."""
    stem = teacher.rsplit(":", 1)[-1] if ".py:" in teacher or ":" in teacher else Path(teacher).stem
    return "".join(c if c.isalnum() or c in "_-" else "_" for c in stem)


def _teacher_names(teachers: Sequence[str]) -> list[str]:
    """One name a teacher: the second of a name gets _2, or the next number that is free."""
    names: list[str] = []
    for teacher in teachers:
        name, count = teacher_name(teacher), 1
        while (name if count == 1 else f"{name}_{count}") in names:
            count += 1
        names.append(name if count == 1 else f"{name}_{count}")
    return names


def _key(name: str) -> str:
    """A TOML key: bare where TOML allows it."""
    return name if re.fullmatch(r"[A-Za-z0-9_-]+", name) else quote(name)


def _value(value: object) -> str:
    return quote(value) if isinstance(value, str) else json.dumps(value)


def own_or_zoo(net: str, folder: Path) -> str:
    """``file.py:function`` with the file as seen from the study file's folder; any other name as it is."""
    if ".py:" not in net:
        return net
    file, function = net.rsplit(":", 1)
    return f"{relative(file, folder)}:{function}"


def relative(path: str, folder: Path) -> str:
    """A path as seen from the study file's folder; absolute where it lies outside."""
    full = Path(path).resolve()
    return str(full.relative_to(folder.resolve())) if full.is_relative_to(folder.resolve()) else str(full)


def quote(text: str) -> str:
    """A TOML basic string (JSON's escapes are TOML's, which wants one more for DEL)."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def quote_list(texts: Sequence[str]) -> str:
    return f"[{', '.join(quote(text) for text in texts)}]"
