"""Arms that learn from the same treated teacher: its bank holds what each of them reads, in whatever order they stand,
and modifiers are fitted to that teacher."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from alambic.data import load_source
from alambic.models.teachers import load_teacher
from alambic.study.cell import Cell, taught_by
from alambic.study.follow import Say
from alambic.study.ledger import Ledger
from alambic.study.prepare import Prepared, prepare
from alambic.study.run import run_study
from alambic.study.study_file import read_study
from alambic.study.treat import tune_logits
from alambic.study.work import Workshop
from alambic.treatments.calibrated_temperature import fit_temperature

STUDY = """
name = "treated"
purpose = "explore"
seeds = 1
students = ["dscnn_8x2"]
[data]
source = "images.npz"
tune = 0.2
{data}
[views]
count = 2
[recipe]
epochs = 1
batch = 16
[int8]
enabled = false
[execution]
jobs = 1
[teachers.small]
net = "zoo:resnet8_w4"
[teachers.small.recipe]
epochs = 2
lr = 0.05
"""
RANDOM = 'treatments = ["random_teacher"]'


def prepare_arms(folder: Path, *arms: tuple[str, str], data: str = "", say: Say = lambda _: None) -> Prepared:
    """A study of such arms, (method, more lines), prepared on 90 images of three kinds."""
    labels = np.arange(90) % 3
    pixels = np.random.default_rng(0).integers(0, 60, (90, 16, 16, 1)).astype(np.uint8)
    pixels[np.arange(90), 4 * labels + 2, :, 0] += 150
    np.savez(folder / "images.npz", images=pixels, labels=labels)
    text = STUDY.format(data=data).replace("images.npz", str(folder / "images.npz"))
    text += "".join(
        f'[[arms]]\nname = "{i} {name}"\nmethod = "{name}"\n{more}\n' for i, (name, more) in enumerate(arms)
    )
    (folder / "study.toml").write_text(text)
    return prepare(read_study(folder / "study.toml"), folder / "out", say)


def by_arm(prepared: Prepared) -> dict[str, Cell]:
    assert not prepared.skipped
    return {cell.arm.name.split()[1]: cell for cell in prepared.cells}


@pytest.mark.parametrize("order", [("fitnet", "kd", "at"), ("kd", "at", "fitnet"), ("at", "fitnet", "kd")])
def test_every_arm_finds_what_it_reads_in_any_order(tmp_path: Path, order: tuple[str, ...]) -> None:
    prepared = prepare_arms(tmp_path, *((name, RANDOM) for name in order))
    cells = by_arm(prepared)
    assert len({taught_by(cell) for cell in cells.values()}) == 1  # one bank, one live pass
    bank = prepared.teachers[taught_by(cells["kd"]) or ""].bank
    assert bank is not None
    assert {path.stem for path in bank.glob("energy*.npy")}
    workshop = Workshop(prepared, tmp_path / "out")
    for name in ("kd", "at"):
        assert cells[name].content["sources"].popitem()[1].startswith("bank")
        assert workshop.run(cells[name]).numbers["tune"] >= 0


def test_a_bank_holds_what_is_read_and_no_more(tmp_path: Path) -> None:
    dot = 'treatments = ["random_teacher", "dot"]'
    prepared = prepare_arms(tmp_path, ("kd", RANDOM), ("at", ""), ("rsd", dot))
    cells = by_arm(prepared)
    assert taught_by(cells["kd"]) == taught_by(cells["rsd"]) != taught_by(cells["at"]) == "small"
    treated, plain = (prepared.teachers[taught_by(cells[name]) or ""].bank for name in ("kd", "at"))
    assert treated is not None
    assert plain is not None
    assert not list(treated.glob("energy*.npy"))
    assert list(plain.glob("energy*.npy"))


def test_a_teacher_that_no_arm_takes_as_it_is_runs_once(tmp_path: Path) -> None:
    prepared = prepare_arms(tmp_path, ("kd", RANDOM), ("dkd", RANDOM))
    assert len(list((tmp_path / "out" / "banks").iterdir())) == len(prepared.banks) == 1


def test_a_teacher_that_a_treatment_trains_is_told_once(tmp_path: Path) -> None:
    heard: list[str] = []
    early = 'treatments = ["early_stop"]\ntreatment_settings = { early_stop = { share = 0.5 } }'
    for _ in range(2):
        prepare_arms(tmp_path, ("kd", early), say=heard.append)
    assert len([line for line in heard if "small-early_stop: training it (2 epochs)" in line]) == 1


def test_a_treatment_that_refuses_says_why(tmp_path: Path) -> None:
    prepared = prepare_arms(tmp_path, ("kd", 'treatments = ["assistant"]'))  # without networks
    assert not prepared.cells
    ((cell, reason),) = prepared.skipped
    assert "assistants' networks" in reason
    assert cell.content["teacher_family"] == "resnet"


def test_an_arm_of_fewer_images_does_not_choose_those_of_the_bank(tmp_path: Path) -> None:
    few = 'treatments = ["random_teacher", "labelled_only"]'
    prepared = prepare_arms(tmp_path, ("kd", few), ("dkd", RANDOM), data="train = 40\nlabelled = 20")
    workshop = Workshop(prepared, tmp_path / "out")
    for cell in prepared.cells:
        assert workshop.run(cell).numbers["tune"] >= 0


@pytest.mark.parametrize(
    "treatment", [RANDOM, 'treatments = ["early_stop"]\ntreatment_settings = { early_stop = { share = 0.5 } }']
)
def test_a_modifier_is_fitted_to_the_teacher_that_teaches(tmp_path: Path, treatment: str) -> None:
    calibrated = 'modifiers = ["calibrated_temperature"]'
    prepared = prepare_arms(tmp_path, ("kd", calibrated), ("dkd", f"{calibrated}\n{treatment}"))
    study, found = prepared.study, {}
    source = load_source(study.data)
    ids = source.splits["tune"]
    for name, cell in by_arm(prepared).items():
        given = prepared.teachers[taught_by(cell) or ""]
        teacher = load_teacher("t", given.spec, 3, 1, source.size, source.mean, source.std, given.folder)
        right = fit_temperature(tune_logits(teacher, source, ids, study.views), source.labels[ids])
        found[name] = cell.arm.modifier_settings["calibrated_temperature"]["temperature"]
        assert found[name] == right, name
    assert found["kd"] != found["dkd"]


def test_what_is_finished_needs_no_bank_any_more(tmp_path: Path) -> None:
    arms = ("kd", RANDOM), ("rsd", "")
    study = prepare_arms(tmp_path, *arms).study
    out, heard = tmp_path / "out", []
    assert run_study(study, out, say=heard.append).done == 2
    keys = {row.id for row in Ledger(out / "ledger.sqlite", read_only=True).rows("done")}
    shutil.rmtree(out / "banks")
    heard.clear()
    again = run_study(study, out, say=heard.append)  # as after a restored ledger, which holds no bank
    assert (again.done, again.kept) == (0, 2)
    longer = prepare_arms(tmp_path, *arms, ("dkd", RANDOM), say=lambda _: None).study
    shutil.rmtree(out / "banks")
    more = run_study(longer, out, say=heard.append)
    assert (more.done, more.kept) == (1, 2)
    assert {cell.id for cell in more.cells} > keys
    assert len([line for line in heard if "bank of 2 views" in line]) == 1  # the random teacher's, for dkd
    assert len(list((out / "banks").iterdir())) == 1
