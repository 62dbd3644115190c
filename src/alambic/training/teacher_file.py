"""A file that lists teachers to train: ``alambic teachers train FILE``."""

from __future__ import annotations

import dataclasses
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from alambic.config import Document, build, read_document, read_tables
from alambic.data import DataSpec, Source, ViewSpec, load_source
from alambic.data.load import start_at
from alambic.errors import AlambicError, nearest
from alambic.models.own_code import is_own_code, list_files
from alambic.models.teacher import Teacher, TeacherSpec
from alambic.models.teachers import load_teacher
from alambic.training import together
from alambic.training.recipe import Recipe
from alambic.training.task import Task
from alambic.training.teach import TeacherTraining, train_teacher

Report = Callable[[str, dict[str, Any], int], None]  # teacher, record of the epoch, epochs


@dataclasses.dataclass(frozen=True)
class TeacherEntry:
    """One teacher of the file: its network and its training.

    Attributes:
        distil_from: name of the teacher that teaches it; labels alone without one.
        start_from: name of a teacher of the same network whose weights it begins with; its own initialisation else.
        fit_head: its weights stay, a study fits its last layer alone on the labelled training images (``fit_head``).
        tells_data: the file itself says ``teacher_data``.
    """

    spec: TeacherSpec
    training: TeacherTraining
    distil_from: str = ""
    start_from: str = ""
    fit_head: bool = False
    tells_data: bool = False

    @property
    def needed(self) -> tuple[str, ...]:
        """Teachers that must be there before."""
        return tuple(name for name in (self.distil_from, self.start_from) if name)


@dataclasses.dataclass(frozen=True)
class _Training:
    """What a teacher's table says of its training, beside its network.

    Attributes:
        recipe, views: of this teacher, filled in from the file's own.
        distil_from: name of the teacher that teaches it; labels alone without one. method: that distils it, kd unless
            told. settings: of that method. seed: of the training.
        start_from: name of a teacher of the same network whose weights it begins with.
        fit_head: its weights stay, a study fits its last layer alone on the labelled training images.
    """

    recipe: dict[str, Any] = dataclasses.field(default_factory=dict)
    views: dict[str, Any] = dataclasses.field(default_factory=dict)
    distil_from: str = ""
    start_from: str = ""
    method: str = ""
    settings: dict[str, Any] = dataclasses.field(default_factory=dict)
    seed: int = 0
    fit_head: bool = False


TRAINING_KEYS = tuple(item.name for item in dataclasses.fields(_Training))


def read_teacher_file(path: Path) -> tuple[DataSpec, dict[str, TeacherEntry]]:
    """The data and the teachers of a file, in an order in which each one's own teacher comes first."""
    document = read_document(path)
    known = ("data", "views", "recipe", "teachers")
    for name in document.tables:
        if name not in known:
            raise AlambicError(f"{document.at((name,))}: unknown table; {nearest(name, known)}")
    data = start_at(build(DataSpec, document.tables.get("data", {}), document, ("data",)), document.path.parent)
    build(ViewSpec, document.tables.get("views", {}), document, ("views",))  # their errors belong to their own lines
    build(Recipe, document.tables.get("recipe", {}), document, ("recipe",))
    entries = {name: read_entry(name, table, document) for name, table in read_tables(document, "teachers").items()}
    return data, put_in_order(entries, document)


def read_entry(name: str, table: dict[str, Any], document: Document) -> TeacherEntry:
    """One ``[teachers.NAME]`` table; its recipe and views fill in from the file's ``[recipe]`` and ``[views]``."""
    keys = ("teachers", name)
    own = {key: value for key, value in table.items() if key not in TRAINING_KEYS}
    given = build(_Training, {key: table[key] for key in TRAINING_KEYS if key in table}, document, keys)
    recipe = {**document.tables.get("recipe", {}), **given.recipe}
    views = {**document.tables.get("views", {}), **given.views}
    training = TeacherTraining(
        build(Recipe, recipe, document, (*keys, "recipe")),
        build(ViewSpec, views, document, (*keys, "views")),
        given.method or ("kd" if given.distil_from else "none"),
        tuple(sorted(given.settings.items())),
        given.seed,
    )
    spec = build(TeacherSpec, own, document, keys)
    return TeacherEntry(spec, training, given.distil_from, given.start_from, given.fit_head, "teacher_data" in table)


def put_in_order(entries: dict[str, TeacherEntry], document: Document) -> dict[str, TeacherEntry]:
    """Each teacher after those that it needs. Raises AlambicError for an unknown name and for a circle."""
    ordered: dict[str, TeacherEntry] = {}

    def visit(name: str, chain: tuple[str, ...]) -> None:
        if name in ordered:
            return
        if name not in entries:
            keys = ("teachers", chain[-1])
            raise AlambicError(f"{document.at(keys)}: there is no teacher {name!r}; {nearest(name, entries)}")
        if name in chain:
            raise AlambicError(f"{document.path}: teachers need each other in a circle: {' -> '.join(chain)}")
        for other in entries[name].needed:
            visit(other, (*chain, name))
        ordered[name] = entries[name]

    for name in entries:
        visit(name, ())
    return ordered


