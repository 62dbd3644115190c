"""Do the students of a study fit its chip: asked before anything is trained."""

from __future__ import annotations

from alambic.data import load_source
from alambic.deploy.fit import draft_fit, explain_fit, explain_widest, find_widest
from alambic.errors import AlambicError
from alambic.models.own_code import is_own_code
from alambic.study.content import make_student, make_task
from alambic.study.study_file import Study
from alambic.training.setup import input_shape


def check_chip(study: Study) -> list[str]:
    """A sentence for each student; none without a chip.

    Raises AlambicError where a student does not fit: by how many bytes, because of which layer, and which width would.
    """
    if study.chip is None:
        return []
    source = load_source(study.data)
    shape, classes = input_shape(source, study.views), make_task(study, source).classes
    lines = []
    for name in study.students:
        fit = draft_fit(make_student(study, name, source, 0), shape, study.chip)
        said = explain_fit(fit)
        if fit.fits is False:
            wider = ""
            if not is_own_code(name):
                wider = f"; {explain_widest(find_widest(name, shape, classes, study.chip), study.chip)}"
            raise AlambicError(
                f"student {name!r}: expected one that fits {study.chip.name}, got: {'; '.join(said[1:])}{wider}; try a "
                "narrower student or another --chip"
            )
        lines.append(f"{name} on {'; '.join(said)}")
    return lines
