"""Control of unlabelled images: the labelled ones alone, for as many steps."""

from __future__ import annotations

from dataclasses import replace

from alambic.data import DataSpec, ViewSpec
from alambic.errors import AlambicError
from alambic.methods.base import Paper
from alambic.treatments.base import Treatment


class LabelledOnly(Treatment):
    """What the unlabelled images of a study are worth: an arm without them, the labelled ones seen more often.

    The study's ``data.train`` images of which ``data.labelled`` have a label become those labelled ones; epochs grow by
    the same factor, so that both arms take as many steps on as many images. This is also the plain student to compare
    with: among unlabelled images cross-entropy sees a small share of each batch.
    """

    paper = Paper("none", "", "", 0)
    formula = "train = labelled, epochs x train / labelled"
    fidelity = "A"
    kind = "control"

    def data(self, data: DataSpec) -> DataSpec:
        if data.labelled is None or data.train is None or data.train < data.labelled:
            raise AlambicError(
                "treatment 'labelled_only' expected a study with data.labelled and at least as many data.train, got "
                f"labelled = {data.labelled} and train = {data.train}, because it takes the labelled images of the "
                "study's; try labelled = 500 and train = 10000 in [data]"
            )
        return replace(data, train=data.labelled)

    def views(self, views: ViewSpec) -> ViewSpec:
        if views.mix != "none":
            raise AlambicError(
                f"treatment 'labelled_only' expected views that mix no images, got mix = {views.mix!r}, because the "
                "partners in a bank are drawn from the study's images, unlabelled ones too; try mix = 'none'"
            )
        return views
