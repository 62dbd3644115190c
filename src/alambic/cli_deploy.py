"""The commands about chips: ``deploy`` a student onto one, and the list of ``chips``."""

from __future__ import annotations

import argparse
import re
import time
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from alambic.errors import AlambicError

if TYPE_CHECKING:
    from alambic.study.specs import Int8Spec
    from alambic.study.study_file import Study


def add_commands(commands: Any) -> None:
    """Adds ``deploy`` and ``chips`` to the parser's commands."""
    deploy = commands.add_parser("deploy", help="int8 files for a chip, does it fit and why not, accuracy, a page")
    deploy.add_argument("student", help="zoo name or file.py:function")
    deploy.add_argument("--weights", type=Path, help="safetensors or a torch file; random weights give sizes only")
    deploy.add_argument("--chip", required=True, help="see `alambic chips`")
    deploy.add_argument("--chips", type=Path, help="a file with chips of your own")
    deploy.add_argument("--study", type=Path, help="study file: its data, views, sensor and [int8] are the student's")
    deploy.add_argument("--data", help="without a study: fashion-mnist, a folder, parquet, npz; none: sizes only")
    deploy.add_argument("--size", type=int, help="resize images to this many pixels a side")
    deploy.add_argument("--channels", type=int, choices=(1, 3))
    deploy.add_argument("--input", help="without data: CxHxW such as 1x120x160; the zoo student's own by default")
    deploy.add_argument("--classes", type=int, help="without data: number of classes")
    either = argparse.BooleanOptionalAction
    deploy.add_argument("--calibration", choices=("minmax", "percentile", "entropy"), help="the study's, or minmax")
    deploy.add_argument(
        "--calibration-images", type=int, metavar="N", help="of the training split: the study's, or 256"
    )
    deploy.add_argument("--per-tensor", action=either, help="one weight scale a layer instead of a channel")
    deploy.add_argument("--equalise", action=either, help="scale channels that outreach the others down first")
    deploy.add_argument("--test-images", type=int, metavar="N", help="score so many; the whole test split by default")
    deploy.add_argument("--no-emulation", action="store_true", help="no Cortex-M program, no emulated run")
    deploy.add_argument("--out", type=Path, help="folder; runs/deploy/STUDENT-CHIP by default")
    deploy.set_defaults(run=deploy_one)
    chips = commands.add_parser("chips", help="list the chips with their memories and where the numbers come from")
    chips.add_argument("--chips", type=Path, help="a file with chips of your own")
    chips.set_defaults(run=show_chips)


def show_chips(options: argparse.Namespace) -> int:
    from alambic.deploy.chips import load_chips

    listed = load_chips(options.chips).values()
    print(f"{'chip':18}{'engine':13}{'flash KiB':>10}{'RAM KiB (in one piece)':>24}  core; source")
    for chip in listed:
        sizes = ["?" if value is None else f"{value:g}" for value in (chip.flash_kib, chip.ram_kib)]
        if chip.largest_block_kib is not None:
            sizes[1] += f" ({chip.largest_block_kib:g})"
        print(f"{chip.name:18}{chip.engine:13}{sizes[0]:>10}{sizes[1]:>24}  {chip.core}; {chip.source}")
    return 0


@dataclass
class _Given:
    """What the data says: shape C, H, W, calibration images, test images."""

    shape: tuple[int, int, int]
    classes: int
    calibration: Any
    test: Any
    folder: Path
    warnings: list[str]
    one_logit: bool  # instead of two class scores would do too


def deploy_one(options: argparse.Namespace) -> int:
    import torch

    from alambic.deploy.chips import find_chip
    from alambic.deploy.pack import deploy_student
    from alambic.deploy.targets.c_source import check_folder
    from alambic.models.own_code import create_own, is_own_code
    from alambic.models.students import create_student
    from alambic.models.teachers import load_weights
    from alambic.study.own_names import check_function, find_own
    from alambic.study.study_file import read_study
    from alambic.training.setup import probe

    started = time.monotonic()
    for option in ("classes", "calibration_images", "test_images"):
        count = getattr(options, option)
        if count is not None and count < 1:
            raise AlambicError(f"expected --{option.replace('_', '-')} of at least 1, got {count}; try to leave it out")
    _refuse_unread(options)
    chip = find_chip(options.chip, options.chips)
    check_function(options.student, Path())
    own = is_own_code(options.student)
    file, _, function = options.student.rpartition(":")
    name = f"{Path(file).stem}-{function}" if own else options.student
    out = options.out or Path("runs") / "deploy" / f"{name}-{chip.name}"
    check_folder(out / "c")
    study = read_study(options.study) if options.study else None
    int8 = _settle_int8(options, study)
    given = _read_images(options, study, int8) if study or options.data else _read_shape(options)
    channels, height, width = given.shape
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        if own:
            folder = find_own(options.student, Path(), given.folder)
            net = create_own(options.student, folder, in_channels=channels, num_classes=given.classes)
        else:
            net = create_student(options.student, channels, (height, width), given.classes)
    found = probe(net, torch.zeros(2, *given.shape), f"student {options.student!r}").classes
    if found != given.classes and not (found == 1 and given.one_logit):
        raise AlambicError(
            f"student {options.student!r}: expected {given.classes} class scores an image, got {found}, because each "
            "class has one; try a last layer of num_classes, which your function is given"
        )
    if options.weights:
        load_weights(net, options.weights, f"student {options.student!r}")
    else:
        given.warnings.insert(0, "weights are random: sizes hold, answers do not")
    for line in given.warnings:
        print(line)
    if study:
        print(_tell_int8(int8, study, len(given.calibration)))
    facts = deploy_student(
        net,
        options.student,
        given.calibration,
        chip,
        out,
        given.test,
        per_channel=int8.per_channel,
        calibration=int8.calibration,
        widths=None if own else (options.student, given.classes),
        emulate=not options.no_emulation,
        warnings=tuple(given.warnings),
        equalise=int8.equalise,
        say=lambda line: print(f"{time.monotonic() - started:5.1f} s  {line}", flush=True),
    )
    print("\n".join([*facts["verdict"]["sentences"], facts["widest"]["sentence"], facts["patches"]["sentence"]]))
    if "accuracy" in facts:
        found = facts["accuracy"]
        print(facts["equalisation"]["sentence"])
        print(
            f"accuracy over {found['images']:,} test images: fp32 {found['fp32']:.4f}, int8 {found['chip']:.4f} by the "
            f"integer executor in the chip's arithmetic, int8 {found['onnx']:.4f} by ONNX Runtime's simulation"
        )
        if found["unchecked"]:
            print(f"TFLite-Micro itself confirmed none of them: {found['unchecked']}")
    print((out / "index.html").resolve())
    return 0


