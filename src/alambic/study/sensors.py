"""A trained student under other sensors than the one it was trained behind, and by other metrics than the task's.

Names in the ledger: ``tune_on_NAME`` and ``test_on_NAME`` for the score behind the sensor NAME (its predictions under
the split of that name), ``..._METRIC`` for another metric, ``..._int8`` for the quantised student.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np

from alambic.data import Source
from alambic.study.artefact import CleanImages
from alambic.study.cell import Cell
from alambic.study.ledger import Predictions
from alambic.study.specs import behind
from alambic.study.study_file import Study
from alambic.training.loop import Run, predict_logits
from alambic.training.setup import input_shape
from alambic.training.task import Metric, evaluate_metric, predict

Scored = tuple[dict[str, Any], dict[tuple[str, str], Predictions]]


def other_metrics(
    study: Study, name: str, found: Predictions, labels: np.ndarray[Any, Any], suffix: str = ""
) -> dict[str, Any]:
    """The metrics of ``task.also`` of some predictions, by their names in the ledger."""
    return {
        f"{name}_{metric}{suffix}": evaluate_metric(metric, found.predicted, found.margin, labels)
        for metric in study.task.also
    }


def score_sensors(study: Study, run: Run, split: str) -> Scored:
    """The student in full precision behind each of the study's test sensors, on one split."""
    numbers: dict[str, Any] = {}
    predictions: dict[tuple[str, str], Predictions] = {}
    ids, metric = run.source.splits[split], run.objective.task.metric
    labels = run.source.labels[ids].cpu().numpy()
    for title, sensor in study.test_sensors.items():
        name = f"{split}_on_{title}"
        found = Predictions(*predict(predict_logits(dataclasses.replace(run, views=behind(run.views, sensor)), ids)))
        numbers[name] = evaluate_metric(metric, found.predicted, found.margin, labels)
        numbers |= other_metrics(study, name, found, labels)
        predictions[(name, "fp32")] = found
    return numbers, predictions


def score_sensors_int8(study: Study, source: Source, cell: Cell, model: Path, split: str, metric: Metric) -> Scored:
    """The quantised student, an ONNX file, behind each of the study's test sensors, on one split."""
    from alambic.deploy.measure import predict_onnx

    numbers: dict[str, Any] = {}
    predictions: dict[tuple[str, str], Predictions] = {}
    ids = source.splits[split]
    labels, size = source.labels[ids].numpy(), input_shape(source, study.views)[1:]
    for title, sensor in study.test_sensors.items():
        name = f"{split}_on_{title}"
        seen = dataclasses.replace(study, views=behind(study.views, sensor))
        found = Predictions(*predict(predict_onnx(model, CleanImages(seen, source, cell, ids, size))))
        numbers[f"{name}_int8"] = evaluate_metric(metric, found.predicted, found.margin, labels)
        numbers |= other_metrics(study, name, found, labels, "_int8")
        predictions[(name, "int8")] = found
    return numbers, predictions
