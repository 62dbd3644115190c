"""``alambic teachers rank`` and ``judge``: which teacher suits a student, and whether that was right."""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from alambic.cli_networks import add_networks
from alambic.errors import AlambicError

# the parser is built at each start, so heavy imports stay inside the functions


def add_commands(actions: Any) -> None:
    """Adds ``rank`` and ``judge`` to the actions of ``alambic teachers``."""
    rank = actions.add_parser("rank", help="before any distillation: which teacher suits each student, and why")
    rank.add_argument(
        "file", type=Path, nargs="?", help="a study file: its data, teachers and students (or those of --student)"
    )
    add_networks(rank, many=True, required=False)
    rank.add_argument("--ledger", type=Path, action="append", default=[], help="measured gains to learn from")
    rank.add_argument("--budget", type=float, metavar="MINUTES", help="leave out the dearest evidence beyond this")
    rank.add_argument("--images", type=int, default=2000, help="held-out images, of the tune split")
    rank.add_argument("--warm-up", type=int, default=5, metavar="EPOCHS", help="of the student before it is read")
    rank.add_argument(
        "--renew",
        nargs="+",
        metavar="ESTIMATOR",
        help="measure these alone anew (or ESTIMATOR.VARIANT) in the scorecards of --out; take the others over",
    )
    rank.add_argument("--out", type=Path, help="folder for suitability.json; runs/NAME by default")
    rank.set_defaults(run=rank_teachers, methods=["none", "kd"])
    judge = actions.add_parser(
        "judge", help="how well each estimator ranked teachers whose gains a ledger holds, and which families give more"
    )
    judge.add_argument("scores", type=Path, nargs="+", help="suitability.json of `teachers rank`")
    judge.add_argument("--ledger", type=Path, action="append", required=True)
    judge.add_argument("--nasty", nargs="+", default=[], help="teachers made to teach nothing: must come last")
    judge.add_argument("--controls", nargs="+", default=[], help="further teachers that are not to be ranked")
    judge.add_argument("--variants", action="store_true", help="judge the variants too: exploration")
    judge.add_argument("--reference", default="", metavar="FAMILY", help="the family that others are compared with")
    judge.add_argument("--out", type=Path, help="file for scorecards and judgement; the first of SCORES by default")
    judge.set_defaults(run=judge_estimators)


def rank_teachers(options: argparse.Namespace) -> int:
    """Prices first, then evidence and scorecards, then what they say of each teacher."""
    import torch

    from alambic.study.study_file import read_study
    from alambic.suitability.advice import advise, choose_order
    from alambic.suitability.collect import FEWEST
    from alambic.suitability.judgement import load_judgement
    from alambic.suitability.ranking import Ranking, list_prices
    from alambic.suitability.renew import renew_scorecards
    from alambic.suitability.wording import describe, head_ranking

    if options.file and (options.data or options.teachers):
        raise AlambicError(f"expected a study file or --data and --teachers, got both; put them into {options.file}")
    options.file = options.file or _write_study(options)
    study = read_study(options.file)
    students = options.student or list(study.students)
    unknown = [name for name in students if name not in study.students]
    if unknown:
        raise AlambicError(f"{options.file}: expected students out of {list(study.students)}, got {unknown}")
    if not study.teachers:
        raise AlambicError(f"{options.file}: expected at least one [teachers.NAME] to rank, got none")
    if options.images < 20 or options.warm_up < 1:
        raise AlambicError(
            f"expected --images of at least 20 and --warm-up of at least 1, got {options.images} and {options.warm_up}"
        )
    out = options.out or Path("runs") / study.name
    gains = read_gains(options.ledger) if options.ledger else None
    torch.set_num_threads(max(1, study.execution.threads))
    torch.set_flush_denormal(True)
    setting, teachers = _prepare(study, students, out, options)
    path = out / "suitability.json"
    judged = load_judgement(path) if path.is_file() else None  # before scorecards are written without it
    composite = next((v for v in judged.verdicts if v.name == "composite"), None) if judged else None
    ranking = Ranking(setting, teachers, path, lambda text: print(text, flush=True))
    print(f"held-out images: {len(ranking.ids):,} labelled ones of the tune split; the test split is not read")
    if len(ranking.ids) < FEWEST:
        print(f"warning: {FEWEST:,} are wanted; data.tune sets the size of the tune split")
    if options.renew:
        renew_scorecards(ranking, options.renew)
        print(f"scorecards: {path}; a judgement of them must be passed again")
        return 0
    prices, refused = ranking.price()
    print(f"\nprices before anything is collected, {len(teachers)} teachers x {len(students)} students:")
    print("\n".join(list_prices(prices, refused)), flush=True)
    cards = ranking.collect(refused)
    for student in students:
        own = [card for card in cards if card.student == student]
        pool = advise(own)
        print("\n" + "\n".join(head_ranking(student, choose_order(own), composite)))
        if study.task.metric != "accuracy":
            print(f"accuracy stands for the task's metric, {study.task.metric}")
        for place, advice in enumerate(pool, start=1):
            print("\n".join(describe(place, advice, pool, gains)))
    print(f"\nscorecards: {path}")
    print("estimates, not results: `alambic teachers judge` says which of them ranked teachers as their gains did")
    return 0


