"""The labelled images alone against the same ones among unlabelled ones, in one study."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from alambic.data import load_source
from alambic.errors import AlambicError
from alambic.study.arms_file import read_arms
from alambic.study.cell import group_cells
from alambic.study.content import train_ids
from alambic.study.prepare import prepare
from alambic.study.study_file import read_study
from alambic.study.treat import treat_study
from alambic.study.tuning import tune_study
from alambic.study.work import Workshop
from alambic.suitability.gains import describe_setting, is_alone

STUDY = """
name = "few-labels"
purpose = "explore"
seeds = 1
students = ["dscnn_8x2"]
[data]
source = "npz"
path = "{path}"
train = 120
labelled = 30
[views]
count = {views}
mix = "{mix}"
[recipe]
epochs = 2
batch = 30
eval_every = 100
[int8]
enabled = false
[execution]
jobs = 1
[teachers.big]
net = "zoo:resnet8_w8"
[teachers.big.recipe]
epochs = 1
[[arms]]
method = "kd"
[[arms]]
name = "kd, labelled only"
method = "kd"
treatments = ["labelled_only"]
[[arms]]
name = "none, labelled only"
method = "none"
treatments = ["labelled_only"]
"""


def write(folder: Path, views: int = 1, mix: str = "none") -> Path:
    generator = np.random.default_rng(0)
    labels = generator.integers(0, 3, 240)
    pixels = generator.integers(0, 255, (240, 1, 16, 16)).astype(np.uint8)
    np.savez(folder / "set.npz", images=pixels, labels=labels)
    (folder / "study.toml").write_text(STUDY.format(path=folder / "set.npz", views=views, mix=mix))
    return folder / "study.toml"


@pytest.mark.parametrize("views", [0, 1])
def test_each_arm_trains_on_its_images_for_as_many_steps(tmp_path: Path, views: int) -> None:
    study = read_study(write(tmp_path, views))
    prepared = prepare(study, tmp_path / "out", lambda text: None)
    cells = {cell.arm.name: cell for cell in prepared.cells}
    rest, alone = cells["kd"].content, cells["kd, labelled only"].content
    assert (rest["data"]["train_images"], rest["data"]["unlabelled"], rest["recipe"]["epochs"]) == (120, 90, 2)
    assert (alone["data"]["train_images"], alone["data"]["unlabelled"], alone["recipe"]["epochs"]) == (30, 0, 8)
    assert describe_setting(alone) == describe_setting(rest)  # they may be compared, and all with the student alone
    assert is_alone(cells["none, labelled only"].full_content)
    source = load_source(study.data)
    own = train_ids(treat_study(study, cells["kd, labelled only"].arm), source)
    assert bool((source.labels[own] >= 0).all())
    assert set(own.tolist()) < set(train_ids(study, source).tolist())
    if views:
        assert len({cell.content["sources"]["logits"] for cell in cells.values() if cell.teacher}) == 1
        assert len(prepared.banks) == 1, "the labelled images are in the bank of all"
    else:
        assert all(len(group) == 1 for group in group_cells(list(prepared.cells), 8)), "other images: no shared pass"
    workshop = Workshop(prepared, tmp_path / "out")
    feeds = workshop.feeds([cells["kd, labelled only"]])
    run = workshop._set_up(cells["kd, labelled only"], feeds[cells["kd, labelled only"].id])
    assert run.ids.tolist() == own.tolist()
    for name in cells:
        assert 0 <= workshop.run(cells[name]).numbers["tune"] <= 1


def test_it_refuses_mixed_images_and_a_study_that_hides_no_label(tmp_path: Path) -> None:
    path = write(tmp_path, mix="mixup")
    with pytest.raises(AlambicError, match="mix no images"):
        treat_study(read_study(path), read_study(path).arms[1])
    path.write_text(path.read_text().replace("labelled = 30\n", "").replace("mixup", "none"))
    with pytest.raises(AlambicError, match=r"data\.labelled and at least as many"):
        treat_study(read_study(path), read_study(path).arms[1])


def test_it_is_tuned_beside_the_others(tmp_path: Path) -> None:
    path = write(tmp_path)
    path.write_text(path.read_text() + "[tuning]\ntrials = 2\nrungs = [0.5, 1.0]\nkeep = 1\nlr = [0.5, 2.0]\n")
    tuned = tune_study(read_study(path), tmp_path / "out", say=lambda text: None)
    assert set(tuned) == {"kd", "kd, labelled only", "none, labelled only"}
    written = {arm.name: arm for arm in read_arms(tmp_path / "out" / "tuned.toml", {})}
    assert written["none, labelled only"].treatments == ("labelled_only",)
