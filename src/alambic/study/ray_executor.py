"""The Ray executor: groups of cells as tasks of a Ray cluster (extra ``alambic[ray]``), many machines for one study.

A task is one lockstep group. It takes the study's threads as CPUs, and its share of a GPU where the study trains on
one. Tasks hand their results to this driver, which alone writes the ledger. The study's folder, its data and its
output folder are on a disk that every node sees at the same path: checkpoints lie there, so that a group whose node
is lost goes on elsewhere.
"""

from __future__ import annotations

import contextlib
import importlib
import logging
import os
import signal
import uuid
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from alambic.errors import AlambicError
from alambic.study.cell import Cell, group_cells
from alambic.study.content import environment
from alambic.study.local import LARGEST_GROUP, POLL, Event, Executor, Group, split_lost
from alambic.study.prepare import Prepared
from alambic.study.work import Result, Workshop, describe_failure
from alambic.training import stop
from alambic.training.lockstep import is_out_of_memory

MOST_NODES = 4  # that may be lost under a cell before it is given up: more than processes, whose death is its own doing
Told = list[tuple[str, Result | None, str]]  # cell id, result, or why it failed

_kept: tuple[str, Workshop] | None = None


def on_ray(address: str | None = None) -> Executor:
    """An executor on the cluster at ``address``; without one, on RAY_ADDRESS, or on a cluster of this machine alone.

    Raises AlambicError at once where Ray is not installed.
    """
    ray = _find_ray()

    def run(prepared: Prepared, cells: list[Cell], out: Path, jobs: int) -> Iterator[Event]:
        with _connected(ray, address):
            yield from _run_groups(ray, prepared, cells, out.resolve())

    return run


def _find_ray() -> Any:
    try:
        return importlib.import_module("ray")
    except ImportError as error:
        raise AlambicError('expected Ray for --executor ray, got none; try: pip install "alambic[ray]"') from error


@contextlib.contextmanager
def _connected(ray: Any, address: str | None) -> Iterator[None]:
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # a cluster of ours tells nobody that it runs
    listening = signal.getsignal(signal.SIGTERM)
    joins = bool(address or "RAY_ADDRESS" in os.environ)
    try:
        ray.init(
            address=address,
            log_to_driver=False,
            logging_level=logging.WARNING,
            **({} if joins else {"include_dashboard": False}),
        )
    except (ConnectionError, RuntimeError, ValueError) as error:
        raise AlambicError(
            f"expected a Ray cluster at {address or os.environ.get('RAY_ADDRESS', 'this machine')}, got: {error}; "
            "try `ray status`, or --executor local"
        ) from error
    signal.signal(signal.SIGTERM, listening)  # Ray takes it; a stop is asked for politely here
    try:
        yield
    finally:
        ray.shutdown()


