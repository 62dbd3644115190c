"""SDD: logits of the regions of the last map, those that complement the whole counted twice."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from alambic.errors import AlambicError
from alambic.functional.prob import kl_of_logs
from alambic.methods.base import Batch, Method, Needs, Paper, Parts, Specs
from alambic.models.feature import Outputs

GRIDS = (1, 2, 4)


def sdd_loss(
    student: Tensor,
    teacher: Tensor,
    labels: Tensor | None = None,
    *,
    temperature: float = 4.0,
    complement: float = 2.0,
) -> Tensor:
    """Mean over regions of w T² KL(p_t^T || p_s^T), w = ``complement`` where region and whole disagree on correctness.

    Args:
        student, teacher: logits B x C x R, region 0 is the whole image.
        labels: int64 B; without a label (-1) or labels every w is 1.

    Returns: B values >= 0.
    """
    divergence = region_divergence(student, teacher, temperature)
    weight = torch.ones_like(divergence) if labels is None else region_weight(teacher, labels, complement)
    return (weight * divergence).mean(1)


def region_divergence(student: Tensor, teacher: Tensor, temperature: float) -> Tensor:
    """T² KL of each region's logits; B x C x R -> B x R."""
    log_s, log_t = (F.log_softmax(x / temperature, dim=1) for x in (student, teacher))
    return temperature**2 * kl_of_logs(log_s, log_t)


def region_weight(teacher: Tensor, labels: Tensor, complement: float) -> Tensor:
    """B x R: ``complement`` where the teacher is right on the region and wrong on the whole or the reverse, else 1."""
    right = teacher.argmax(1) == labels[:, None]
    return 1 + (complement - 1) * (right != right[:, :1]).to(teacher.dtype)


def region_logits(outputs: Outputs, grids: tuple[int, ...]) -> Tensor:
    """The classifier on the last map, average-pooled to each grid: B x C x R with R the sum of the grids' cells."""
    head, last = outputs.need_head(), outputs.stages[-1].as_map()
    cells = torch.cat([F.adaptive_avg_pool2d(last, grid).flatten(2) for grid in grids], dim=2)
    return torch.einsum("cd,bdr->bcr", head.weight.float(), cells) + head.bias.float()[:, None]


class SDD(Method):
    """Scale Decoupled Distillation, Wei et al., CVPR 2024: SD-KD.

    A region's weight reads the label only to tell whether the teacher is right there and on the whole.
    """

    paper = Paper(
        "Scale Decoupled Distillation",
        "Wei, Luo, Luo",
        "CVPR",
        2024,
        "2403.13512",
        "shicaiwei123/SDD-CVPR2024",
    )
    formula = (
        "L = .1 CE + .9 mean_r w_r T^2 KL[p_t,r, p_s,r], r over the cells of grids 1, 2 and 4, w_r = 2 where the "
        "teacher is right on r and wrong on the whole or the reverse, else 1, T = 4"
    )
    family = "map"
    needs = Needs.of("stages head", "stages head", labels=True)
    fidelity = "A"
    differences = (
        "grids finer than either map are left out; each grid is pooled from the map itself, the authors pool 2 and 1 "
        "from 4 (equal where 4 divides the map); unlabelled images weigh every region 1; a norm between "
        "last map and classifier (ConvNeXt, Swin) is left out, so that region 0 is not the teacher's own answer"
    )
    evidence = "CIFAR-100, CNN pairs: +.3 to +2 over KD, DKD and NKD [M]; no pair across architectures"
    degenerate = "the softmax of one logit is always 1, so its divergence is 0"
    pure = staticmethod(sdd_loss)
    pure_input = "map"

    temperature: float = 4.0
    complement: float = 2.0
    weight: float = 0.9
    ce_weight: float = 0.1

    def check(self, specs: Specs) -> None:
        super().check(specs)
        for side, spec in (("student", specs.student), ("teacher", specs.teacher)):
            last = spec.stages[-1]
            if last.form != "map" or last.channels != spec.embedding or spec.classes != specs.classes:
                raise AlambicError(
                    f"method 'sdd' expected a {side} whose classifier reads the mean of its last map and gives "
                    f"{specs.classes} classes, got {last.form} with {last.channels} channels, an embedding of "
                    f"{spec.embedding} and {spec.classes} classes, because it classifies regions of that map; "
                    "try kd or ofa"
                )

    def build(self, specs: Specs, generator: torch.Generator) -> None:
        sizes = [min(spec.stages[-1].size or (1, 1)) for spec in (specs.student, specs.teacher)]
        self.grids = tuple(grid for grid in GRIDS if grid <= min(sizes))

    def loss(self, s: Outputs, t: Outputs, batch: Batch, progress: float) -> Parts:
        student, teacher = region_logits(s, self.grids), region_logits(t, self.grids).detach()
        divergence = region_divergence(student, teacher, self.temperature)
        weight = region_weight(teacher, batch.labels, self.complement)
        partner, lam = batch.partner, batch.lam
        if partner is not None and lam is not None:
            other = region_weight(teacher, partner, self.complement)
            weight = lam[:, None] * weight + (1 - lam[:, None]) * other
        return {"sdd": self.weight * (weight * divergence).mean(1)}