def _refuse_unread(options: argparse.Namespace) -> None:
    """Refuses an option that nothing would read, because what stands beside it says the same."""
    unread: tuple[str, ...]
    if options.study:
        why, unread = "the study file says it", ("data", "size", "channels", "input", "classes")
    elif options.data:
        why, unread = "the data say it", ("input", "classes")
    else:
        why, unread = "there is no image to resize", ("size", "channels")
    for option in unread:
        if getattr(options, option) is not None:
            beside = f"beside --{'study' if options.study else 'data'}" if options.study or options.data else "alone"
            raise AlambicError(
                f"expected no --{option} {beside}, got {getattr(options, option)}, because {why}; try to leave it out"
            )


def _settle_int8(options: argparse.Namespace, study: Study | None) -> Int8Spec:
    """How the student is quantised: as the command line says, else as its study, else as by default."""
    from alambic.study.specs import Int8Spec

    said = {name: getattr(options, name) for name in ("calibration", "calibration_images", "equalise")}
    said["per_channel"] = None if options.per_tensor is None else not options.per_tensor
    said = {name: value for name, value in said.items() if value is not None}
    return replace(study.int8 if study else Int8Spec(), **said)


def _tell_int8(int8: Int8Spec, study: Study, images: int) -> str:
    """One line: what was taken from the study, and what the command line changed."""
    changed = [field.name for field in fields(int8) if getattr(int8, field.name) != getattr(study.int8, field.name)]
    but = f", but for {', '.join(changed)}" if changed else ""
    scales, scaled = "channel" if int8.per_channel else "tensor", "" if int8.equalise else "not "
    return (
        f"int8 as study {study.name!r} says{but}: one weight scale a {scales}, {int8.calibration} over {images} of its "
        f"calibration images, {scaled}equalised"
    )


def _read_images(options: argparse.Namespace, study: Study | None, int8: Int8Spec) -> _Given:
    """Images of a study, or of a data set as it is."""
    import torch

    from alambic.data import DataSpec, ViewSpec, load_source, render_clean
    from alambic.training.setup import input_shape, student_normalise

    if study:
        from alambic.study.artefact import choose_calibration
        from alambic.study.content import make_task

        source, views, folder = load_source(study.data), study.views, study.folder
        classes, chosen = make_task(study, source).classes, choose_calibration(replace(study, int8=int8), source)
    else:
        source = load_source(DataSpec(options.data, size=options.size, channels=options.channels))
        views, folder, classes, seen = ViewSpec(), Path(), source.num_classes, source.splits["train"]
        order = torch.randperm(len(seen), generator=torch.Generator().manual_seed(0))
        chosen = seen[order[: int8.calibration_images]]
    normalise = student_normalise(source, views)

    def clean(ids: Any) -> Any:
        return normalise(render_clean(source.images, ids, views, "student"))

    ids = source.splits["test"][: options.test_images]
    ids = ids[source.labels[ids] >= 0]
    test = (clean(ids).numpy(), source.labels[ids].numpy(), source.class_names) if len(ids) else None
    return _Given(input_shape(source, views), classes, clean(chosen), test, folder, [], not study and classes == 2)


def _read_shape(options: argparse.Namespace) -> _Given:
    """A shape alone: the images are noise."""
    import torch

    from alambic.models.own_code import is_own_code
    from alambic.models.students import describe_student

    if is_own_code(options.student) and not (options.input and options.classes):
        raise AlambicError(
            f"student {options.student!r}: expected --study or --data, or --input CxHxW with --classes, got neither, "
            "because a network of your own does not say what it reads; try --input 1x120x160 --classes 2"
        )
    if options.input:
        if not re.fullmatch(r"[1-9]\d*x[1-9]\d*x[1-9]\d*", options.input, re.ASCII):
            raise AlambicError(
                f"expected --input CxHxW of three sizes of at least 1, got {options.input!r}; try 1x120x160"
            )
        channels, height, width = (int(size) for size in options.input.split("x"))
    else:
        height, width, channels = describe_student(options.student).input
    classes = options.classes or describe_student(options.student).classes
    noise = torch.randn(16, channels, height, width, generator=torch.Generator().manual_seed(0))
    warning = "no data given: ranges come from noise, so sizes hold and answers do not"
    return _Given((channels, height, width), classes, noise, None, Path(), [warning], classes == 2)
