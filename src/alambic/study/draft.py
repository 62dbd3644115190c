"""A study file from what a person names, cut to a budget, and read as it will be before it is written."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

from alambic.errors import AlambicError
from alambic.study import fits, plan
from alambic.study.compose import Request, compose_study
from alambic.study.follow import Say, tell_span
from alambic.study.plan import BETTER_TEACHERS, Plan
from alambic.study.study_file import Study, read_study


def read_draft(path: Path, text: str) -> Study:
    """The study of a text that is not written yet.

    Raises AlambicError that names the key instead of a line of a file that nobody will find.
    """
    try:
        return read_study(path, text)
    except AlambicError as error:
        place = re.match(rf"{re.escape(str(path))}(?::\d+)?(?: \(key ([^)]*)\))?: ", str(error))
        if place is None:
            raise
        key = f" give {place[1]}" if place[1] else ""
        raise AlambicError(f"these options{key}: {str(error)[place.end() :]}; {path} was not written") from error


def draft_study(request: Request, path: Path, budget: float | None, keep_views: bool, say: Say) -> str:
    """The text of a study that can be planned here; where it is longer than ``budget`` seconds, with fewer epochs.

    Teachers and students are cut in proportion, and views to the epochs unless they are to be kept: an epoch shows one.
    What is over the budget still is said, with what to cut. Raises AlambicError where the study could not run.
    """
    text = compose_study(request, path.parent)
    study = read_draft(path, text)
    for line in fits.check_chip(study):
        say(line)
    found = plan.plan_study(study)
    if budget is None or found.total <= budget:
        return text
    cut = cut_request(request, found, budget, keep_views)
    text = compose_study(cut, path.parent)
    taught = f", those of teachers to {cut.teacher_epochs}" if found.training_seconds else ""
    fewer = f", views to {cut.views}" if cut.views != request.views else ""
    say(f"{request.epochs} epochs would take {tell_span(found.total)} here: cut to {cut.epochs}{taught}{fewer}")
    now = plan.plan_study(read_draft(path, text))
    say(f"the study as written would take {tell_span(now.total)} here")
    advice = now.advice(budget)
    if advice:
        say(advice)
    elif now.training_seconds > now.total / 2:
        say(f"most of it is the teachers' own training: {BETTER_TEACHERS} would leave more epochs to the students")
    return text


def cut_request(request: Request, found: Plan, budget: float, keep_views: bool) -> Request:
    """The request with the most epochs whose plan fits the budget, at least one."""
    students = found.total - found.training_seconds - found.bank_seconds

    def shorten(epochs: int) -> Request:
        teachers = max(1, request.teacher_epochs * epochs // request.epochs)
        views = request.views if keep_views else min(request.views, epochs)
        return dataclasses.replace(request, epochs=epochs, teacher_epochs=teachers, views=views)

    def estimate(cut: Request) -> float:
        training = found.training_seconds * cut.teacher_epochs / request.teacher_epochs
        banks = found.bank_seconds * cut.views / request.views if request.views else 0.0
        return students * cut.epochs / request.epochs + training + banks

    fitting = (cut for epochs in range(request.epochs, 0, -1) if estimate(cut := shorten(epochs)) <= budget)
    return next(fitting, shorten(1))
