"""Faults: whatever dies, fills up or starves, nothing is lost; and each guard is shown to be what saves it.

``ALAMBIC_KILLS`` sets how often a study is killed; ``ALAMBIC_FAULTS`` names a file to which each test adds a line for
the table of ``docs/faults.md``.
"""

import contextlib
import itertools
import os
import random
import shutil
import signal
import sqlite3
import threading
import time
from collections import Counter
from types import SimpleNamespace

import pytest
import test_study

from alambic.errors import AlambicError
from alambic.study.ledger import Ledger, Row
from faults_judge import done, failures, find_differences, find_halves, note
from faults_tools import PLACES, Fault, counted, finish, groups, kill, launch, said

EPOCHS = 3
KILLS = int(os.environ.get("ALAMBIC_KILLS", "8"))
SEED = os.environ.get("ALAMBIC_KILL_SEED", "1")
CELLS = 4
images = test_study.folder
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def study(images):
    """Four cells: without a teacher, from its bank of eight views, and a group of two from the live teacher."""
    text = (images / "study.toml").read_text().replace("epochs = 4", f"epochs = {EPOCHS}")
    text = text.replace("seeds = 2", "seeds = 1").replace(', "at"', "").replace(', "dist"', "")
    text = text.replace("[views]\ncount = 2", "[views]\ncount = 8").replace("[int8]", "[int8]\nenabled = false")
    path = images / "faults.toml"
    path.write_text(text)
    return path


@pytest.fixture(scope="module")
def undisturbed(study, tmp_path_factory):
    """A folder of the study that nothing happened to, its moments (how many of each place) and its seconds."""
    out, trace, started = tmp_path_factory.mktemp("undisturbed"), tmp_path_factory.mktemp("trace"), time.monotonic()
    assert finish(launch(study, out, trace, Fault("watch", (out,)))) == 0, said(trace)
    assert find_halves(out, EPOCHS) == []
    return SimpleNamespace(
        out=out, moments={place: counted(trace, place) for place in PLACES}, seconds=time.monotonic() - started
    )


