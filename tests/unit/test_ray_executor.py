"""What the Ray executor does when nodes and processes are lost, on a stand-in for Ray that loses them on order."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from alambic.errors import AlambicError
from alambic.study import ray_executor
from alambic.study.cell import Arm, Cell
from alambic.study.local import split_lost
from alambic.study.place import Place
from alambic.study.ray_executor import MOST_NODES, _run_groups, _train
from alambic.study.study_file import Execution
from alambic.study.work import Result
from alambic.training import stop


class RayError(Exception):
    pass


class WorkerCrashedError(RayError):
    pass


class OutOfMemoryError(RayError):
    pass


class NodeDiedError(RayError):
    pass


class ObjectLostError(RayError):
    pass


class RaySystemError(RayError):
    pass


class FakeRay:
    """Runs no task: ``answer(ids of the group, how many tasks were before)`` returns its result or raises."""

    exceptions = SimpleNamespace(
        RayError=RayError,
        WorkerCrashedError=WorkerCrashedError,
        OutOfMemoryError=OutOfMemoryError,
        NodeDiedError=NodeDiedError,
        ObjectLostError=ObjectLostError,
        RaySystemError=RaySystemError,
    )

    def __init__(self, answer: Callable[[tuple[str, ...], int], Any], cpus: float = 2) -> None:
        self.answer, self.cpus = answer, cpus
        self.groups: list[tuple[str, ...]] = []
        self.most, self.open, self.cancelled = 0, 0, 0
        self.options: dict[str, Any] = {}

    def remote(self, function: Any) -> Any:
        assert function is _train

        def submit(*arguments: Any) -> int:
            self.groups.append(tuple(cell.id for cell in arguments[-1]))
            self.open += 1
            self.most = max(self.most, self.open)
            return len(self.groups) - 1

        def options(**given: Any) -> Any:
            self.options = given
            return SimpleNamespace(remote=submit)

        return SimpleNamespace(options=options)

    def put(self, value: Any) -> Any:
        return value

    def cluster_resources(self) -> dict[str, float]:
        return {"CPU": self.cpus}

    def wait(self, references: list[int], timeout: float) -> tuple[list[int], list[int]]:
        return references[:1], references[1:]

    def get(self, reference: int) -> Any:
        self.open -= 1
        answer = self.answer(self.groups[reference], reference)
        if isinstance(answer, BaseException):
            raise answer
        return answer

    def cancel(self, reference: int, force: bool) -> None:
        self.cancelled += 1


def make_cells(count: int, live: bool = True) -> list[Cell]:
    recipe = {"batch": 8, "epochs": 1, "channels_last": True}
    source = "live: x" if live else "bank: x"
    content = {"sources": {"logits": source}, "views": {}, "data": {}, "recipe": recipe}
    return [Cell("s", "t", Arm(f"arm{number}", ("kd",), ce_weight=number), 0, content) for number in range(count)]


def run(ray: FakeRay, cells: list[Cell], threads: int = 1) -> list[tuple[str, str, Any]]:
    execution = SimpleNamespace(threads=threads, jobs=1)
    prepared: Any = SimpleNamespace(study=SimpleNamespace(execution=execution), place=Place())
    events = _run_groups(ray, prepared, cells, Path.cwd())
    return [(event.kind, event.cell.id, event.detail) for event in events if event.kind != "started"]


def done(group: tuple[str, ...]) -> list[tuple[str, Result | None, str]]:
    return [(identity, Result({"of": identity}, [], {}), "") for identity in group]


def test_each_group_is_a_task_and_no_more_run_than_the_cluster_holds() -> None:
    cells = make_cells(7, live=False)
    ray = FakeRay(lambda group, number: done(group), cpus=6)
    told = run(ray, cells, threads=2)
    assert sorted(told) == sorted(("done", cell.id, Result({"of": cell.id}, [], {})) for cell in cells)
    assert [len(group) for group in ray.groups] == [1] * 7
    assert ray.most == 3
    assert ray.options["num_cpus"] == 2
    assert ray.options["max_retries"] == 0, "what is lost is counted here"
    together = FakeRay(lambda group, number: done(group))
    run(together, make_cells(7))
    assert [len(group) for group in together.groups] == [7], "what shares a live teacher is one task"


def test_a_lost_node_costs_no_cell_and_the_group_stays_whole() -> None:
    cells = make_cells(4)
    ray = FakeRay(lambda group, number: NodeDiedError("gone") if number < MOST_NODES - 1 else done(group))
    assert [kind for kind, *_ in run(ray, cells)] == ["done"] * 4
    assert [len(group) for group in ray.groups] == [4] * MOST_NODES
    never = FakeRay(lambda group, number: NodeDiedError("gone"))
    told = run(never, cells)
    assert [kind for kind, *_ in told] == ["failed"] * 4
    assert f"lost {MOST_NODES} times (gone)" in told[0][2]


@pytest.mark.parametrize("error", [WorkerCrashedError("killed"), OutOfMemoryError("full")])
def test_a_dead_process_halves_its_group_and_a_cell_that_kills_is_given_up(error: RayError) -> None:
    cells = make_cells(4)
    bad = cells[2].id
    ray = FakeRay(lambda group, number: error if bad in group else done(group), cpus=1)
    told = run(ray, cells)
    assert [len(group) for group in ray.groups] == [4, 2, 2, 1, 1, 1]
    assert {identity for kind, identity, _ in told if kind == "done"} == {cell.id for cell in cells} - {bad}
    ((_, failed, why),) = [event for event in told if event[0] == "failed"]
    assert failed == bad
    assert "died twice" in why


def test_cells_that_a_group_left_out_for_memory_are_tried_in_halves() -> None:
    cells = make_cells(4)
    ray = FakeRay(lambda group, number: done(group[:1]) if len(group) > 1 else done(group))
    told = run(ray, cells)
    assert sorted(identity for kind, identity, _ in told if kind == "done") == sorted(cell.id for cell in cells)
    assert [len(group) for group in ray.groups] == [4, 1, 2, 1]


def test_failures_are_told_with_their_reason() -> None:
    cells = make_cells(3)

    def answer(group: tuple[str, ...], number: int) -> Any:
        return [(group[0], None, "NaN"), *done(group[1:])]

    assert ("failed", cells[0].id, "NaN") in run(FakeRay(answer), cells)
    other = FakeRay(lambda group, number: RayError("expected the folders /x\nremote stack"))
    assert [event[2] for event in run(other, cells)] == ["expected the folders /x"] * 3


def test_a_stop_cancels_what_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    ray = FakeRay(lambda group, number: done(group))
    monkeypatch.setattr(stop, "_asked", True)
    with pytest.raises(stop.Stopped):
        run(ray, make_cells(5, live=False))
    assert ray.cancelled == 2


def test_a_node_without_the_folders_or_of_another_kind_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    nothing: Any = None
    with pytest.raises(AlambicError, match="disk that all nodes share"):
        _train("run", nothing, tmp_path / "none", tmp_path, {}, ())
    monkeypatch.chdir(tmp_path)
    with pytest.raises(AlambicError, match="nodes of one kind"):
        _train("run", nothing, tmp_path, tmp_path, {"torch": "0.1"}, ())


def test_a_task_reports_what_breaks_its_group(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    cells, nothing = make_cells(3), Any

    def break_with(error: Exception) -> Any:
        def run_group(group: tuple[Cell, ...], finish: Any) -> None:
            finish(group[0], Result({}, [], {}), None)
            raise error

        monkeypatch.setattr(ray_executor, "_workshop", lambda *_: SimpleNamespace(run_group=run_group))
        group = tuple(cells)
        return _train("run", nothing, tmp_path, tmp_path, ray_executor.environment(), group)  # type: ignore[arg-type]

    told = break_with(ValueError("odd"))
    assert [(identity, reason) for identity, _, reason in told] == [
        (cells[0].id, ""),
        (cells[1].id, "ValueError: odd"),
        (cells[2].id, "ValueError: odd"),
    ]
    assert [identity for identity, *_ in break_with(MemoryError())] == [cells[0].id], "the rest is tried in halves"


def test_halves_keep_their_order() -> None:
    cells = tuple(make_cells(5))
    assert split_lost(cells, {}) == ([cells[:2], cells[2:]], ())
    assert split_lost((), {}) == ([], ())


def test_a_task_asks_for_a_gpu_where_the_studys_cells_train_on_one() -> None:
    for place, expected in ((Place(), {"num_cpus": 2}), (Place("cuda"), {"num_cpus": 2, "num_gpus": 0.25})):
        prepared: Any = SimpleNamespace(study=SimpleNamespace(execution=Execution(jobs=4, threads=2)), place=place)
        assert ray_executor._resources(prepared) == expected
