"""The recipe: everything of a training that is not data, networks or method, as one dataclass."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from alambic.errors import AlambicError


@dataclass(frozen=True)
class Recipe:
    """How a network is trained.

    Attributes:
        epochs: passes over the training images. batch: images a step, all of them where there are fewer; the last
            incomplete batch is left out.
        optimizer: ``sgd`` (Nesterov momentum) or ``adamw``.
        lr: peak learning rate. momentum: for sgd.
        weight_decay: on weights with two or more dimensions; never on biases, norms and learned scalars.
        schedule: ``cosine`` to zero or ``constant``, after the warm-up. warmup: epochs of linear rise.
        clip: largest gradient norm, over student and projectors together; 0 leaves gradients alone.
        precision: ``fp32`` or ``bf16`` autocast of the student (losses stay in fp32).
        channels_last: memory layout of the student and its images.
        eval_every: epochs between evaluations on the tune split; the last epoch is always evaluated and reported.
    """

    epochs: int = 20
    batch: int = 128
    optimizer: Literal["sgd", "adamw"] = "sgd"
    lr: float = 0.1
    momentum: float = 0.9
    weight_decay: float = 5e-4
    schedule: Literal["cosine", "constant"] = "cosine"
    warmup: float = 1.0
    clip: float = 0.0
    precision: Literal["fp32", "bf16"] = "fp32"
    channels_last: bool = True
    eval_every: int = 5

    def __post_init__(self) -> None:
        choices = {
            "optimizer": ("sgd", "adamw"),
            "schedule": ("cosine", "constant"),
            "precision": ("fp32", "bf16"),
        }
        for name, allowed in choices.items():
            if getattr(self, name) not in allowed:
                raise AlambicError(f"recipe: expected {name} among {allowed}, got {getattr(self, name)!r}")
        if self.epochs < 1 or self.batch < 2 or not 0 < self.lr < math.inf or self.eval_every < 1:
            raise AlambicError(
                "recipe: expected epochs >= 1, batch >= 2, lr > 0 and finite, eval_every >= 1, got "
                f"{self.epochs}, {self.batch}, {self.lr}, {self.eval_every}"
            )
        for name in ("momentum", "weight_decay", "warmup", "clip"):
            if not 0 <= getattr(self, name) < math.inf:
                raise AlambicError(f"recipe: expected {name} >= 0 and finite, got {getattr(self, name)}")

    def lr_at(self, epoch: float) -> float:
        """Learning rate at a fractional epoch in [0, epochs]."""
        if epoch < self.warmup:
            return self.lr * (epoch + 1e-2) / (self.warmup + 1e-2)
        if self.schedule == "constant":
            return self.lr
        share = (epoch - self.warmup) / max(self.epochs - self.warmup, 1e-9)
        return self.lr * 0.5 * (1 + math.cos(math.pi * min(share, 1.0)))

    def make_optimizer(self, *modules: nn.Module) -> torch.optim.Optimizer:
        """One optimiser over all modules' parameters, so that no projector or learned scalar is left out."""
        parameters = [p for module in modules for p in module.parameters() if p.requires_grad]
        groups = [
            {"params": [p for p in parameters if p.ndim > 1], "weight_decay": self.weight_decay},
            {"params": [p for p in parameters if p.ndim <= 1], "weight_decay": 0.0},
        ]
        groups = [group for group in groups if group["params"]]
        if self.optimizer == "adamw":
            return torch.optim.AdamW(groups, lr=self.lr, fused=True)
        nesterov = self.momentum > 0
        optimizer = torch.optim.SGD(groups, lr=self.lr, momentum=self.momentum, nesterov=nesterov, fused=True)
        if self.momentum > 0:
            # fused SGD cannot start a buffer late, as for a classifier that a stage of pre-training leaves out; from
            # zero the first step is the same
            for p in parameters:
                optimizer.state[p]["momentum_buffer"] = torch.zeros_like(p)
        return optimizer


def stream_seed(seed: int, name: str, index: int = 0) -> int:
    """The seed of a named random stream (init, order, method, step): moving one never moves another."""
    digest = hashlib.sha256(f"{seed}/{name}/{index}".encode()).digest()
    return int.from_bytes(digest[:8], "little") >> 1


def stream(seed: int, name: str, index: int = 0) -> torch.Generator:
    """A CPU generator of the named stream."""
    return torch.Generator().manual_seed(stream_seed(seed, name, index))


@contextmanager
def drawing(seed: int, device: torch.device | None = None) -> Iterator[None]:
    """torch's global CPU stream at a seed, put back afterwards; other devices' streams are left alone.

    ``torch.manual_seed`` gives the same CPU draws but also seeds each accelerator, which nothing puts back.

    Args:
        device: where draws happen too; a GPU's stream starts at the seed and is put back as well.
    """
    gpus = [device] if device is not None and device.type == "cuda" else []
    with torch.random.fork_rng(devices=gpus):
        torch.default_generator.manual_seed(seed)
        for gpu in gpus:
            with torch.cuda.device(gpu):
                torch.cuda.manual_seed(seed)
        yield


def set_random(states: list[Tensor], device: torch.device) -> None:
    """Puts torch's global streams where ``get_random`` found them."""
    torch.set_rng_state(states[0])
    if len(states) > 1:
        torch.cuda.set_rng_state(states[1], device)


def get_random(device: torch.device) -> list[Tensor]:
    """States of torch's global streams that a step may draw from."""
    return [torch.get_rng_state(), *([torch.cuda.get_rng_state(device)] if device.type == "cuda" else [])]
