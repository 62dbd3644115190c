"""One cell, trained and measured in a worker process. Workers never write the ledger."""

from __future__ import annotations

import dataclasses
import resource
import tempfile
import time
from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file

from alambic.data import Source, load_source, render_clean
from alambic.errors import AlambicError
from alambic.files import write_atomic
from alambic.models.students import count_macs, count_parameters
from alambic.models.teachers import Teacher, load_teacher
from alambic.study.cell import Cell
from alambic.study.content import make_objective, make_student, make_task, train_ids
from alambic.study.ledger import Predictions
from alambic.study.prepare import Prepared
from alambic.training.bank import Bank
from alambic.training.feed import Feed
from alambic.training.loop import Run, predict_logits, train
from alambic.training.recipe import stream
from alambic.training.setup import input_channels, live_feed, set_up
from alambic.training.task import evaluate_metric, predict

OnEpoch = Callable[[str, int, int], None]  # cell id, epoch, epochs


@dataclasses.dataclass
class Result:
    """What a worker hands to the driver."""

    numbers: dict[str, Any]
    curve: list[dict[str, Any]]
    predictions: dict[tuple[str, str], Predictions]


class Workshop:
    """What a worker process keeps between cells: images, teachers, opened banks."""

    def __init__(self, prepared: Prepared, out: Path) -> None:
        self.prepared, self.study, self.out = prepared, prepared.study, out
        torch.set_num_threads(self.study.execution.threads)
        torch.set_flush_denormal(True)
        self._banks: dict[str, Bank] = {}
        self._teachers: dict[str, Teacher] = {}

    @cached_property
    def source(self) -> Source:
        return load_source(self.study.data)

    def feed(self, cell: Cell, want: frozenset[str]) -> Feed | None:
        """The teacher's outputs from where the study resolved them."""
        if cell.teacher is None:
            return None
        given = self.prepared.teachers[cell.teacher]
        if all(text.startswith("bank") for text in cell.content["sources"].values()):
            assert given.bank is not None
            if cell.teacher not in self._banks:
                self._banks[cell.teacher] = Bank(given.bank, check_hash=False)  # the driver has checked it
            return self._banks[cell.teacher]
        if cell.teacher not in self._teachers:
            s = self.source
            self._teachers[cell.teacher] = load_teacher(
                cell.teacher, given.spec, s.num_classes, s.channels, s.size, s.mean, s.std, given.folder
            )
        ids = train_ids(self.study, self.source)
        return live_feed(self._teachers[cell.teacher], self.source, self.study.views, want, ids)

    def run(self, cell: Cell, on_epoch: OnEpoch | None = None) -> Result:
        """Trains and measures one cell; resumes it where a killed process left a checkpoint."""
        study, source = self.study, self.source
        torch.set_num_threads(study.execution.threads)
        objective = make_objective(cell.arm, make_task(study, source))
        student = make_student(study, cell.student, source, cell.seed)
        teacher = self.prepared.teachers[cell.teacher].shapes if cell.teacher is not None else None
        checkpoint = self.out / "checkpoints" / f"{cell.id}.checkpoint"
        run = set_up(
            student,
            objective,
            source,
            train_ids(study, source),
            source.splits["tune"],
            study.views,
            study.recipe,
            cell.seed,
            feed=self.feed(cell, objective.needs.teacher),
            teacher=teacher,
            label=f"student {cell.student!r}",
            checkpoint=checkpoint,
            key=cell.id,
        )
        epochs = study.recipe.epochs
        curve = train(run, lambda r: on_epoch(cell.id, r["epoch"], epochs) if on_epoch else None)
        result = self._measure(run, curve, bool(cell.content["tested"]))
        weights = self.out / "students" / f"{cell.id}.safetensors"
        state = {
            k: v.detach().cpu().contiguous(memory_format=torch.contiguous_format)
            for k, v in student.state_dict().items()
        }
        write_atomic(weights, lambda part: save_file(state, part))
        checkpoint.unlink(missing_ok=True)
        return result

    def _measure(self, run: Run, curve: list[dict[str, Any]], tested: bool) -> Result:
        study, source = self.study, self.source
        metric = run.objective.task.metric
        shape = (input_channels(source, study.views), *run.size)
        numbers: dict[str, Any] = {
            "seconds": round(sum(record["seconds"] for record in curve), 3),
            "parameters": count_parameters(run.student),
            "macs": count_macs(run.student, shape),
        }
        predictions = {}
        for split in ("tune", "test") if tested else ("tune",):
            ids = source.splits[split]
            found = Predictions(*predict(predict_logits(run, ids)))
            labels = source.labels[ids].numpy()
            numbers[split] = evaluate_metric(metric, found.predicted, found.margin, labels)
            predictions[(split, "fp32")] = found
        if study.int8.enabled:
            try:
                told, quantised = self._quantise(run, predictions)
            except AlambicError as error:  # the training is paid for: the row keeps it and says why int8 is missing
                numbers["int8_error"] = str(error)
            else:
                numbers |= told
                predictions |= quantised
        numbers["rss_mb"] = round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
        return Result(numbers, curve, predictions)

    def _quantise(
        self, run: Run, fp32: dict[tuple[str, str], Predictions]
    ) -> tuple[dict[str, Any], dict[tuple[str, str], Predictions]]:
        from alambic.deploy.int8 import quantize_student
        from alambic.deploy.measure import predict_onnx

        study, source, spec = self.study, self.source, self.study.int8
        started = time.perf_counter()
        order = torch.randperm(len(run.ids), generator=stream(0, "calibration"))
        chosen = run.ids[order[: spec.calibration_images]]

        def clean(ids: torch.Tensor) -> torch.Tensor:
            return run.normalise(render_clean(source.images, ids, study.views, "student", run.size))

        split = "test" if ("test", "fp32") in fp32 else "tune"
        with tempfile.TemporaryDirectory() as folder:
            made = quantize_student(
                run.student,
                clean(chosen),
                (int(clean(chosen[:1]).shape[1]), *run.size),
                folder,
                spec.per_channel,
                spec.calibration,
            )
            ids = source.splits[split]
            logits = predict_onnx(made.onnx_int8, clean(ids).numpy())
        found = Predictions(*predict(logits))
        labels = source.labels[ids].numpy()
        numbers = {
            f"{split}_int8": evaluate_metric(run.objective.task.metric, found.predicted, found.margin, labels),
            "agreement_int8": float((found.predicted == fp32[(split, "fp32")].predicted).mean()),
            "weight_bytes": made.weight_bytes,
            "peak_activation_bytes": made.peak_activation_bytes,
            "arena_bytes": made.arena_bytes,
            "peak_layer": made.peak_layer,
            "calibration_hash": made.calibration_hash,
            "int8_seconds": round(time.perf_counter() - started, 3),
        }
        return numbers, {(split, "int8"): found}


def describe_failure(error: BaseException) -> str:
    """One line that says why a cell failed."""
    if isinstance(error, AlambicError):
        return str(error)
    return f"{type(error).__name__}: {error}"
