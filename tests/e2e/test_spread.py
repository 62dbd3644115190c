"""Two gloo processes train a teacher: the weights of one process; whatever breaks in one ends both, at once."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from alambic.data import DataSpec, Source, ViewSpec, from_arrays
from alambic.errors import AlambicError
from alambic.files import hash_tensors, write_atomic
from alambic.models.teacher import TeacherSpec
from alambic.training import loop, spread, stop, teach, together
from alambic.training.recipe import Recipe
from alambic.training.task import Task
from alambic.training.teach import TeacherTraining, train_teacher
from process_tools import start_two

IMAGES, BATCH, EPOCHS = 160, 33, 3  # four steps an epoch of 17 + 16 images; 28 images are left out
STEPS = IMAGES // BATCH
NETS = """
from torch import nn

def plain(norm=lambda width: nn.GroupNorm(1, width), drop=0.0):
    return nn.Sequential(
        nn.Conv2d(1, 8, 3, stride=2), norm(8), nn.ReLU(), nn.Conv2d(8, 12, 3, stride=2), norm(12), nn.ReLU(),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Dropout(drop), nn.Linear(12, 3))

def full():
    return plain(nn.BatchNorm2d, 0.2)
"""
Deed = Callable[[int, int, Any], Any]  # number of the process, step of its training, its inputs -> other inputs or None


def make_source() -> Source:
    draw = np.random.default_rng(0)
    labels = np.arange(IMAGES + 80) % 3
    pixels = draw.integers(0, 120, (len(labels), 16, 16, 1), dtype=np.uint8)
    pixels[np.arange(len(labels)), 4 * labels + 2] += 100  # a bright row tells the class
    split = ["train"] * IMAGES + ["val"] * 40 + ["test"] * 40
    return from_arrays(pixels, labels, split=split, spec=DataSpec("arrays"))


def fit(out: Path, net: str, seed: int = 0) -> None:
    """Trains a teacher at ``out/mine.safetensors``; leaves this process's exact weights, even where it breaks."""
    out.mkdir(exist_ok=True, parents=True)
    write_atomic(out / "nets.py", lambda part: part.write_text(NETS))  # the other process may be reading it
    recipe = Recipe(epochs=EPOCHS, batch=BATCH, lr=0.1, clip=0.5, eval_every=1)
    training = TeacherTraining(recipe, ViewSpec(flip=True, shift=1, mix="mixup"), seed=seed)
    number, count = together.place()
    original, save, save_weights = teach.train, loop.save_checkpoint, teach.save_teacher

    def save_and_tell(path: Path, state: Any) -> None:
        (out / f"wrote_state{number}").touch()
        save(path, state)

    def save_weights_and_tell(*given: Any) -> None:
        (out / f"wrote_weights{number}").touch()
        save_weights(*given)

    def train_and_keep(run: Any, on_epoch: Any) -> Any:
        history = original(run, on_epoch)
        torch.save({"state": run.student.state_dict(), "history": history}, out / f"{number}of{count}.pt")
        return history

    teach.train, loop.save_checkpoint, teach.save_teacher = train_and_keep, save_and_tell, save_weights_and_tell
    try:
        spec = TeacherSpec(f"nets.py:{net}")
        train_teacher("mine", spec, training, make_source(), Task(3), out / "mine.safetensors", out, shared=True)
    finally:
        teach.train, loop.save_checkpoint, teach.save_teacher = original, save, save_weights


def attempt(out: Path, net: str, deed: Deed | None = None, seed: int = 0) -> None:
    """``fit``, with a deed before each step; writes what it raised and how long after the last step it did."""
    number, (original, ended) = together.place()[0], (spread.Spread.step, [time.monotonic()])
    taken = [0]

    def step(self: Any, run: Any, given: Any, *more: Any) -> Any:
        if deed is not None:
            given = deed(number, taken[0], given) or given
        taken[0] += 1
        ended[0] = time.monotonic()
        return original(self, run, given, *more)

    spread.Spread.step = step  # type: ignore[method-assign]
    try:
        fit(out, net, seed)
        told = "whole"
    except stop.Stopped:
        told = "stopped"
        stop._asked = False
    except AlambicError as error:
        told = str(error)
    finally:
        spread.Spread.step = original  # type: ignore[method-assign]
    answer = {"told": told, "steps": taken[0], "waited": time.monotonic() - ended[0]}
    (out / f"answer{number}.json").write_text(json.dumps(answer))


