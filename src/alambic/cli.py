"""The command line. Heavy libraries are imported by the commands that need them, so that help answers at once."""

from __future__ import annotations

import argparse
import os
import sys
import time
from pathlib import Path
from typing import Any

from alambic import cli_deploy, cli_doctor, cli_methods, cli_report, cli_study, cli_suitability
from alambic.errors import AlambicError, show_plainly
from alambic.training.stop import Stopped


def main(arguments: list[str] | None = None) -> int:
    """Runs one command; an expected error is one message on stderr and exit code 2; a stop that was asked for, 0."""
    options = make_parser().parse_args(arguments)
    try:
        code: int = options.run(options)
    except AlambicError as error:
        print(f"alambic: {show_plainly(str(error))}", file=sys.stderr)
        return 2
    except Stopped:
        print("alambic: stopped as asked; what was computed is kept, and the same command goes on", file=sys.stderr)
        return 0
    except BrokenPipeError:  # whoever read the output has closed it
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except KeyboardInterrupt:
        print("alambic: stopped; what was computed is kept", file=sys.stderr)
        return 130
    return code


def make_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="alambic", description="Distil big networks of any architecture into tiny convolutional ones."
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    cli_methods.add_commands(commands)
    students = commands.add_parser("students", help="list the student zoo with parameters, MACs and int8 bytes")
    students.set_defaults(run=show_students)
    teachers = commands.add_parser("teachers", help="check, train, rank or judge teachers")
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
    train.add_argument("--devices", type=int, default=1, help="processes on this machine, one a GPU; else use torchrun")
    train.add_argument("--device", choices=("cpu", "cuda", "auto"), default="cpu", help="where to train")
    train.set_defaults(run=train_teacher_file)
    cli_suitability.add_commands(actions)
    cli_study.add_commands(commands)
    cli_report.add_commands(commands)
    cli_deploy.add_commands(commands)
    cli_doctor.add_commands(commands)
    return parser


def show_students(options: argparse.Namespace) -> int:
    from alambic.models.students import list_students

    print(f"{'student':18}{'family':14}{'input':14}{'parameters':>12}{'MACs':>14}{'int8 bytes':>12}")
    for info in list_students():
        shape = "x".join(str(side) for side in info.input)
        print(f"{info.name:18}{info.family:14}{shape:14}{info.params:>12,}{info.macs:>14,}{info.weight_bytes:>12,}")
    return 0


def train_teacher_file(options: argparse.Namespace) -> int:
    import torch

    from alambic.study.place import choose_place
    from alambic.training import stop, together
    from alambic.training.resident import move_source
    from alambic.training.teacher_file import train_teachers

    out = options.out or options.file.parent
    if options.devices > 1:
        given = {"--only": options.only, "--threads": options.threads, "--device": options.device}
        words = [word for name, value in given.items() if value for word in (name, str(value))]
        together.start(options.devices, ["teachers", "train", str(options.file), "--out", str(out), *words])
    stop.listen()
    if options.threads:
        torch.set_num_threads(options.threads)
    torch.set_flush_denormal(True)
    started = time.monotonic()

    def report(name: str, record: dict[str, Any], epochs: int) -> None:
        left = record["seconds"] * (epochs - record["epoch"]) / 60
        tune = f", tune {record['tune']:.4f}" if "tune" in record else ""
        print(f"{name}: epoch {record['epoch']}/{epochs}{tune}, {left:.0f} min left", flush=True)

    def move(source: Any) -> Any:
        return move_source(source, choose_place(options.device, source).device)

    with together.one_voice() as (_, count):
        for teacher in train_teachers(options.file, out, report, options.only, move):
            print(f"{teacher.name}: tune {teacher.card['tune']:.4f}, test {teacher.card['test']:.4f}")
        told = f" by {count} processes" if count > 1 else ""
        print(f"done in {(time.monotonic() - started) / 60:.0f} min{told}")
    return 0


def check_teachers(options: argparse.Namespace) -> int:
    from alambic.study.pilot import pilot
    from alambic.study.study_file import read_study

    study = read_study(options.file)
    promises = pilot(study, options.out or Path("runs") / study.name, print)
    print(f"{'teacher':14}{'family':10}{'tune':>8}{'ACE':>8}{'T*':>7}{'pilot':>9}  provenance")
    for p in promises:
        scores = f"{100 * p.accuracy:>8.2f}{100 * p.calibration_error:>8.2f}{p.temperature:>7.2f}{p.gain:>+9.2f}"
        print(f"{p.teacher:14}{p.family:10}{scores}  {p.provenance}")
    of = f" into {promises[0].student}" if promises else ""
    print(
        f"sorted by tune accuracy; pilot: points that kd{of} gained over cross-entropy in 3 % of the steps, one seed: "
        "a hint, which ranks worse than accuracy"
    )
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