def _run_groups(ray: Any, prepared: Prepared, cells: list[Cell], out: Path) -> Iterator[Event]:
    """As ``local.run_cells``, on the cluster's nodes as they come and go.

    A group whose node is lost is tried again, whole; one whose process died (out of memory, kill -9) in two halves.
    """
    needs = _resources(prepared)
    task = ray.remote(_train).options(**needs, max_retries=0, scheduling_strategy="SPREAD")
    shared = ray.put(prepared)
    given = (str(uuid.uuid4()), shared, out, Path.cwd(), environment())
    waiting = deque(group_cells(cells, LARGEST_GROUP))
    running: dict[Any, Group] = {}
    deaths: dict[str, int] = {}
    nodes: dict[str, int] = {}
    died = (ray.exceptions.WorkerCrashedError, ray.exceptions.OutOfMemoryError)
    lost = (ray.exceptions.NodeDiedError, ray.exceptions.ObjectLostError, ray.exceptions.RaySystemError)
    while waiting or running:
        while waiting and len(running) < _room(ray, needs):
            group = waiting.popleft()
            running[task.remote(*given, group)] = group
            for cell in group:
                yield Event("started", cell)
        if stop.asked():
            for reference in running:
                ray.cancel(reference, force=True)  # to the last epoch's checkpoint
            raise stop.Stopped
        ready, _ = ray.wait(list(running), timeout=POLL)
        for reference in ready:
            group = running.pop(reference)
            known = {cell.id: cell for cell in group}
            try:
                told: Told = ray.get(reference)
            except lost as error:
                for cell in group:
                    nodes[cell.id] = nodes.get(cell.id, 0) + 1
                left = tuple(cell for cell in group if nodes[cell.id] < MOST_NODES)
                waiting.extendleft([left] if left else [])
                for cell in group:
                    if cell not in left:
                        yield Event("failed", cell, f"its node was lost {MOST_NODES} times ({_first_line(error)})")
            except died as error:
                yield from _again(group, deaths, waiting, f"its process died twice ({_first_line(error)})")
            except ray.exceptions.RayError as error:
                for cell in group:
                    yield Event("failed", cell, _first_line(getattr(error, "cause", None) or error))
            else:
                for identity, result, reason in told:
                    cell = known.pop(identity)
                    yield Event("done", cell, result) if result is not None else Event("failed", cell, reason)
                if known:
                    yield from _again(tuple(known.values()), deaths, waiting, "memory ran out twice")


def _again(left: Group, deaths: dict[str, int], waiting: deque[Group], why: str) -> Iterator[Event]:
    groups, given_up = split_lost(left, deaths)
    waiting.extendleft(reversed(groups))
    for cell in given_up:
        yield Event("failed", cell, why)


def _resources(prepared: Prepared) -> dict[str, float]:
    """What a task asks for: CPUs by the study's threads; on a GPU the share that ``execution.jobs`` leaves each."""
    needs: dict[str, float] = {"num_cpus": prepared.study.execution.threads}
    if prepared.place.device != "cpu":
        needs["num_gpus"] = 1 / max(1, prepared.study.execution.jobs)
    return needs


def _room(ray: Any, needs: dict[str, float]) -> int:
    """How many tasks the cluster holds at once, as its nodes are now; one waits even where there is none."""
    there = ray.cluster_resources()
    shares = [
        there.get(key, 0.0) / needs[name] for name, key in (("num_cpus", "CPU"), ("num_gpus", "GPU")) if name in needs
    ]
    return max(1, int(min(shares)))


def _train(run: str, prepared: Prepared, out: Path, place: Path, expected: dict[str, str], group: Group) -> Told:
    """A task's life, on a node: each cell's result, or why it failed; cells that need more memory are left out."""
    if not out.is_dir() or not place.is_dir():
        raise AlambicError(
            f"expected the folders {place} and {out} on node {os.uname().nodename}, got none, because every node reads "
            "data and writes checkpoints there; try a disk that all nodes share"
        )
    os.chdir(place)  # relative paths of the study start here, as in the driver
    if environment() != expected:
        raise AlambicError(
            f"expected the driver's environment {expected} on node {os.uname().nodename}, got {environment()}, because "
            "rows of one study compare; try nodes of one kind"
        )
    told: Told = []

    def finish(cell: Cell, result: Result | None, error: Exception | None) -> None:
        told.append((cell.id, result, "" if error is None else describe_failure(error)))

    try:
        _workshop(run, prepared, out).run_group(group, finish)
    except Exception as error:  # what breaks a whole group is data too: the driver writes it down and goes on
        if len(group) > 1 and is_out_of_memory(error):
            return told
        done = {identity for identity, _, _ in told}
        for cell in group:
            if cell.id not in done:
                finish(cell, None, error)
    return told


def _workshop(run: str, prepared: Prepared, out: Path) -> Workshop:
    """This process's workshop for a run of a study, kept between its tasks: images, teachers, opened banks."""
    global _kept
    if _kept is None or _kept[0] != run:
        _kept = (run, Workshop(prepared, out))
    return _kept[1]


def _first_line(error: BaseException) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]