def ask_to_stop(number: int, step: int, given: Any) -> None:
    if number == 1 and step == STEPS + 1:
        os.kill(os.getpid(), signal.SIGTERM)


def spoil(number: int, step: int, given: Any) -> Any:
    last = number == 1 and step == 2 * STEPS - 1  # of the second epoch: no later one shows it
    return replace(given, images=given.images * float("nan")) if last else None


def die(number: int, step: int, given: Any) -> None:
    if number == 1 and step == STEPS + 2:
        os.kill(os.getpid(), signal.SIGKILL)


def hang(number: int, step: int, given: Any) -> None:
    if number == 1 and step == 2:
        time.sleep(60)


def work_on_all(number: int, folder: Path) -> None:
    stop.listen()
    spread.PATIENCE = timedelta(seconds=20)  # where a check of these fails, so that the test ends
    with together.joined():
        attempt(folder / "plain", "plain")
        attempt(folder / "full", "full")
        attempt(folder / "stop", "full", ask_to_stop)
        (folder / "stop" / f"answer{number}.json").rename(folder / "stop" / f"first{number}.json")
        attempt(folder / "stop", "full")
        attempt(folder / "nan", "plain", spoil)
        attempt(folder / "unlike", "plain", seed=number)


def work_until_death(number: int, folder: Path) -> None:
    with together.joined():
        attempt(folder, "full", die)


def hang_at_first(number: int) -> None:
    original = spread.hash_tensors

    def hash_late(*given: Any) -> str:
        time.sleep(60 * number)
        return original(*given)

    spread.hash_tensors = hash_late  # type: ignore[attr-defined]


def work_until_hung(number: int, folder: Path) -> None:
    spread.PATIENCE = timedelta(seconds=3)
    with together.joined():
        if folder.name == "before":
            hang_at_first(number)
        attempt(folder, "plain", hang)


def work_again(number: int, folder: Path) -> None:
    with together.joined():
        attempt(folder, "full")


def run_two(work: Callable[..., None], folder: Path) -> list[int | None]:
    folder.mkdir(exist_ok=True)
    processes = start_two(work, folder)
    for process in processes:
        process.join(timeout=120)
        if process.is_alive():
            process.kill()
    return [process.exitcode for process in processes]


def answers(folder: Path, name: str = "answer") -> list[dict[str, Any]]:
    return [json.loads((folder / f"{name}{number}.json").read_text()) for number in range(2)]


def kept(folder: Path, number: int, count: int = 2) -> tuple[dict[str, torch.Tensor], list[dict[str, Any]]]:
    held = torch.load(folder / f"{number}of{count}.pt")
    return held["state"], held["history"]


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("spread")
    assert run_two(work_on_all, folder) == [0, 0]
    return folder


@pytest.mark.slow
def test_two_processes_end_with_the_weights_of_one(trained: Path, tmp_path: Path) -> None:
    """A batch of 33 images, mixup, warm-up, clipping and momentum; no BatchNorm."""
    fit(tmp_path / "one", "plain")
    alone, history = kept(tmp_path / "one", 0, 1)
    for number in range(2):
        state, told = kept(trained / "plain", number)
        for name, value in alone.items():
            torch.testing.assert_close(state[name], value, atol=2e-6, rtol=1e-4, msg=name)
        for mine, other in zip(told, history, strict=True):
            assert mine["loss"]["ce"] == pytest.approx(other["loss"]["ce"], rel=1e-5)
            assert (mine["lr"], mine["tune"]) == (other["lr"], other["tune"])
    assert [a["steps"] for a in answers(trained / "plain")] == [STEPS * EPOCHS] * 2
    cards = [json.loads((folder / "mine.json").read_text()) for folder in (trained / "plain", tmp_path / "one")]
    assert [card["processes"] for card in cards] == [2, 1]
    assert cards[0]["test"] == cards[1]["test"]
    wrote = sorted(path.name for path in trained.glob("plain/wrote*"))
    assert wrote == ["wrote_state0", "wrote_weights0"], "one process writes"
    assert not list(trained.glob("plain/*.checkpoint")), "a finished teacher leaves none"


