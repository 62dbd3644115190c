"""FBT: a bridge that shares the student's first stages learns from the teacher, and both teach the student."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from alambic.errors import AlambicError
from alambic.functional.prob import soft_targets
from alambic.functional.relation import info_nce
from alambic.methods.base import Batch, Method, Needs, Paper, Parts, Specs
from alambic.methods.ofa import ofa_loss
from alambic.models.feature import Outputs
from alambic.models.projector import conv1x1, linear, share_heads


def fbt_lite_loss(
    student: Tensor, teacher: Tensor, labels: Tensor | None = None, *, temperature: float | Tensor = 0.07
) -> Tensor:
    """-log softmax_j(cos(s_b, t_j) / temperature) at j = b; pooled features B x D of one width -> B values >= 0."""
    return info_nce(student, teacher, temperature)


class FBT(Method):
    """Fuse Before Transfer: Knowledge Fusion for Heterogeneous Distillation, Li et al., ICCV 2025.

    Reconstructed from the abstract and a third party's notes. The bridge is the student up to its last stage but one,
    a projection and an attention block; in the paper the teacher's own last stage follows there.
    """

    paper = Paper(
        "Fuse Before Transfer: Knowledge Fusion for Heterogeneous Distillation",
        "Li, Wang, Yan, Ding, Gao, Xia",
        "ICCV",
        2025,
        "2410.12342",
        "liguopeng0923/FBT",
    )
    formula = "L = CE + L(t, s) + L(t, f) + L(f, s), L(a, b) = InfoNCE(f_b, f_a; learned tau) + OFA(z_b, p_a)"
    family = "embedding"
    needs = Needs.of("logits embedding stages", "logits embedding", labels=True)
    fidelity = "C"
    differences = (
        "the authors' code could not be had; the bridge ends in an attention block of its own; what teaches is "
        "detached; the block sees at most grid x grid positions; features are compared after global average pooling, "
        "the strongest spatial smoothing"
    )
    components = (
        ("bridge on the student's first stages", True),
        ("attention module in the bridge", True),
        ("the teacher's last stage in the bridge", False),
        ("InfoNCE with a learned temperature", True),
        ("OFA loss on logits", True),
    )
    evidence = (
        "CIFAR-100, 12 pairs across architectures: +8.38 on average (OFA +6.19 in the same table), ImageNet +2.31; "
        "Swin-T to MobileNetV2 on ImageNet 72.54 (OFA 72.32) [N]"
    )
    degenerate = "the softmax of one logit is always 1, so the OFA term is constant"
    at_equal = "none, because the value depends on how alike the batch's images are"
    pure = staticmethod(fbt_lite_loss)
    pure_input = "embedding"

    weight: float = 1.0
    gamma: float = 1.0
    temperature: float = 0.07
    grid: int = 4

    def check(self, specs: Specs) -> None:
        super().check(specs)
        if specs.student.stages[bridge_index(len(specs.student.stages))].size is None:
            raise AlambicError(
                f"method 'fbt_lite' expected a student whose stages are maps, got {specs.student.stages}, because the "
                "bridge reads a map; try rsd, which reads embeddings"
            )

    def build(self, specs: Specs, generator: torch.Generator) -> None:
        assert specs.student.embedding is not None
        assert specs.teacher.embedding is not None
        width = specs.teacher.embedding
        self.projector = linear(specs.student.embedding, width)
        self.entry = conv1x1(specs.student.stages[bridge_index(len(specs.student.stages))].channels, width, norm=True)
        heads = share_heads(width, max(width // 64, 1))
        self.attention = nn.TransformerEncoderLayer(width, heads, 2 * width, 0.0, batch_first=True, norm_first=True)
        self.exit = linear(width, specs.classes)
        self.log_scale = nn.Parameter(torch.tensor(math.log(1 / self.temperature)))

    def loss(self, s: Outputs, t: Outputs, batch: Batch, progress: float) -> Parts:
        shared = self.entry(s.stages[bridge_index(len(s.stages))].as_map())
        size = min(shared.shape[2], self.grid), min(shared.shape[3], self.grid)
        tokens = F.adaptive_avg_pool2d(shared, size).flatten(2).transpose(1, 2)
        fused = self.attention(tokens).mean(1)
        student = self.projector(s.need_embedding()), s.need_logits()
        bridge, teacher = (fused, self.exit(fused)), (t.need_embedding(), t.need_logits())
        mask = soft_targets(batch.labels, student[1].shape[1], batch.partner, batch.lam)
        return {
            "student": self.weight * self._transfer(student, teacher, mask),
            "bridge": self.weight * self._transfer(bridge, teacher, mask),
            "handover": self.weight * self._transfer(student, bridge, mask),
        }

    def _transfer(self, learner: tuple[Tensor, Tensor], source: tuple[Tensor, Tensor], mask: Tensor) -> Tensor:
        # the bound of CLIP: beyond a scale of 100 a batch's softmax is a hard maximum
        temperature = self.log_scale.clamp_max(math.log(100.0)).neg().exp()
        features = fbt_lite_loss(learner[0], source[0].detach(), temperature=temperature)
        return features + ofa_loss(learner[1], source[1].detach(), mask, gamma=self.gamma)


def bridge_index(stages: int) -> int:
    """The last stage but one, the last where there is one only."""
    return max(stages - 2, 0)