def test_killed_at_random_moments_nothing_is_lost(study, undisturbed, tmp_path):
    pick, places, lost = random.Random(SEED), Counter(), []
    cycle = ("teacher", "bank", "step", "checkpoint", "ledger", "weights", "row", "any time")
    folders = (tmp_path / f"folder{number}" for number in itertools.count())
    out, before, tries = next(folders), set(), 0

    def end():
        """Lets the folder in hand come to its end; what is lost then, and a new folder."""
        trace = tmp_path / f"end-{out.name}"
        assert finish(launch(study, out, trace)) == 0, said(trace)
        assert not [*out.glob("checkpoints/[!.]*")], "a finished cell keeps its checkpoint"
        return find_differences(out, undisturbed.out) + find_halves(out, EPOCHS), next(folders), set()

    while sum(places.values()) < KILLS:
        place = cycle[tries % len(cycle)]
        if place == "teacher" and out.exists():  # only a new folder has a teacher to train
            found, out, before = end()
            lost += found
        moment = pick.randint(1, max(1, undisturbed.moments.get(place, 0) // 2))
        trace, tries = tmp_path / f"trace{tries}", tries + 1
        process = launch(study, out, trace, Fault("watch", (out, place, moment)))
        if place == "any time":
            time.sleep(pick.uniform(0, undisturbed.seconds))
            kill(process)
        code = finish(process)
        assert code in (-9, 0), said(trace)
        places[place] += code == -9
        lost += find_halves(out, EPOCHS) + [f"{cell} was done" for cell in before - done(out)]
        before = done(out)
        if code == 0:  # that moment never came: the study is finished
            found, out, before = end()
            lost += found
    lost += end()[0]
    note("kill -9 of the whole study", tries=KILLS, lost=len(lost), places=dict(places))
    assert lost == []


def test_without_whole_files_a_kill_leaves_a_half_one(study, undisturbed, tmp_path):
    out = tmp_path / "out"
    for moment in range(1, 5):
        faults, trace = (Fault("without_atomic"), Fault("watch", (out, "checkpoint", moment))), tmp_path / str(moment)
        assert finish(launch(study, out, trace, *faults)) == -9, said(trace)
        if find_halves(out, EPOCHS):
            break
    assert any("checkpoint" in found for found in find_halves(out, EPOCHS))
    note("kill -9 of the whole study", guard="files written beside and renamed", without="a half checkpoint is found")


def steps_of_two_kills(study, out, *faults):
    """Steps that a study makes over two kills in the midst of writing a row, and its end."""
    one, steps = study.with_name("one.toml"), 0
    one.write_text(study.read_text().replace("jobs = 2", "jobs = 1"))
    for moment in (1, 3):
        trace = out.with_name(f"{out.name}-{moment}")
        assert finish(launch(one, out, trace, *faults, Fault("watch", (out, "row", moment)))) == -9
        steps += counted(trace, "step")
    trace = out.with_name(f"{out.name}-end")
    assert finish(launch(one, out, trace, Fault("watch", (out,)))) == 0
    return steps + counted(trace, "step")


def test_a_kill_between_the_last_step_and_the_ledger_costs_no_step(study, undisturbed, tmp_path):
    again = steps_of_two_kills(study, tmp_path / "out") - undisturbed.moments["step"]
    note("kill -9 while a row is written", tries=2, lost=again, guard="a checkpoint goes when its row stands")
    assert again == 0
    assert not [*(tmp_path / "out" / "checkpoints").glob("[!.]*")]
    again = steps_of_two_kills(study, tmp_path / "bare", Fault("without_patience")) - undisturbed.moments["step"]
    assert again > 0
    note("kill -9 while a row is written", without=f"{again} steps are made again")


def test_sigterm_ends_the_step_saves_and_goes_on(study, undisturbed, tmp_path):
    out, steps = tmp_path / "out", Counter()
    tries = {"teacher": (5, "stop"), "bank": (2, "stop"), "step": (10, "stop"), "row": (1, "stop the driver")}
    for place, given in tries.items():
        trace = tmp_path / place
        assert finish(launch(study, out, trace, Fault("watch", (out, place, *given)))) == 0, said(trace)
        assert "stopped as asked" in said(trace), place
        assert "Traceback" not in said(trace)
        assert find_halves(out, EPOCHS) == []
        steps += {name: counted(trace, name) for name in ("teacher", "step")}
    assert finish(launch(study, out, tmp_path / "end", Fault("watch", (out,)))) == 0
    steps += {name: counted(tmp_path / "end", name) for name in ("teacher", "step")}
    again = sum(steps[name] - undisturbed.moments[name] for name in steps)
    lost = find_differences(out, undisturbed.out)
    note("SIGTERM", tries=len(tries), lost=len(lost) + again, guard="the step ends, its state is saved, exit code 0")
    assert lost == []
    assert again == 0, "some steps were made twice, or never"


def test_without_listening_sigterm_kills(study, tmp_path):
    faults = Fault("without_listening"), Fault("watch", (tmp_path / "out", "teacher", 5, "stop"))
    assert finish(launch(study, tmp_path / "out", tmp_path / "trace", *faults)) == -15
    note("SIGTERM", without="exit code -15 within a step")


@pytest.fixture(scope="module")
def live(study, tmp_path_factory):
    """The study with one group of four cells from a live teacher, and its folder."""
    path, out = study.with_name("live.toml"), tmp_path_factory.mktemp("live")
    text = study.read_text().replace('"none", "kd"', '"kd", "at"')
    text = text.replace("[execution]", "[execution]\nlive_only = true")
    path.write_text(text)
    assert finish(launch(path, out, out / "trace")) == 0
    return SimpleNamespace(path=path, out=out)


@pytest.mark.parametrize("killed", [False, True], ids=["error", "kill"])
def test_out_of_memory_halves_the_group_then_reports_the_cell(live, tmp_path, killed):
    name = "the kernel kills for memory" if killed else "out of memory"
    trace, out = tmp_path / "two", tmp_path / "out"
    assert finish(launch(live.path, out, trace, Fault("starve", (2, killed)))) == 0, said(trace)
    assert sorted(groups(trace)) == [2, 2, 4]
    lost = find_differences(out, live.out)
    trace, out = tmp_path / "none", tmp_path / "never"
    assert finish(launch(live.path, out, trace, Fault("starve", (0, killed)))) == 2, "no finished cell to report on"
    expected = "died twice" if killed else "expected memory for this cell alone"
    assert [expected in reason for reason in failures(out)] == [True] * CELLS
    assert Counter(groups(trace)) == {4: 1, 2: 2, 1: 8 if killed else 4}
    assert finish(launch(live.path, out, tmp_path / "again")) == 0
    lost += find_differences(out, live.out)
    note(name, tries=2, lost=len(lost), guard="the group is halved, then the cell is reported")
    assert lost == []


def test_without_halving_memory_costs_the_group(live, tmp_path):
    faults = Fault("without_halving"), Fault("starve", (2, False))
    assert finish(launch(live.path, tmp_path / "out", tmp_path / "trace", *faults)) == 2
    assert len(failures(tmp_path / "out")) == CELLS
    note("out of memory", without="all four cells of a group fail, though two fit")


def test_ledger_locked_by_another_process(study, undisturbed, tmp_path):
    out = tmp_path / "out"
    shutil.copytree(undisturbed.out, out)
    with contextlib.closing(sqlite3.connect(out / "ledger.sqlite", isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        assert finish(launch(study, out, tmp_path / "locked")) == 2
        assert "database is locked" in said(tmp_path / "locked")
        other.execute("ROLLBACK")
    assert finish(launch(study, out, tmp_path / "free")) == 0
    lost = find_differences(out, undisturbed.out)
    note("ledger locked by another process", tries=1, lost=len(lost), guard="waits five seconds, then a named error")
    assert lost == []


def test_a_short_lock_is_waited_for_and_a_long_one_is_named(tmp_path, monkeypatch):
    row, path = Row("a", {}, "done", "", {}), tmp_path / "ledger.sqlite"
    ledger = Ledger(path)
    other = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    other.execute("BEGIN EXCLUSIVE")
    threading.Timer(0.5, lambda: other.execute("ROLLBACK")).start()
    ledger.record(row)
    ledger._db.execute("PRAGMA busy_timeout = 0")  # the guard away: no waiting
    other.execute("BEGIN EXCLUSIVE")
    with pytest.raises(AlambicError, match="what it held is untouched"):
        ledger.record(Row("b", {}, "done", "", {}))
    monkeypatch.setattr(Ledger, "_write", lambda self: contextlib.nullcontext(self._db))  # the guard away: no words
    with pytest.raises(sqlite3.OperationalError):
        ledger.record(Row("b", {}, "done", "", {}))
    other.execute("ROLLBACK")
    assert [found.id for found in ledger.rows()] == ["a"]
    ledger.close()
    other.close()
    note("ledger locked by another process", without="the first write fails at once, by a traceback")


def test_two_studies_on_one_ledger(study, undisturbed, tmp_path):
    out, traces = tmp_path / "out", [tmp_path / "a", tmp_path / "b"]
    first = launch(study, out, traces[0])
    while not (out / ".ledger.sqlite.lock").exists():
        time.sleep(0.05)
    os.kill(first.pid, signal.SIGSTOP)  # so that it cannot have ended before the second is there
    second = finish(launch(study, out, traces[1]))
    os.kill(first.pid, signal.SIGCONT)
    codes = [finish(first), second]
    assert sorted(codes) == [0, 2]
    assert "another study is running" in said(traces[codes.index(2)])
    lost = find_differences(out, undisturbed.out)
    note("two studies started on one ledger", tries=1, lost=len(lost), guard="a lock beside the ledger")
    assert lost == []


def test_without_the_lock_the_second_overwrites_rows(tmp_path, monkeypatch):
    path = tmp_path / "ledger.sqlite"
    first = Ledger(path)
    first.record(Row("a", {}, "done", "", {"test": 0.9}))
    with pytest.raises(AlambicError, match="another study is running"):
        Ledger(path)
    monkeypatch.setattr(Ledger, "_claim", lambda self: None)
    second = Ledger(path)
    second.record(Row("a", {}, "done", "", {"test": 0.1}))
    assert [row.numbers for row in first.rows()] == [{"test": 0.1}]
    for ledger in (first, second):
        ledger.close()
    note("two studies started on one ledger", without="both are let in, the second overwrites rows of the first")