@pytest.mark.slow
def test_all_processes_hold_the_same_batchnorm_numbers(trained: Path, tmp_path: Path) -> None:
    states = [kept(trained / "full", number)[0] for number in range(2)]
    assert hash_tensors(states[0]) == hash_tensors(states[1])
    fit(tmp_path / "one", "full")
    alone, two = kept(tmp_path / "one", 0, 1)[0]["1.running_mean"], states[0]["1.running_mean"]
    assert (two - alone).abs().max() < 0.2 * alone.abs().max(), "averaged over the processes, so close to one's"


@pytest.mark.slow
def test_a_stop_asked_of_one_process_saves_all_and_goes_on_bit_for_bit(trained: Path) -> None:
    first = answers(trained / "stop", "first")
    assert [a["told"] for a in first] == ["stopped"] * 2
    assert [a["steps"] for a in first] == [STEPS + 2] * 2, "both after the same step, within the second epoch"
    assert [a["steps"] for a in answers(trained / "stop")] == [STEPS * EPOCHS - STEPS - 2] * 2
    whole = hash_tensors(kept(trained / "full", 0)[0])
    assert [hash_tensors(kept(trained / "stop", number)[0]) for number in range(2)] == [whole] * 2


@pytest.mark.slow
def test_a_nan_in_one_process_is_the_same_error_in_both(trained: Path) -> None:
    told = answers(trained / "nan")
    assert told[0]["told"] == told[1]["told"]
    assert "NaN or infinity in epoch 2" in told[0]["told"]


@pytest.mark.slow
def test_processes_that_start_from_other_weights_are_refused(trained: Path) -> None:
    told = answers(trained / "unlike")
    assert told[0]["told"] == told[1]["told"]
    assert "expected 2 processes that start from the same weights" in told[0]["told"]
    assert told[0]["steps"] == 0


@pytest.mark.slow
def test_a_killed_process_ends_the_other_and_both_go_on_bit_for_bit(trained: Path, tmp_path: Path) -> None:
    assert run_two(work_until_death, tmp_path / "killed") == [0, -signal.SIGKILL]
    told = json.loads((tmp_path / "killed" / "answer0.json").read_text())
    assert "process 0 of 2 lost another one in a step of the training" in told["told"]
    assert told["waited"] < 20
    assert not (tmp_path / "killed" / "mine.safetensors").exists()
    with pytest.raises(AlambicError, match=r"mine\.2-processes\.checkpoint is there; try as many processes as then"):
        fit(tmp_path / "killed", "full")
    assert run_two(work_again, tmp_path / "killed") == [0, 0]
    assert [a["steps"] for a in answers(tmp_path / "killed")] == [STEPS * (EPOCHS - 1)] * 2, (
        "from the first epoch's end"
    )
    whole = hash_tensors(kept(trained / "full", 0)[0])
    assert [hash_tensors(kept(tmp_path / "killed", number)[0]) for number in range(2)] == [whole] * 2


@pytest.mark.slow
@pytest.mark.parametrize("when", ["before", "within"])
def test_a_process_that_hangs_is_noticed(tmp_path: Path, when: str) -> None:
    """Before the first step, where all tell the weights they start from, or within a step."""
    folder = tmp_path / when
    processes = start_two(work_until_hung, folder)
    processes[0].join(timeout=60)
    processes[1].kill()
    told = json.loads((folder / "answer0.json").read_text())
    assert told["steps"] == (0 if when == "before" else 3)
    assert "process 0 of 2 lost another one" in told["told"]
    assert told["waited"] < 20
