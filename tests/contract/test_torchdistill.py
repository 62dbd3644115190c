"""Equality with torchdistill's losses, an independent package for tests only; where it differs, the difference is said.

``pip install torchdistill`` runs these; elsewhere they are skipped.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from alambic.functional.prob import kl_divergence
from alambic.functional.space import flow_matrix
from alambic.methods.ab import ab_loss
from alambic.methods.at import at_loss
from alambic.methods.cc import cc_loss
from alambic.methods.dist import dist_loss
from alambic.methods.ft import ft_loss
from alambic.methods.ickd import ickd_loss
from alambic.methods.kd import kd_loss
from alambic.methods.pkt import pkt_loss
from alambic.methods.reviewkd import reviewkd_loss
from alambic.methods.rkd import rkd_loss
from alambic.methods.sp import sp_loss
from alambic.methods.srd import srd_loss
from alambic.methods.vid import vid_loss
from alambic.treatments.lskd import standardise_logits

td: Any = pytest.importorskip("torchdistill.losses.mid_level")

PATHS = ("x", "output", "x", "output")
PAIRS = {"pair": {"teacher": {"path": "x", "io": "output"}, "student": {"path": "x", "io": "output"}, "weight": 1}}


def told(module: nn.Module, student: Any, teacher: Any) -> Tensor:
    """What a loss of torchdistill says of two tensors."""
    value: Tensor = module({"x": {"output": student}}, {"x": {"output": teacher}})
    return value


def random(*shape: int) -> Tensor:
    return torch.randn(*shape, dtype=torch.float64)


Comparison = Callable[[], tuple[Tensor, Tensor]]


def compare_kd() -> tuple[Tensor, Tensor]:
    s, t = random(8, 10), 2 * random(8, 10)
    theirs = told(td.KDLoss(*PATHS, temperature=4.0, beta=1.0), s, t)
    return kd_loss(s, t).mean(), 16 * theirs  # without labels theirs leaves out T²


def compare_lskd() -> tuple[Tensor, Tensor]:
    s, t = random(8, 10), 2 * random(8, 10)
    theirs = told(td.LogitStdKDLoss(*PATHS, temperature=2.0, beta=1.0), s, t)
    return kl_divergence(standardise_logits(s), standardise_logits(t), 2.0).mean(), theirs


def compare_dist() -> tuple[Tensor, Tensor]:
    s, t = random(8, 10), 2 * random(8, 10)
    return dist_loss(s, t, beta=1.0, gamma=1.0, temperature=2.0), told(td.DISTLoss(*PATHS, tau=2.0), s, t)


def compare_at() -> tuple[Tensor, Tensor]:
    s, t = random(4, 5, 6, 6), random(4, 7, 6, 6)
    ours = at_loss(s.square().mean(1), t.square().mean(1)).mean()
    return ours, told(td.ATLoss(PAIRS, mode="code"), s, t)


def compare_pkt() -> tuple[Tensor, Tensor]:
    s, t = random(8, 6), random(8, 9)
    return pkt_loss(s, t).mean(), told(td.PKTLoss(*PATHS), s.clone(), t.clone())


def compare_rkd() -> tuple[Tensor, Tensor]:
    s, t = random(8, 6), random(8, 9)
    return rkd_loss(s, t).mean(), told(td.RKDLoss("x", "x", 25.0, 50.0, "mean"), s, t)


def compare_sp() -> tuple[Tensor, Tensor]:
    class Mended(td.SPKDLoss):  # type: ignore[misc, name-defined]
        def matmul_and_normalize(self, z: Tensor) -> Tensor:
            """Theirs calls normalize(gram, 1), which sets the norm's order to 1 where the paper has 2."""
            flat = z.flatten(1)
            return torch.nn.functional.normalize(flat @ flat.T, p=2, dim=1)

    s, t = random(6, 3, 5, 5), random(6, 4, 2, 2)
    return sp_loss(s, t).mean(), told(Mended("x", "x", "batchmean"), s, t)


def compare_cc() -> tuple[Tensor, Tensor]:
    s, t = (torch.nn.functional.normalize(random(6, 5)) for _ in range(2))
    theirs = told(td.CCKDLoss("x", "x", {"type": "gaussian", "gamma": 0.4, "max_p": 2}, "none"), s, t)
    return cc_loss(s, t, form="kernel"), theirs**2 / 36  # the paper's square over B², where theirs is its root


def compare_vid() -> tuple[Tensor, Tensor]:
    s, t, variance = random(4, 5, 3, 3), random(4, 5, 3, 3), random(5).exp()
    theirs = told(td.VIDLoss(PAIRS), (s, variance.view(1, 5, 1, 1)), t)
    # theirs means the log-variance over channels once, ours over all entries: the same number
    return vid_loss(s, t, variance=variance).mean(), theirs


def compare_ft() -> tuple[Tensor, Tensor]:
    s, t = random(4, 5, 3, 3), random(4, 5, 3, 3)
    theirs = td.FTLoss(paraphraser_path="x", translator_path="x")
    return ft_loss(s, t).mean(), told(theirs, s, t)


def compare_ab() -> tuple[Tensor, Tensor]:
    s, t = random(4, 5, 3, 3), random(4, 5, 3, 3)
    return ab_loss(s, t).mean(), told(td.AltActTransferLoss(PAIRS, 1.0, "mean"), s, t)


def compare_ickd() -> tuple[Tensor, Tensor]:
    s, t = random(4, 5, 3, 3), random(4, 5, 3, 3)
    return ickd_loss(s, t).mean(), 4 * told(td.ChSimLoss(PAIRS), s, t)  # theirs divides by the batch twice


def compare_reviewkd() -> tuple[Tensor, Tensor]:
    s, t = random(4, 5, 8, 8), random(4, 5, 8, 8)
    return reviewkd_loss(s, t).mean(), told(td.HierarchicalContextLoss(*PATHS), (s, None), t)


def compare_srd() -> tuple[Tensor, Tensor]:
    s, t = random(8, 6), random(8, 6)
    norm = nn.BatchNorm1d(6, eps=1e-4, affine=False, dtype=torch.float64)
    inside = {"a": {"output": norm(s)}, "b": {"output": random(8, 3)}}
    theirs = {"a": {"output": norm(t)}, "b": inside["b"]}  # equal logits: no KL
    loss = td.SRDLoss("a", "output", "a", "output", "b", "output", "b", "output", exponent=4.0)
    value: Tensor = loss(inside, theirs)
    return srd_loss(s, t), value / 2  # its weight of 2 stands in the method


def compare_fsp() -> tuple[Tensor, Tensor]:
    low, high = random(4, 5, 8, 8), random(4, 6, 4, 4)
    return flow_matrix(low, high), td.FSPLoss.compute_fsp_matrix(low, high)


COMPARISONS: dict[str, Comparison] = {
    name.removeprefix("compare_"): value for name, value in list(globals().items()) if name.startswith("compare_")
}


# SRD: we add 1e-5 inside the logarithm. DIST: we add 1e-8 to the product of norms, theirs clamps each at it.
TOLERANCES = {"srd": 1e-5, "dist": 1e-6}


@pytest.mark.parametrize("name", COMPARISONS)
def test_equals_torchdistill(name: str) -> None:
    ours, theirs = COMPARISONS[name]()
    torch.testing.assert_close(ours, theirs, rtol=TOLERANCES.get(name, 1e-9), atol=1e-12)
