"""The commands about studies: new, plan, run, status, export, merge, and distill (a study of one cell)."""

from __future__ import annotations

import argparse
import os
from collections import Counter
from pathlib import Path
from typing import Any

from alambic.cli_distill import distill_one
from alambic.cli_networks import add_networks, make_request
from alambic.errors import AlambicError


def add_commands(commands: Any) -> None:
    """Adds ``study`` and ``distill`` to the parser's commands."""
    study = commands.add_parser("study", help="plan, run and report a grid of trainings")
    actions = study.add_subparsers(required=True, metavar="ACTION")
    new = actions.add_parser("new", help="write a study file from what you name")
    new.add_argument("file", type=Path, help="the file to write")
    _add_request(new, many=True)
    new.add_argument("--seeds", type=int, default=4)
    new.add_argument("--purpose", choices=("demo", "explore", "claim"), default="demo")
    new.add_argument("--budget", type=float, help="minutes on this machine: epochs, the teachers' too, are cut to fit")
    new.add_argument("--chip", help="that the students must fit, see `alambic chips`; each row is judged for it")
    new.add_argument("--chips", type=Path, help="a file with chips of your own")
    new.set_defaults(run=write_study)
    for name, text, run in (
        ("plan", "cells, hours, bank bytes, the smallest effect that it could see; trains nothing", show_plan),
        ("run", "run what is not done yet, then write the report", run_study_file),
        ("tune", "equal trials of each arm on the tune split; writes the best as tuned.toml", tune_study_file),
        ("status", "what the ledger holds", show_status),
    ):
        action = actions.add_parser(name, help=text)
        action.add_argument("file", type=Path)
        if name == "plan":
            action.add_argument("--budget", type=float, help="minutes; says what to cut where it is not enough")
        else:
            action.add_argument("--out", type=Path, help="folder of ledger, banks and report; runs/NAME by default")
        if name == "run":
            action.add_argument("--executor", choices=("local", "ray"), default="local", help="local processes, or Ray")
            action.add_argument("--address", help="of a Ray cluster; RAY_ADDRESS or this machine alone by default")
        action.set_defaults(run=run)
    banks = actions.add_parser("banks", help="build the study's banks only, over several processes where asked")
    banks.add_argument("file", type=Path)
    banks.add_argument("--out", type=Path, help="folder as of `study run`; runs/NAME by default")
    banks.add_argument("--devices", type=int, default=1, help="processes on this machine, one a GPU; else use torchrun")
    banks.set_defaults(run=build_study_banks)
    export = actions.add_parser("export", help="write a ledger as Parquet files: what a repository keeps")
    export.add_argument("ledger", type=Path, help="a ledger.sqlite, or its folder")
    export.add_argument("--out", type=Path, required=True, help="the folder of the Parquet files")
    export.set_defaults(run=export_ledger)
    restore = actions.add_parser("restore", help="make a ledger from exported files, so that `run` keeps their cells")
    restore.add_argument("folder", type=Path, help="that `study export` wrote")
    restore.add_argument(
        "--out", type=Path, required=True, help="folder of the study's run: ledger.sqlite is made there"
    )
    restore.set_defaults(run=restore_exported)
    merge = actions.add_parser("merge", help="ledgers of one study from several machines as one")
    merge.add_argument("ledgers", type=Path, nargs="+", help="files, folders of runs, or exported folders")
    merge.add_argument("--out", type=Path, required=True, help="folder: ledger.sqlite is made there")
    merge.set_defaults(run=merge_ledgers)
    distill = commands.add_parser("distill", help="train one student from one teacher; saves safetensors and ONNX")
    _add_request(distill, many=False)
    distill.add_argument("--setting", action="append", default=[], metavar="NAME=VALUE", help="of the method")
    distill.add_argument("--seed", type=int, default=0)
    distill.add_argument("--out", type=Path, required=True, help="folder for the student and its numbers")
    distill.set_defaults(run=distill_one)


def _add_request(parser: Any, many: bool) -> None:
    add_networks(parser, many)
    count = "+" if many else 1
    told = "see `alambic methods`; " + (
        "by default a few that can learn from these teachers" if many else "kd by default"
    )
    default = [] if many else ["kd"]
    parser.add_argument("--methods" if many else "--method", dest="methods", nargs=count, default=default, help=told)


def write_study(options: argparse.Namespace) -> int:
    from alambic.files import write_atomic
    from alambic.study.draft import draft_study

    _check_budget(options.budget)
    if options.file.exists():
        raise AlambicError(f"{options.file} is there already; choose another name or remove it")
    more = {"seeds": options.seeds, "purpose": options.purpose, "chip": options.chip, "chips": options.chips}
    request = make_request(options, options.file.stem, **more)
    budget = 60 * options.budget if options.budget else None
    text = draft_study(request, options.file, budget, keep_views=options.views is not None, say=print)
    write_atomic(options.file, lambda part: part.write_text(text))
    print(f"wrote {options.file}; next: alambic study plan {options.file}, then alambic study run {options.file}")
    return 0


def _check_budget(minutes: float | None) -> None:
    if minutes is not None and not minutes > 0:
        raise AlambicError(f"expected --budget in minutes above 0, got {minutes:g}")