def train_teachers(
    path: Path, out: Path, report: Report, only: str | None = None, move: Callable[[Source], Source] | None = None
) -> list[Teacher]:
    """Trains each teacher of a file that is not yet at ``out/NAME.safetensors``; resumes a killed one.

    One that names ``weights`` is there already: others may be distilled from it. Training images are those of
    ``data.train``, the very ones of a study that names the same number.

    Where several processes are joined (``training.together``) each calls this with the same arguments, and they train
    each teacher together.

    Args:
        move: puts the data on the device to train on; where they are without it.

    Returns: the teachers that were trained, or had been.
    """
    data, entries = read_teacher_file(path)
    if only is not None and only not in entries:
        raise AlambicError(f"{path}: there is no teacher {only!r}; {nearest(only, entries)}")
    source = load_source(data)
    if move is not None:
        source = move(source)
    task = Task(source.num_classes)
    ids = source.subset("train", data.train, data.split_seed)
    made: dict[str, Teacher] = {}
    given: dict[str, Teacher] = {}
    wanted = set(entries) if only is None else _ancestors(entries, only)
    if together.place()[0] == 0:
        _bring_code([entries[name].spec.net for name in sorted(wanted)], path.parent, out)
    for name, entry in entries.items():
        if name not in wanted:
            continue
        if entry.spec.weights is not None:
            given[name] = load_given(name, entry.spec, source, path.parent)
            continue
        target = out / f"{name}.safetensors"
        if together.share(target.exists()):
            made[name] = load_saved(name, target, source)
            continue
        epochs = entry.training.recipe.epochs
        made[name] = train_teacher(
            name,
            entry.spec,
            entry.training,
            source,
            task,
            target,
            path.parent,
            {**made, **given}.get(entry.distil_from),
            {**made, **given}.get(entry.start_from),
            lambda record, name=name, epochs=epochs: report(name, record, epochs),  # type: ignore[misc]
            shared=True,
            ids=ids,
        )
    return list(made.values())


def _bring_code(nets: list[str], folder: Path, out: Path) -> None:
    """Copies the users' own networks beside the cards that will name them, which look for their code there."""
    named = {Path(net.rsplit(":", 1)[0]) for net in nets if is_own_code(net)}
    needed = {file.parent / path.name for file in named for path in list_files(folder / file)}
    for file in sorted(needed):
        old, new = folder / file, out / file
        if file.is_absolute() or not old.is_file() or old.resolve() == new.resolve():
            continue
        if ".." in file.parts:
            raise AlambicError(
                f"{old}: expected code beside or below the file of teachers, so that it can go with the weights into "
                f"{out}; try --out {folder}, or move it"
            )
        if new.exists() and new.read_bytes() != old.read_bytes():
            raise AlambicError(f"{new}: expected the code of {old} or nothing there, got other code; try another --out")
        new.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(old, new)


def _ancestors(entries: dict[str, TeacherEntry], name: str) -> set[str]:
    return {name}.union(*(_ancestors(entries, other) for other in entries[name].needed))


def load_saved(name: str, weights: Path, source: Source) -> Teacher:
    """A teacher from its weights and card."""
    return load_given(name, TeacherSpec("card", weights=weights.name), source, weights.parent)


def load_given(name: str, spec: TeacherSpec, source: Source, folder: Path) -> Teacher:
    """A teacher whose spec names its weights. Raises AlambicError as ``load_teacher`` and ``check_provenance`` do."""
    shape = (source.num_classes, source.channels, source.size, source.mean, source.std)
    teacher = load_teacher(name, spec, *shape, folder)
    check_provenance(teacher, source)
    return teacher


def check_provenance(teacher: Teacher, source: Source) -> None:
    """Refuses a teacher that may have seen test images, or whose weights are not those of its card."""
    seen = teacher.spec.split_hash
    if seen not in ("", source.split_hash, source.origin) and teacher.spec.teacher_data != "external":
        raise AlambicError(
            f"teacher {teacher.name!r}: expected training on the train split of these data ({source.split_hash[:12]}), "
            f"got another split ({seen[:12]}), because it may have seen the test images; try training it on this data, "
            'or teacher_data = "external" if its data are others altogether'
        )
    told = teacher.card.get("weights_hash")
    if told is not None and told != teacher.hash:
        raise AlambicError(
            f"teacher {teacher.name!r}: expected the weights of its card ({told[:12]}), got others "
            f"({teacher.hash[:12]}); the file changed: train it again or restore it"
        )