def _write_study(options: argparse.Namespace) -> Path:
    """A study file of the students, data and teachers that the command line names."""
    from alambic.cli_networks import make_request
    from alambic.files import make_folder, write_atomic
    from alambic.study.compose import compose_study

    missing = [f"--{name}" for name in ("student", "data", "teachers") if not getattr(options, name)]
    if missing:
        raise AlambicError(
            f"expected a study file, or --student, --data and --teachers, got none of {' and '.join(missing)}; try to "
            "name what is missing"
        )
    options.out = options.out or Path("runs") / "rank"
    make_folder(options.out)
    text = compose_study(make_request(options, "rank"), options.out)
    write_atomic(options.out / "study.toml", lambda part: part.write_text(text))
    options.student = []
    return Path(options.out) / "study.toml"


def _prepare(study: Any, students: Sequence[str], out: Path, options: argparse.Namespace) -> tuple[Any, list[Any]]:
    """The setting, and the study's teachers (those without weights are trained once, as a study would)."""
    from alambic.data import load_source
    from alambic.models.teachers import load_teacher
    from alambic.study.cell import Arm
    from alambic.study.content import make_student, make_task, train_ids
    from alambic.study.pilot import SHARE
    from alambic.study.plan import measure_speed
    from alambic.study.prepare import prepare
    from alambic.suitability.ranking import Setting

    source = load_source(study.data)
    plain = dataclasses.replace(
        study,
        arms=(Arm("none", ("none",)), Arm("kd", ("kd",))),
        seeds=1,
        students=tuple(students[:1]),
        execution=dataclasses.replace(study.execution, live_only=True),  # no bank is needed
    )
    prepared = prepare(plain, out, print)
    teachers = [
        load_teacher(
            name, given.spec, source.num_classes, source.channels, source.size, source.mean, source.std, given.folder
        )
        for name, given in prepared.teachers.items()
    ]
    setting = Setting(
        source,
        study.views,
        study.recipe,
        make_task(study, source),
        train_ids(study, source),
        lambda name: make_student(study, name, source, 0),
        {name: measure_speed(study, name, source) for name in students},
        SHARE,
        options.images,
        options.warm_up,
        60 * options.budget if options.budget is not None else None,
        study.data.split_seed,
    )
    return setting, teachers


def read_gains(ledgers: Sequence[Path]) -> list[Any]:
    """Measured gains of every finished cell of some ledgers; those without the score that most have are told."""
    from alambic.study.ledger import Ledger
    from alambic.suitability.gains import choose_number, measure_gains

    found = []
    for path in ledgers:
        rows = Ledger(path, read_only=True).rows("done")
        number = choose_number(rows)
        if number is None:
            raise AlambicError(f"ledger {path}: expected finished cells most of which share a score, got {len(rows)}")
        lacking = sum(number not in row.numbers for row in rows)
        if lacking:
            print(f"warning: ledger {path}: {lacking} of {len(rows)} finished cells have no {number} and are left out")
        found += measure_gains(rows, number)
    return found


def judge_estimators(options: argparse.Namespace) -> int:
    """The verdict on each estimator, then the families; what could be seen at all stands first."""
    from alambic.suitability.judgement import pass_judgement, save_judgement
    from alambic.suitability.scorecard import load_scorecards
    from alambic.suitability.wording import list_families, list_nasty, list_verdicts

    cards = [card for path in options.scores for card in load_scorecards(path)]
    gains = read_gains(options.ledger)
    found = pass_judgement(cards, gains, options.controls, options.nasty, options.variants, options.reference)
    print(
        "\n".join([*list_verdicts(found.verdicts, options.nasty), *list_nasty(gains, options.nasty, options.controls)])
    )
    for first, second, rho in found.alike:
        print(f"gains by {first} and by {second} rank the teachers alike by {rho:+.2f}")
    print("\n".join(list_families(found.families)))
    out = options.out or options.scores[0]
    save_judgement(out, cards, found)
    print(f"judgement: {out}; a report of the ledger beside it tells it")
    return 0