def show_plan(options: argparse.Namespace) -> int:
    from alambic.study.follow import tell_span
    from alambic.study.plan import ASSUMED_SPREAD, plan_study
    from alambic.study.skips import tell_reasons
    from alambic.study.study_file import read_study

    _check_budget(options.budget)
    study = read_study(options.file)
    plan = plan_study(study)
    print("\n".join(plan.told))
    print(f"smallest effect it could see: {plan.smallest_effect:.2f} points (paired, {study.seeds} seeds, 80 % power,")
    if plan.contrasts > 1:
        after = f"{plan.corrected_effect:.2f} for the first that Holm tests of {plan.contrasts},"
        print(f"  one contrast by itself; {after}")
    print(f"  assuming that paired differences spread by {ASSUMED_SPREAD} points over seeds, as usual over images)")
    print(f"cells: {plan.cells}, on {plan.jobs} processes")
    for line in tell_reasons("not counted", [(cell.full_content, reason) for cell, reason in plan.skipped]):
        print(f"  {line}")
    for student, seconds in plan.seconds_per_cell.items():
        print(f"  {student}: {tell_span(seconds)} of plain student steps a cell, measured here just now")
    training, banks = plan.training_seconds, plan.bank_seconds
    live = plan.teacher_seconds - training - banks
    print(
        f"students: {tell_span(plan.seconds)}; teachers: {tell_span(plan.teacher_seconds)} (their own training "
        f"{tell_span(training)}, banks {tell_span(banks)}, beside students {tell_span(live)}); "
        f"banks: {plan.bank_bytes / 1e6:.1f} MB"
    )
    print("  not counted: int8 (seconds a cell), treatments, compiling, and what methods cost that were never measured")
    advice = plan.advice(options.budget * 60 if options.budget else None)
    if advice:
        print(advice)
    return 0


def run_study_file(options: argparse.Namespace) -> int:
    from alambic.cli_report import write_report_of
    from alambic.study.local import Executor, run_cells
    from alambic.study.run import run_study
    from alambic.study.study_file import read_study
    from alambic.study.table import print_results
    from alambic.training import stop

    stop.listen()
    study = read_study(options.file)
    out = options.out or Path("runs") / study.name
    execute: Executor = run_cells
    if options.executor == "ray":
        from alambic.study.ray_executor import on_ray

        execute = on_ray(options.address)
    elif options.address:
        raise AlambicError(f"expected --executor ray with --address, got local and {options.address!r}")
    summary = run_study(study, out, execute=execute)
    print_results(summary.ledger)
    print(f"{summary.done} cells done, {summary.kept} kept, {summary.skipped} skipped, {summary.failed} failed")
    for line in summary.reasons:
        print(line)
    for why, count in summary.no_int8.items():
        print(f"{count} of them without int8: {why}")
    print(f"report: {write_report_of(summary.ledger).resolve()}")
    return 1 if summary.failed else 0


def tune_study_file(options: argparse.Namespace) -> int:
    from alambic.study.study_file import read_study
    from alambic.study.tuning import tune_study
    from alambic.training import stop

    stop.listen()
    study = read_study(options.file)
    out = options.out or Path("runs") / f"{study.name}-tuning"
    tuned = tune_study(study, out)
    print(f"{'arm':24}{'tune':>8}  best of {study.tuning.trials} trials each")
    for name, found in tuned.items():
        print(f"{name:24}{100 * found.score:>8.2f}  {found.told}")
    made = out / "tuned.toml"
    beside = os.path.relpath(made, options.file.parent)
    print(f'tuned arms: {made}; a study file beside {options.file} takes them with arms_from = "{beside}"')
    return 0


def build_study_banks(options: argparse.Namespace) -> int:
    from alambic.study.banks import build_banks
    from alambic.study.study_file import read_study
    from alambic.training import stop, together

    study = read_study(options.file)
    out = options.out or Path("runs") / study.name
    if options.devices > 1:
        together.start(options.devices, ["study", "banks", str(options.file), "--out", str(out)])
    stop.listen()
    with together.one_voice() as (_, count):
        for key, card in build_banks(study, out, print).items():
            print(
                f"bank {key}: {card['images']:,} images x {card['views']} views, {card['seconds']} s, {count} processes"
            )
    return 0


def show_status(options: argparse.Namespace) -> int:
    from alambic.study.ledger import Ledger
    from alambic.study.skips import tell_reasons
    from alambic.study.study_file import read_study

    study = read_study(options.file)
    ledger = Ledger((options.out or Path("runs") / study.name) / "ledger.sqlite", read_only=True)
    rows = ledger.rows()
    for state in ("done", "skipped", "failed"):
        print(f"{state:8}{sum(row.state == state for row in rows)}")
    for state in ("skipped", "failed"):
        for line in tell_reasons(state, [(row.content, row.reason) for row in rows if row.state == state]):
            print(line)
    for why, count in Counter(row.numbers["int8_error"] for row in rows if "int8_error" in row.numbers).items():
        print(f"without int8: {count} cells: {why}")
    return 0


def export_ledger(options: argparse.Namespace) -> int:
    from alambic.study.archive import locate_ledger, write_archive

    ledger = locate_ledger(options.ledger)
    write_archive(ledger, options.out)
    print(f"{ledger} is in {options.out}: `alambic report {options.out}` reads it as it is")
    return 0


def restore_exported(options: argparse.Namespace) -> int:
    from alambic.study.archive import restore_ledger

    ledger = options.out / "ledger.sqlite"
    print(f"{restore_ledger(options.folder, ledger)} cells in {ledger}")
    return 0


def merge_ledgers(options: argparse.Namespace) -> int:
    from alambic.study.join import join_ledgers

    ledger = options.out / "ledger.sqlite"
    joined = join_ledgers(options.ledgers, ledger)
    print(
        f"{joined.cells} cells in {ledger}, {joined.repeated} of them in several ledgers; environments of the finished "
        f"ones: {joined.environments}, compared within each only"
    )
    if joined.unlike:
        print(f"{joined.unlike} were trained twice with other scores: those of the ledger named first are kept")
    return 0
