"""What the judge found of one score, and the bar."""

from __future__ import annotations

import math
from dataclasses import dataclass

NEAR = 0.1  # mean Spearman with permuted teachers up to which it counts as none


@dataclass(frozen=True)
class Verdict:
    """What the judge found of one estimator; means over blocks.

    Attributes:
        blocks, teachers: how many it was judged on.
        spearman, low, high: with its 95 % interval by bootstrap over teachers. kendall: tau b.
        visible: smallest |Spearman| that differs from chance at 5 % with these teachers and blocks.
        p: two-sided, by permuting teachers. p_holm: adjusted over the survey's estimators, None for the others.
        null: mean Spearman with permuted teachers; must be near 0. Of a fitted score all three are of its model fitted
            anew to each permutation, see ``alambic.suitability.fitted.permute_fitted``.
        ceiling: highest Spearman that the noise of the gains allows (NaN with one seed). partial: Spearman cleared of
            accuracy and size (NaN with few teachers).
        regret: points lost by taking its first teacher instead of the best. regret_accuracy, regret_pilot: the same
            for accuracy and for the pilot (NaN where not there). All three are of the same blocks and teachers: those
            that have accuracy and a pilot too, where any have. regret_others: of a fitted score, the least that
            ``alambic.suitability.others`` loses there: what the same teachers gave other students; NaN for the rest,
            which saw no gains.
        top3: share of blocks whose best teacher is among its first three.
        above_accuracy: bounds of its Spearman minus accuracy's, at 95 %. surely_above: the lower one at 95 % over all
            estimators of the survey together (Bonferroni), since whoever names the best has picked it among them.
        without_teacher, without_student: lowest and highest Spearman when one is left out.
        nasty_last: share of blocks in which it puts the nasty teacher last; NaN without one.
    """

    name: str
    blocks: int
    teachers: int
    spearman: float
    low: float
    high: float
    kendall: float
    visible: float
    p: float
    null: float
    ceiling: float
    partial: float
    regret: float
    regret_accuracy: float
    regret_pilot: float
    regret_others: float
    top3: float
    above_accuracy: tuple[float, float]
    without_teacher: tuple[float, float]
    without_student: tuple[float, float]
    surely_above: float = math.nan
    nasty_last: float = math.nan
    p_holm: float | None = None

    @property
    def passes(self) -> bool:
        """The bar: at most half the regret of choosing by accuracy, and no more than a pilot's where there is one.

        Where accuracy loses nothing, nothing can be halved. A fitted score must also lose less than the gains with
        other students that it was fitted to, taken as they are.
        """
        half = self.regret_accuracy > 0 and self.regret <= self.regret_accuracy / 2
        return half and not self.regret > self.regret_pilot and not self.regret > self.regret_others - 1e-9

    @property
    def centred(self) -> bool:
        """Whether permuted teachers give no correlation, as they must: the control of the judge itself."""
        return abs(self.null) <= NEAR

    @property
    def beats_accuracy(self) -> bool:
        """Whether it correlates more than accuracy, beyond doubt, all estimators counted."""
        return self.surely_above > 0

    @property
    def restates_accuracy(self) -> bool:
        """Whether it ranked the teachers as accuracy did, whichever of them were drawn: it says nothing more."""
        return self.name != "accuracy" and self.above_accuracy == (0.0, 0.0)

    @property
    def trails_accuracy(self) -> bool:
        """Whether it correlates less than accuracy, beyond doubt."""
        return self.above_accuracy[1] < 0
