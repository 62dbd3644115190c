"""MLDR-KD: relations between classes and between samples, on the logits of every stage and of their fusion."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from alambic.functional.prob import kl_divergence, kl_of_logs
from alambic.methods.base import Batch, Method, Needs, Paper, Parts, Specs
from alambic.models.feature import Outputs
from alambic.models.projector import exit_halvings, exit_trunk, init_trunc_normal


def mldr_kd_loss(
    student: Tensor, teacher: Tensor, labels: Tensor | None = None, *, alpha: float = 2.0, temperature: float = 1.0
) -> Tensor:
    """Relations between classes + relations between samples + alpha KL, at a temperature, not scaled by T².

    A sample's class relation is the matrix z_b z_b^T / sqrt(C), a class's sample relation the B x B matrix
    z_c z_c^T / sqrt(C). Each column becomes a distribution by softmax, and columns are compared by KL.

    Args:
        student, teacher: logits B x C.

    Returns: B values >= 0 whose mean is the authors' loss; a sample's relations to the batch are its own column.
    """
    z_s, z_t = student / temperature, teacher / temperature
    scale = student.shape[1] ** -0.5
    between_classes = relation_kl(z_s, z_t, scale).mean(1)
    between_samples = relation_kl(z_s.T, z_t.T, scale).mean(0)
    return between_classes + between_samples + alpha * kl_divergence(student, teacher, temperature)


def relation_kl(student: Tensor, teacher: Tensor, scale: float) -> Tensor:
    """KL between the columns of ``scale`` x x^T for each row x of N x K; N x K values, one a column."""
    log_s, log_t = (F.log_softmax(scale * x[:, :, None] * x[:, None, :], dim=1) for x in (student, teacher))
    return kl_of_logs(log_s, log_t)


class MLDRKD(Method):
    """Multi-Level Decoupled Relational Distillation for Heterogeneous Architectures, Yang et al., 2025.

    The matrices take B C² and C B² numbers per term: with 1000 classes and a batch of 128, .6 GB each.
    """

    paper = Paper(
        "Multi-Level Decoupled Relational Distillation for Heterogeneous Architectures",
        "Yang, Ye, Lin, Li, Wen, Hao, Chen",
        "",
        2025,
        "2502.06189",
        "Ethan-Yang02/MLDR-KD",
    )
    formula = (
        "L = CE + l(z_s) + sum_i l(g_i(F_s^i)) + l(sum_i w_i g_i(F_s^i)), w = softmax over stages of an MLP, "
        "l = class relations + sample relations + 2 KL"
    )
    family = "logit"
    needs = Needs.of("logits stages", "logits")
    fidelity = "A"
    differences = (
        "an exit has as many stride-2 blocks as its map can still be halved above 2x2; the last exit's convolution has "
        "a bias; the authors smooth the labels of cross-entropy by .1"
    )
    evidence = "CIFAR-100, Swin-T to ResNet18 81.56, alone 74.01 [R]; up to +4.86 over the best earlier method [A]"
    degenerate = "the softmax of one logit is always 1, so two of its three terms are 0"
    pure = staticmethod(mldr_kd_loss)
    pure_input = "logits"

    alpha: float = 2.0
    temperature: float = 1.0
    logit_weight: float = 1.0
    stage_weight: float = 1.0
    fused_weight: float = 1.0

    def build(self, specs: Specs, generator: torch.Generator) -> None:
        stages = specs.student.stages
        width = max(specs.teacher.embedding or stages[-1].channels, specs.student.embedding or 0)
        self.trunks = nn.ModuleList(
            exit_trunk(stage, halvings, width) for stage, halvings in zip(stages, exit_halvings(stages), strict=True)
        )
        self.heads = nn.ModuleList(nn.Linear(width, specs.classes) for _ in stages)
        self.gate = nn.Sequential(
            nn.Linear(width, 4 * specs.classes), nn.GELU(), nn.Linear(4 * specs.classes, specs.classes)
        )
        self.heads.apply(init_trunc_normal)
        self.gate.apply(init_trunc_normal)

    def loss(self, s: Outputs, t: Outputs, batch: Batch, progress: float) -> Parts:
        teacher = t.need_logits()

        def term(logits: Tensor) -> Tensor:
            return mldr_kd_loss(logits, teacher, alpha=self.alpha, temperature=self.temperature)

        vectors = [trunk(stage.as_map()) for trunk, stage in zip(self.trunks, s.stages, strict=True)]
        exits = [head(vector) for head, vector in zip(self.heads, vectors, strict=True)]
        share = self.gate(torch.stack(vectors, dim=1)).softmax(1)
        fused = (share * torch.stack(exits, dim=1)).sum(1)
        parts = {"logit": self.logit_weight * term(s.need_logits()), "fused": self.fused_weight * term(fused)}
        return parts | {f"exit{i}": self.stage_weight * term(logits) for i, logits in enumerate(exits, start=1)}
