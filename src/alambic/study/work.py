"""Cells, trained and measured in a worker process. Workers never write the ledger."""

from __future__ import annotations

import dataclasses
import resource
import tempfile
import time
from collections.abc import Callable, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file

from alambic.data import Source, load_source
from alambic.errors import AlambicError, one_line
from alambic.files import write_atomic
from alambic.models.compiled import Compiled
from alambic.models.students import count_macs, count_parameters
from alambic.models.teacher import Teacher
from alambic.models.teachers import load_teacher
from alambic.study.cell import Cell, is_live, taught_by
from alambic.study.content import make_objective, make_student, make_task, train_ids
from alambic.study.images import open_images
from alambic.study.ledger import Predictions
from alambic.study.prepare import Prepared
from alambic.study.sensors import other_metrics, score_sensors, score_sensors_int8
from alambic.study.treat import make_scene, make_treatments, treat_study
from alambic.training.balance import balance
from alambic.training.bank import Bank
from alambic.training.feed import Feed
from alambic.training.lockstep import is_out_of_memory, train_group
from alambic.training.loop import Run, predict_logits
from alambic.training.resident import move_source
from alambic.training.setup import input_shape, live_feed, set_up
from alambic.training.task import evaluate_metric, predict
from alambic.treatments.base import attach_all, change_student, restore_student

OnEpoch = Callable[[str, int, int], None]  # cell id, epoch, of how many


@dataclasses.dataclass
class Result:
    """What a worker hands to the driver."""

    numbers: dict[str, Any]
    curve: list[dict[str, Any]]
    predictions: dict[tuple[str, str], Predictions]


OnFinish = Callable[[Cell, Result | None, Exception | None], None]


def checkpoint_of(out: Path, cell: str) -> Path:
    """Where a cell's training stands; the driver removes it once the ledger holds the cell's row."""
    return out / "checkpoints" / f"{cell}.checkpoint"


