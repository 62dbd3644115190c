"""The command line. Heavy libraries are imported by the commands that need them, so that help answers at once."""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path
from typing import Any

from alambic import cli_study
from alambic.errors import AlambicError


def main(arguments: list[str] | None = None) -> int:
    """Runs one command; an expected error is one message on stderr and exit code 2."""
    options = make_parser().parse_args(arguments)
    try:
        code: int = options.run(options)
    except AlambicError as error:
        print(f"alambic: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("alambic: stopped; what was computed is kept", file=sys.stderr)
        return 130
    return code


def make_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="alambic", description="Distil big networks of any architecture into tiny convolutional ones."
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    methods = commands.add_parser("methods", help="list the distillation methods, or explain one")
    methods.add_argument("name", nargs="?", help="a method: formula, defaults, differences, evidence")
    methods.add_argument("--count", action="store_true", help="how many there are, by fidelity")
    methods.add_argument("--family", help="only this family: logit, embedding, map, relation, control, baseline")
    methods.set_defaults(run=show_methods)
    students = commands.add_parser("students", help="list the student zoo with parameters, MACs and int8 bytes")
    students.set_defaults(run=show_students)
    teachers = commands.add_parser("teachers", help="check or train teachers")
    actions = teachers.add_subparsers(required=True, metavar="ACTION")
    check = actions.add_parser("check", help="accuracy, calibration and a 3 %% pilot of each teacher of a study file")
    check.add_argument("file", type=Path)
    check.add_argument("--out", type=Path, help="folder for banks; runs/NAME by default")
    check.set_defaults(run=check_teachers)
    train = actions.add_parser("train", help="train each teacher of a file that is not there yet; resumes")
    train.add_argument("file", type=Path)
    train.add_argument("--out", type=Path, help="folder for weights and cards; the file's own by default")
    train.add_argument("--only", help="one teacher of the file")
    train.add_argument("--threads", type=int, help="of torch; all cores by default")
    train.set_defaults(run=train_teacher_file)
    cli_study.add_commands(commands)
    doctor = commands.add_parser("doctor", help="what is installed here, and what is missing for what")
    doctor.set_defaults(run=show_doctor)
    return parser


def show_methods(options: argparse.Namespace) -> int:
    from alambic.methods import all_methods, create_method

    known = all_methods()
    if options.name:
        print(describe_method(create_method(options.name)))
        return 0
    if options.count:
        for mark, text in (("A", "equal to the authors' code"), ("B", "from the formula"), ("C", "reconstructed")):
            print(f"{mark}: {sum(m.fidelity == mark and m.family not in CONTROLS for m in known.values())} ({text})")
        print(f"controls and baselines: {sum(m.family in CONTROLS for m in known.values())}")
        return 0
    print(f"{'method':20}{'family':12}{'mark':6}{'year':6}{'student reads':26}teacher gives")
    for name, method in sorted(known.items()):
        if options.family in (None, method.family):
            needs = method.needs
            reads, gives = " ".join(sorted(needs.student)), " ".join(sorted(needs.teacher))
            star = "*" if method.fidelity == "C" else ""
            year = method.paper.year or ""
            print(f"{name + star:20}{method.family:12}{method.fidelity:6}{year!s:6}{reads:26}{gives}")
    return 0


CONTROLS = ("control", "baseline")


def describe_method(method: Any) -> str:
    """A method for a person: paper, formula, defaults, differences, evidence."""
    paper = method.paper
    lines = [
        f"{method.name}  (family {method.family}, fidelity {method.fidelity})",
        f"  {paper.title}" + (f", {paper.authors}, {paper.venue} {paper.year}" if paper.year else ""),
        f"  arXiv {paper.arxiv}" if paper.arxiv else "",
        f"  authors' code: {paper.code}" if paper.code else "",
        f"  formula: {method.formula}",
        "  defaults: " + ", ".join(f"{name} {value}" for name, value in method.hyper().items()),
        f"  student reads: {' '.join(sorted(method.needs.student)) or 'nothing but logits for cross-entropy'}",
        f"  teacher gives: {' '.join(sorted(method.needs.teacher)) or 'nothing'}",
        f"  fewest classes: {method.min_classes}" + (f" ({method.degenerate})" if method.degenerate else ""),
        f"  differences from the authors' code: {method.differences or 'none known'}",
        f"  evidence across architectures: {method.evidence or 'none published'}",
    ]
    return "\n".join(line for line in lines if line)


def show_students(options: argparse.Namespace) -> int:
    from alambic.models.students import list_students

    print(f"{'student':18}{'family':14}{'input':14}{'parameters':>12}{'MACs':>14}{'int8 bytes':>12}")
    for info in list_students():
        shape = "x".join(str(side) for side in info.input)
        print(f"{info.name:18}{info.family:14}{shape:14}{info.params:>12,}{info.macs:>14,}{info.weight_bytes:>12,}")
    return 0


def train_teacher_file(options: argparse.Namespace) -> int:
    import torch

    from alambic.training.teacher_file import train_teachers

    if options.threads:
        torch.set_num_threads(options.threads)
    torch.set_flush_denormal(True)
    started = time.monotonic()

    def report(name: str, record: dict[str, Any], epochs: int) -> None:
        left = record["seconds"] * (epochs - record["epoch"]) / 60
        tune = f", tune {record['tune']:.4f}" if "tune" in record else ""
        print(f"{name}: epoch {record['epoch']}/{epochs}{tune}, {left:.0f} min left", flush=True)

    for teacher in train_teachers(options.file, options.out or options.file.parent, report, options.only):
        print(f"{teacher.name}: tune {teacher.card['tune']:.4f}, test {teacher.card['test']:.4f}")
    print(f"done in {(time.monotonic() - started) / 60:.0f} min")
    return 0


def check_teachers(options: argparse.Namespace) -> int:
    from alambic.study.pilot import pilot
    from alambic.study.study_file import read_study

    study = read_study(options.file)
    promises = pilot(study, options.out or Path("runs") / study.name, print)
    print(f"{'teacher':14}{'family':10}{'tune':>8}{'ACE':>8}{'T*':>7}{'pilot':>9}  provenance")
    for p in sorted(promises, key=lambda item: -item.gain):
        scores = f"{100 * p.accuracy:>8.2f}{100 * p.calibration_error:>8.2f}{p.temperature:>7.2f}{p.gain:>+9.2f}"
        print(f"{p.teacher:14}{p.family:10}{scores}  {p.provenance}")
    print("pilot: points that kd gained over cross-entropy in 3 % of the steps, one seed: a hint, not a result")
    return 0


def show_doctor(options: argparse.Namespace) -> int:
    from importlib.metadata import PackageNotFoundError, version

    wanted = {
        "torch": "everything",
        "torchvision": "everything",
        "timm": "teachers by name",
        "onnx": 'int8 and export: pip install "alambic[deploy]"',
        "onnxruntime": 'int8, ONNX teachers: pip install "alambic[deploy]"',
    }
    for package, use in wanted.items():
        try:
            print(f"{package:14}{version(package)}")
        except PackageNotFoundError:
            print(f"{package:14}missing; needed for {use}")
    import torch

    from alambic.data import DataSpec, load_source

    device = torch.cuda.get_device_name() if torch.cuda.is_available() else "none, the CPU trains"
    print(f"{'GPU':14}{device}\n{'CPU threads':14}{torch.get_num_threads()}")
    try:
        source = load_source(DataSpec("fashion-mnist"))
        print(f"{'Fashion-MNIST':14}{len(source.images):,} images")
    except AlambicError as error:
        print(f"{'Fashion-MNIST':14}{error}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
