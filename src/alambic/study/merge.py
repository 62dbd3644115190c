"""Teachers of more classes than the task: merged as the data's class map merges them, and scored again."""

from __future__ import annotations

import dataclasses

from alambic.data import Source
from alambic.models.grouped import group_classes
from alambic.models.teacher import Teacher
from alambic.study.content import make_task
from alambic.study.study_file import Study
from alambic.study.treat import tune_logits
from alambic.training.task import evaluate_metric, predict


def merge_teacher(teacher: Teacher, study: Study, source: Source) -> Teacher:
    """The teacher with its classes merged where it was trained on this very split before the class map; else itself.

    Its card gets the tune score of the merged classes by the task's metric: that on the old classes says little.
    """
    if not source.merged or teacher.spec.split_hash != source.origin:
        return teacher
    made = group_classes(teacher, source.merged)
    ids = source.splits["tune"]
    predicted, margin = predict(tune_logits(made, source, ids, study.views).numpy())
    metric = make_task(study, source).metric
    score = evaluate_metric(metric, predicted, margin, source.labels[ids].numpy())
    return dataclasses.replace(made, card={**made.card, "tune": score})
