"""KD++: the norm and the direction of the student's embedding, the direction being the teacher's class mean."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from alambic.errors import AlambicError
from alambic.functional.prob import kl_divergence, soft_targets
from alambic.functional.relation import to_unit
from alambic.functional.schedule import ramp
from alambic.methods.base import Batch, Method, Needs, Paper, Parts, Specs
from alambic.models.feature import Outputs


def kdpp_loss(
    student: Tensor, teacher: Tensor, labels: Tensor | None = None, *, class_means: Tensor | None = None
) -> Tensor:
    """1 - s·e_y / max(|s|, |t|), e_y the unit vector towards the teacher's mean embedding of class y.

    Args:
        student: B x D, already projected. teacher: B x D.
        labels: int64 B (-1 gives 0), or float targets B x classes (mixed labels: the mean of their directions).
        class_means: classes x D; None takes the means of this batch's teacher embeddings (0 for absent classes).

    Returns: B values in [0, 2].
    """
    assert labels is not None
    if labels.ndim == 2:
        targets = labels
    else:
        # labels alone do not tell how many classes there are; a batch has at most len(labels) that matter
        classes = len(class_means) if class_means is not None else max(int(labels.max()) + 1, 1)
        targets = soft_targets(labels, classes)
    if class_means is None:
        class_means = targets.to(teacher.dtype).T @ teacher / targets.sum(0).clamp_min(1e-12)[:, None]
    direction = targets.to(student.dtype) @ to_unit(class_means)
    longest = torch.maximum(student.norm(dim=1), teacher.norm(dim=1))
    return targets.sum(1) - (student * direction).sum(1) / longest.clamp_min(1e-12)


class KDPlusPlus(Method):
    """Improving Knowledge Distillation via Regularizing Feature Norm and Direction, Wang et al., 2023.

    Direction: along the teacher's class mean. Norm: the loss still falls while the student's embedding is shorter than
    the teacher's. The authors tune both weights per pair: kl_weight 1 to 4, nd_weight .5 to 4.
    """

    paper = Paper(
        "Improving Knowledge Distillation via Regularizing Feature Norm and Direction",
        "Wang, Cheng, Duan, Wang, Feng, Kong",
        "arXiv",
        2023,
        "2305.17007",
        "WangYZ1608/Knowledge-Distillation-via-ND",
    )
    formula = "L = CE + min(1, 12 progress) T^2 KL[p_t, p_s] + (1 - f_s.e_y / max(|f_s|, |f_t|)), T = 4"
    family = "embedding"
    needs = Needs.of("logits embedding", "logits embedding", labels=True, train_stats=True)
    warms_up = True
    fidelity = "A"
    differences = (
        "embeddings of equal width need no projector; else the authors' BatchNorm, dropout .5 and linear layer; mixed "
        "images take the mean of two directions (the authors do not mix); weights and warm-up are those of the CIFAR "
        "files, ImageNet's, whose scores stand below, weigh 1 to 4"
    )
    evidence = (
        "ImageNet to ResNet18 (69.76): from ViT-S 71.46 (KD 71.32), from ViT-B 71.84 (KD 71.63), from ResNet34 71.98 "
        "(KD 70.66) [R]"
    )
    stochastic = True
    degenerate = "the softmax of one logit is always 1, so its divergence is 0"
    at_equal = "none, because the target is the teacher's class mean, not its embedding of the image"
    pure = staticmethod(kdpp_loss)
    pure_input = "embedding"

    kl_weight: float = 1.0
    nd_weight: float = 1.0
    temperature: float = 4.0
    warm_up: float = 20 / 240
    dropout: float = 0.5

    class_means: Tensor

    def check(self, specs: Specs) -> None:
        super().check(specs)
        if specs.class_means is None:
            raise AlambicError(
                "method 'kdpp' expected the teacher's mean embedding of each class, got none, because its targets are "
                "directions; try a live teacher or a bank of embeddings with labels of the train split"
            )

    def build(self, specs: Specs, generator: torch.Generator) -> None:
        inputs, outputs = specs.student.embedding, specs.teacher.embedding
        assert inputs is not None
        assert outputs is not None
        assert specs.class_means is not None
        self.register_buffer("class_means", specs.class_means.detach().clone())
        self.projector: nn.Module = nn.Identity()
        if inputs != outputs:
            layer = nn.Linear(inputs, outputs)
            nn.init.zeros_(layer.bias)
            self.projector = nn.Sequential(nn.BatchNorm1d(inputs), nn.Dropout(self.dropout), layer)

    def loss(self, s: Outputs, t: Outputs, batch: Batch, progress: float) -> Parts:
        logits = s.need_logits()
        targets = soft_targets(batch.labels, logits.shape[1], batch.partner, batch.lam)
        direction = kdpp_loss(
            self.projector(s.need_embedding()), t.need_embedding(), targets, class_means=self.class_means
        )
        divergence = self.temperature**2 * kl_divergence(logits, t.need_logits(), self.temperature)
        return {"kl": ramp(progress, self.warm_up) * self.kl_weight * divergence, "nd": self.nd_weight * direction}
