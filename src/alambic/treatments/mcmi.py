"""MCMI: a teacher fine-tuned so that its answers within a class differ more."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from alambic.errors import AlambicError
from alambic.functional.prob import kl_of_logs
from alambic.methods.base import Paper
from alambic.models.teacher import Teacher
from alambic.training.hooks import Hooks, Inputs, descend, see
from alambic.training.loop import Run, gather
from alambic.treatments.base import Scene, Treatment, new_teacher_path, refuse_black_box
from alambic.treatments.teaching import copy_net, teach


def conditional_mutual_information(logits: Tensor, centroids: Tensor, labels: Tensor) -> Tensor:
    """KL[p(.|x), Q_y] per sample; Q_y the mean prediction of the class.

    Args:
        logits: B x C. centroids: C x C, rows sum to 1. labels: int64 B; -1 gives 0.

    Returns: B values >= 0, whose mean estimates I(X; prediction | Y) in nats.
    """
    log_q = centroids.clamp_min(1e-25).log()[labels.clamp_min(0)]
    return (labels >= 0) * kl_of_logs(log_q, logits.log_softmax(1))


class FineTune(Hooks):
    """Minimises CE - weight CMI; the centroids are taken before the first epoch."""

    centroids: Tensor

    def __init__(self, classes: int, weight: float) -> None:
        super().__init__()
        self.weight = weight
        self.register_buffer("centroids", torch.full((classes, classes), 1 / classes))

    def start_epoch(self, run: Run, epoch: int) -> None:
        if epoch == 0:
            self.centroids.copy_(class_means(run))

    def step(self, run: Run, given: Inputs, progress: float, optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
        seen, labels = see(run, given.images), given.batch.labels
        loss = run.objective(seen, given.taught, given.batch, progress)
        logits = seen.need_logits().float()
        cmi = conditional_mutual_information(logits, self.centroids, labels).mean()
        descend(run, loss.total - self.weight * cmi, optimizer)
        return {"ce": loss.total.detach(), "cmi": cmi.detach()}


def class_means(run: Run, block: int = 500) -> Tensor:
    """C x C: the network's mean prediction on the training images of each class, in evaluation mode."""
    classes = run.objective.task.classes
    sums = torch.zeros(classes, classes, device=run.device)
    counts = torch.zeros(classes, device=run.device)
    run.student.eval()
    with torch.no_grad():
        for rows in run.ids.split(block):
            ids = rows.to(run.device)
            given = gather(run, ids, 0)
            known = given.batch.labels >= 0
            probabilities = see(run, given.images).need_logits().float().softmax(1)[known]
            sums.index_add_(0, given.batch.labels[known], probabilities)
            counts.index_add_(0, given.batch.labels[known], torch.ones_like(probabilities[:, 0]))
    run.student.train()
    means = sums / counts.clamp_min(1)[:, None]
    return torch.where(counts[:, None] > 0, means, torch.full_like(means, 1 / classes))


class MCMI(Treatment):
    """Bayes Conditional Distribution Estimation for KD Based on Conditional Mutual Information, Ye et al., ICLR 2024.

    Cross-entropy alone makes a teacher say the same of every image of a class. The term pushes its answers away from
    the class's mean answer, so that they carry what tells one image from another.
    """

    paper = Paper(
        "Bayes Conditional Distribution Estimation for Knowledge Distillation Based on Conditional Mutual Information",
        "Ye, Hamidi, Tan, Yang",
        "ICLR",
        2024,
        "",
        "iclr2024mcmi/ICLRMCMI",
    )
    formula = "teacher <- argmin CE - .25 E KL[p(.|x), Q_y], Q_y = E[p(.|x) | y], 20 epochs"
    fidelity = "A"
    differences = (
        "centroids in evaluation mode (theirs move BatchNorm's statistics); as released they stay fixed during the "
        "fine-tuning; the last epoch is kept, not the best on test; mixed images are refused; the code names no "
        "default weight: .25 is one of four in its zero-shot script"
    )
    evidence = "consistent small gains on CIFAR-100, large ones from few images [M]"
    kind = "teacher"
    needs_teacher = True

    weight: float = 0.25
    epochs_of_tuning: int = 20
    lr: float = 0.05

    def prepare_teacher(self, teacher: Teacher, scene: Scene) -> Teacher:
        refuse_black_box(self, teacher)
        classes = scene.task.classes
        if classes < 2 or teacher.classes != classes or scene.training.views.mix != "none":
            raise AlambicError(
                f"treatment 'mcmi' expected a teacher with a softmax over the task's {classes} classes and unmixed "
                f"views, got {teacher.name!r} with {teacher.classes} logits and mix {scene.training.views.mix!r}, "
                "because it moves predictions within labelled classes; try early_stop, or views without mixing"
            )
        recipe = replace(scene.training.recipe, epochs=self.epochs_of_tuning, lr=self.lr, optimizer="sgd", warmup=0.0)
        path = new_teacher_path(self, teacher, scene)
        net, note = copy_net(teacher), {"mcmi": self.hyper()}
        return teach(teacher, scene, path, net, recipe, lambda run: FineTune(classes, self.weight), note)
