"""LF-CAM: low frequencies of the class maps, which every architecture has, compared without a projector."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from alambic.errors import AlambicError
from alambic.functional.relation import to_unit
from alambic.methods.base import Batch, Method, Needs, Paper, Parts, Specs
from alambic.models.feature import Outputs, OutputSpec


def lfcam_loss(
    student: Tensor,
    teacher: Tensor,
    labels: Tensor | None = None,
    *,
    order: int = 3,
    temperature: float = 1.0,
    logits: Tensor | None = None,
) -> Tensor:
    """sum_c p_t,c sum_uv (N(D M_s) - N(D M_t))²_cuv, D the cosine transform's coefficients with u + v < ``order``.

    N takes the mean over classes away (softmax does not see it) and scales a sample's coefficients to a mean over
    classes of 1; so ``order`` 1 compares standardised logits. Frequencies that one of the grids cannot show are left
    out.

    Args:
        student, teacher: class maps B x C x H x W; sizes may differ.
        temperature: of the weights p_t = softmax(logits / temperature).
        logits: the teacher's, B x C; None takes the means of its maps.

    Returns: B values >= 0.
    """
    places = shared_frequencies(student, teacher, order)
    weights = (teacher.mean((2, 3)) if logits is None else logits).div(temperature).softmax(1)
    gap = _normalise(cosine_coefficients(student, places)) - _normalise(cosine_coefficients(teacher, places))
    return (weights * gap.square().sum(2)).sum(1)


def shared_frequencies(student: Tensor, teacher: Tensor, order: int) -> list[tuple[int, int]]:
    """(u, v) with u + v < order that both grids can show, low to high; (0, 0) first."""
    rows, columns = (min(int(student.shape[axis]), int(teacher.shape[axis])) for axis in (2, 3))
    return [(total - v, v) for total in range(order) for v in range(total + 1) if total - v < rows and v < columns]


def cosine_coefficients(maps: Tensor, places: list[tuple[int, int]]) -> Tensor:
    """B x C x H x W -> B x C x K: means over positions of the map times orthonormal cosines (DCT-II).

    As means they do not depend on the grid's size.
    """
    rows, columns = (_cosines(int(maps.shape[axis]), maps) for axis in (2, 3))
    found = torch.einsum("bchw,uh,vw->bcuv", maps, rows, columns) / (maps.shape[2] * maps.shape[3])
    return torch.stack([found[:, :, u, v] for u, v in places], dim=2)


def _cosines(count: int, like: Tensor) -> Tensor:
    """count x count: row u holds cos(pi (i + ½) u / count), times √2 for u > 0."""
    index = torch.arange(count, device=like.device, dtype=like.dtype)
    waves = torch.cos(math.pi / count * index[:, None] * (index + 0.5))
    return waves * torch.where(index > 0, math.sqrt(2), 1.0).to(like.dtype)[:, None]


def _normalise(coefficients: Tensor) -> Tensor:
    classes = coefficients.shape[1]
    if classes > 1:
        coefficients = coefficients - coefficients.mean(1, keepdim=True)
    return to_unit(coefficients.flatten(1)).view_as(coefficients) * math.sqrt(classes)


class LFCAM(Method):
    """Our own (idea I4), not published: what a teacher sees where, as far as a coarse map can say it.

    Hypothesis: class maps have the same width for every architecture, so nothing has to be projected, and their low
    frequencies are what a tiny network's coarse maps and a transformer's tokens have in common. In the exploratory
    round of ``studies/cifar100-explore`` cat_kd, in class space, was the map loss that stood ten times cross-entropy's
    gradient best (one seed: a hint, no more).

    Falsifier: the same with the teacher's positions shuffled in each image (``shuffle = true``: the same values, no
    place) ties with it, or ``order = 1`` (standardised logits) does.
    """

    paper = Paper("Low-frequency class maps (ours, not published)", "The authors of alambic", "alambic", 2026)
    formula = "L = CE + w sum_c p_t,c sum_{u+v<order} (N(DCT(W_s F_s)) - N(DCT(W_t F_t)))_cuv^2"
    family = "map"
    needs = Needs.of("stages head", "stages head logits")
    fidelity = "O"
    differences = (
        "the idea's note adds KD, which is a method of its own here (list both); it normalises before the transform, "
        "which would keep the student's high frequencies in the scale. As in cat_kd the classifier is applied to the "
        "last stage without what a network does between the two (a transformer's final norm). The weight pulls a few "
        "times as hard as cross-entropy at the start (resnet8 on Fashion-MNIST)"
    )
    evidence = (
        "no number of its own yet: ours; of its parts, class maps are CAT-KD's (its authors report CNN pairs only [C]) "
        "and low-pass maps LFCC's (better than OFA across architectures, its authors say [A])"
    )
    min_classes = 1
    pure = staticmethod(lfcam_loss)
    pure_input = "map"

    weight: float = 0.2
    order: int = 3
    temperature: float = 1.0
    shuffle: bool = False

    def check(self, specs: Specs) -> None:
        super().check(specs)
        if self.order < 1 or self.temperature <= 0:
            raise AlambicError(
                f"method 'lfcam' expected an order of at least 1 and a temperature above 0, got {self.order} and "
                f"{self.temperature}; try 3 and 1.0"
            )
        sizes = [_check_side(side, spec) for side, spec in (("student", specs.student), ("teacher", specs.teacher))]
        if specs.classes <= 2 and (self.order == 1 or min(max(size) for size in sizes) == 1):
            raise AlambicError(
                f"method 'lfcam' expected grids of 2 x 2 or more and an order above 1 for {specs.classes} classes, got "
                f"{sizes} and order {self.order}, because the mean alone, once normalised, is only a sign; try kd"
            )

    def loss(self, s: Outputs, t: Outputs, batch: Batch, progress: float) -> Parts:
        student, teacher = class_maps(s), class_maps(t).detach()
        if self.shuffle:
            teacher = shuffle_positions(teacher)
        value = lfcam_loss(student, teacher, order=self.order, temperature=self.temperature, logits=t.need_logits())
        return {"lfcam": self.weight * value}


def class_maps(outputs: Outputs) -> Tensor:
    """The classifier at each position of the last stage, without its bias; B x C x H x W."""
    return torch.einsum("bdhw,cd->bchw", outputs.stages[-1].as_map(), outputs.need_head().weight.float())


def shuffle_positions(maps: Tensor) -> Tensor:
    """Each image's positions in an order of its own, all classes alike; draws from torch's global generator."""
    flat = maps.flatten(2)
    order = torch.rand(flat.shape[0], flat.shape[2], device=maps.device).argsort(1)
    return flat.gather(2, order[:, None].expand_as(flat)).view_as(maps)


def _check_side(side: str, spec: OutputSpec) -> tuple[int, int]:
    last = spec.stages[-1]
    if last.size is None or spec.embedding not in (None, last.channels):
        raise AlambicError(
            f"method 'lfcam' expected a {side} whose classifier reads its last stage, a grid with its embedding's "
            f"{spec.embedding or ''} channels, got {last}, because class maps are the classifier applied at each "
            "position; try kd on logits or rsd on embeddings"
        )
    return last.size