class Workshop:
    """What a worker process keeps between cells: images, teachers, opened banks."""

    def __init__(self, prepared: Prepared, out: Path) -> None:
        self.prepared, self.study, self.out = prepared, prepared.study, out
        torch.set_num_threads(self.study.execution.threads)
        torch.set_flush_denormal(True)
        self._banks: dict[str, tuple[Bank, Feed]] = {}
        self._teachers: dict[str, Teacher] = {}

    @cached_property
    def source(self) -> Source:
        return open_images(self.prepared.images) if self.prepared.images else load_source(self.study.data)

    @cached_property
    def there(self) -> Source:
        """The source with its images where the cells train; one object, which a group must share."""
        device = self.prepared.place.device
        return self.source if device == "cpu" else move_source(self.source, device)

    def feeds(self, cells: Sequence[Cell]) -> dict[str, Feed]:
        """Cell id to where its teacher's outputs come from, as the study resolved it; one live pass for all."""
        found: dict[str, Feed] = {}
        live: dict[str, Feed] = {}
        for cell in cells:
            key = taught_by(cell)
            if key is None:
                continue
            if is_live(cell):
                if key not in live:
                    live[key] = self._live_feed(key, cells)
                found[cell.id] = live[key]
            else:
                found[cell.id] = self._bank(key, train_ids(treat_study(self.study, cell.arm), self.source))
        return found

    def _bank(self, teacher: str, ids: torch.Tensor) -> Feed:
        given = self.prepared.teachers[teacher]
        assert given.bank is not None
        if teacher not in self._banks:
            bank = Bank(given.bank, check_hash=False)  # the driver has checked it
            self._banks[teacher] = bank, self.prepared.place.feed(bank, ids)
        bank, feed = self._banks[teacher]
        bank.check_holds(ids)
        return feed

    def _live_feed(self, teacher: str, cells: Sequence[Cell]) -> Feed:
        """Gives all that the teacher has, so that what one cell reads never changes another's last bits."""
        given, source = self.prepared.teachers[teacher], self.source
        if teacher not in self._teachers:
            self._teachers[teacher] = load_teacher(
                teacher,
                given.spec,
                source.num_classes,
                source.channels,
                source.size,
                source.mean,
                source.std,
                given.folder,
            )
        want = {"logits"}
        want |= {"embedding"} if given.shapes.embedding is not None else set()
        want |= {"stages"} if given.shapes.stages else set()
        task, mine = make_task(self.study, source), [cell for cell in cells if taught_by(cell) == teacher]
        for cell in mine:
            want |= make_objective(cell.arm, task).needs.teacher & {"head"}
        seen = treat_study(self.study, mine[0].arm)
        return live_feed(self._teachers[teacher], self.there, seen.views, frozenset(want), train_ids(seen, source))

    def run(self, cell: Cell, on_epoch: OnEpoch | None = None) -> Result:
        """Trains and measures one cell. Raises what broke it."""
        found: list[Result] = []

        def keep(_: Cell, result: Result | None, error: Exception | None) -> None:
            if error is not None:
                raise error
            assert result is not None
            found.append(result)

        self.run_group([cell], keep, on_epoch)
        return found[0]

    def run_group(self, cells: Sequence[Cell], finish: OnFinish, on_epoch: OnEpoch | None = None) -> None:
        """Trains cells that share their batches in lockstep, each resumed from its checkpoint; then measures each.

        Args:
            finish: called once a cell with its result, or with the error that took it out.
        """
        torch.set_num_threads(self.study.execution.threads)
        runs: dict[str, Run] = {}
        feeds = self.feeds(cells)
        ready = []
        for cell in cells:
            try:
                runs[cell.id] = self._set_up(cell, feeds.get(cell.id))
                ready.append(cell)
            except Exception as error:  # a cell that cannot start is reported; its group goes on without it
                if len(cells) > 1 and is_out_of_memory(error):
                    raise
                finish(cell, None, error)
        if not ready:
            return

        def tell(index: int, record: dict[str, Any]) -> None:
            if on_epoch is not None:
                on_epoch(ready[index].id, record["epoch"], runs[ready[index].id].recipe.epochs)

        for cell, outcome in zip(ready, train_group([runs[cell.id] for cell in ready], tell), strict=True):
            if outcome.error is not None:
                finish(cell, None, outcome.error)
                continue
            try:
                run = runs[cell.id]
                run.student = restore_student(run.student, make_treatments(cell.arm))
                result = self._measure(cell, run, outcome.history)
                if cell.arm.balance is not None:
                    result.numbers["weights"] = list(run.objective.weights)
                self._save(cell, run)
            except Exception as error:
                finish(cell, None, error)
            else:
                finish(cell, result, None)

    def _set_up(self, cell: Cell, feed: Feed | None) -> Run:
        study, source, key = treat_study(self.study, cell.arm), self.source, taught_by(cell)
        treatments = make_treatments(cell.arm)
        scene = make_scene(self.study, self.there, cell.student, cell.teacher, self.out, cell.seed)
        run = set_up(
            change_student(make_student(study, cell.student, source, cell.seed), treatments, scene),
            make_objective(cell.arm, make_task(study, source)),
            self.there,
            train_ids(study, source),
            source.splits["tune"],
            study.views,
            study.recipe,
            cell.seed,
            feed=feed,
            teacher=self.prepared.teachers[key].shapes if key is not None else None,
            label=f"student {cell.student!r}",
            checkpoint=checkpoint_of(self.out, cell.id),
            key=cell.id,
        )
        attach_all(run, treatments, scene)
        if cell.arm.balance is not None:
            run.objective.weights = balance(run, cell.arm.balance)
        if "compiled" in cell.content:
            run.tapped = Compiled(run.tapped)
        _ = run.saved  # read here: a damaged checkpoint costs this cell, not its group
        return run

    def _save(self, cell: Cell, run: Run) -> None:
        state = {
            k: v.detach().cpu().contiguous(memory_format=torch.contiguous_format)
            for k, v in run.student.state_dict().items()
        }
        write_atomic(self.out / "students" / f"{cell.id}.safetensors", lambda part: save_file(state, part))

    def _measure(self, cell: Cell, run: Run, curve: list[dict[str, Any]]) -> Result:
        study, source = self.study, self.source
        metric = run.objective.task.metric
        numbers: dict[str, Any] = {"seconds": round(sum(record["seconds"] for record in curve), 3)}
        predictions = {}
        for split in ("tune", "test") if cell.content["tested"] else ("tune",):
            ids = source.splits[split]
            found = Predictions(*predict(predict_logits(run, ids)))
            labels = source.labels[ids].numpy()
            numbers[split] = evaluate_metric(metric, found.predicted, found.margin, labels)
            predictions[(split, "fp32")] = found
            numbers |= other_metrics(study, split, found, labels)
            told, answers = score_sensors(study, run, split)
            numbers, predictions = numbers | told, predictions | answers
        run.student.cpu()  # what follows is done on the host
        shape = input_shape(source, study.views)
        numbers |= {"parameters": count_parameters(run.student), "macs": count_macs(run.student, shape)}
        if study.int8.enabled:
            try:
                told, quantised = self._quantise(cell, run, predictions)
            except AlambicError as error:  # the training is paid for: the row keeps it and says why int8 is missing
                numbers["int8_error"] = one_line(error)
            else:
                numbers |= told
                predictions |= quantised
        numbers["rss_mb"] = round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
        return Result(numbers, curve, predictions)

    def _quantise(
        self, cell: Cell, run: Run, fp32: dict[tuple[str, str], Predictions]
    ) -> tuple[dict[str, Any], dict[tuple[str, str], Predictions]]:
        from alambic.deploy.measure import predict_onnx
        from alambic.study.artefact import CleanImages, quantise_cell
        from alambic.study.device import measure_device

        study, source = self.study, self.source
        started = time.perf_counter()
        split = "test" if ("test", "fp32") in fp32 else "tune"
        with tempfile.TemporaryDirectory() as folder:
            made = quantise_cell(study, source, cell, run.student, Path(folder))
            ids = source.splits[split]
            labels, metric = source.labels[ids].numpy(), run.objective.task.metric
            images = CleanImages(study, source, cell, ids)
            found = Predictions(*predict(predict_onnx(made.onnx_int8, images)))
            both = {"fp32": fp32[(split, "fp32")], "int8": found}
            wide = study.purpose != "demo"  # other arithmetics take seconds a cell
            elsewhere, seen = score_sensors_int8(study, source, cell, made.onnx_int8, split, metric)
            on_device, answers = measure_device(made, images, labels, both, split, metric, study.chip, wide)
            if study.int8.equalise:
                plain = quantise_cell(study, source, cell, run.student, Path(folder) / "plain", equalise=False)
                as_is = predict(predict_onnx(plain.onnx_int8, images))
                on_device[f"{split}_int8_as_is"] = evaluate_metric(metric, *as_is, labels)
                on_device["widest_channel"] = max((pair.before for pair in made.equalised), default=None)
        numbers = {
            f"{split}_int8": evaluate_metric(metric, found.predicted, found.margin, labels),
            "agreement_int8": float((found.predicted == fp32[(split, "fp32")].predicted).mean()),
            "weight_bytes": made.weight_bytes,
            "peak_activation_bytes": made.peak_activation_bytes,
            "arena_bytes": made.arena_bytes,
            "peak_layer": made.peak_layer,
            "calibration_hash": made.calibration_hash,
            "calibration_size": made.calibration_size,
            "int8_seconds": round(time.perf_counter() - started, 3),
        }
        numbers |= other_metrics(study, split, found, labels, "_int8")
        return numbers | elsewhere | on_device, {(split, "int8"): found, **seen, **answers}


def describe_failure(error: BaseException) -> str:
    """One line that says why a cell failed."""
    if isinstance(error, AlambicError):
        return one_line(error)
    if is_out_of_memory(error):
        return one_line(f"expected memory for this cell alone, got: {error}; try a smaller recipe.batch, or fewer jobs")
    return one_line(f"{type(error).__name__}: {error}")
