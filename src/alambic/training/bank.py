"""The bank: memory-mapped teacher outputs per view, so that the teacher never runs twice on the same view.

A folder with one array per quantity, ``[V, N, ...]``, and ``bank.json`` with where they come from. Raw logits and
embeddings in fp16, never probabilities; attention energies in fp32. Filled beside and renamed (``bank_part``): a
stopped or killed build goes on where it was, and leaves nothing that looks finished.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from alambic.errors import AlambicError
from alambic.files import hash_file, make_folder
from alambic.models.feature import Outputs, OutputSpec, StageSpec
from alambic.training import together
from alambic.training.bank_part import Filling, Progress, name_part, open_part, owning, quantities, remove_abandoned
from alambic.training.feed import Feed, LiveFeed

VERSION = 1
BANKABLE = frozenset({"logits", "embedding", "energy"})
CHECKED_PAIRS = 32


def bank_key(provenance: dict[str, Any]) -> str:
    """The name of a bank: the hash of everything that its content depends on."""
    text = json.dumps({"version": VERSION, **provenance}, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _seal(card: dict[str, Any]) -> str:
    """sha256 of a card: what it says of shapes and checksums is as precious as the arrays."""
    return hashlib.sha256(json.dumps(card, sort_keys=True).encode()).hexdigest()


def build_bank(
    folder: Path,
    feed: LiveFeed,
    ids: Tensor,
    views: int,
    provenance: dict[str, Any],
    progress: Progress | None = None,
    say: Callable[[str], None] | None = None,
) -> Path:
    """Runs the teacher once on each (view, image) and writes the bank; does nothing where it stands already.

    What an earlier call wrote before it was stopped or killed is kept, and the bank is that of a call that was not.

    Where several processes are joined (``training.together``) each calls this with the same arguments and takes its
    share of the blocks; the bank's arrays are those of one process, for equal threads.

    Args:
        folder: holds the banks of a study. feed: the live teacher; its wanted quantities are stored.
        ids: int64, sorted. views: V >= 1. provenance: teacher hash, view key, split hash, ...
        progress: told of what is missing of this process's share. say: told in words, where it goes on or must wait.
    Returns: the bank's folder. Raises AlambicError when a value does not fit fp16, or the disk is full.
    """
    target = folder / bank_key(provenance)
    if together.share((target / "bank.json").exists()):
        return target
    if views < 1:
        raise AlambicError("expected views.count >= 1 to build a bank, got 0 (live views); try views.count = 4")
    first, part = together.place()[0] == 0, folder
    with contextlib.ExitStack() as held:
        try:
            with together.all_or_none():
                if first:
                    make_folder(folder)
                    remove_abandoned(folder, name_part(target))
                    part = held.enter_context(owning(target, say))
                    if not (target / "bank.json").exists():
                        open_part(part, feed, ids, views)
            if together.share((target / "bank.json").exists()):  # who held the part until now has finished it
                if first:
                    shutil.rmtree(part, ignore_errors=True)
                return target
            with together.all_or_none():
                filling = Filling(together.share(part), ids, views)
                if say is not None and filling.seconds:
                    say(f"{filling.missing:,} of {filling.images:,} images are missing: going on where it was stopped")
                filling.fill(feed, progress)
            with together.all_or_none():
                if first:
                    _finish(part, target, filling, feed, ids, {**provenance, "version": VERSION, "views": views})
        except (AlambicError, OSError) as error:
            if first and part != folder and not isinstance(error, together.Lost):
                shutil.rmtree(part, ignore_errors=True)  # nothing that goes on from there would end better
            if isinstance(error, OSError):
                told = f"cannot write the bank {target}: {error.strerror}; try another folder"
                raise AlambicError(told) from error
            raise
    return target


def _finish(part: Path, target: Path, filling: Filling, feed: LiveFeed, ids: Tensor, known: dict[str, Any]) -> None:
    """Writes the card of a part that is filled, and makes it the bank."""
    np.save(part / "ids.npy", ids.numpy())
    card = {
        **known,
        "images": len(ids),
        "quantities": list(filling.arrays),
        "classes": feed.spec.classes,
        "seconds": round(filling.seconds, 2),
        "processes": together.place()[1],
        "stages": [[s.form, s.channels, s.size, s.prefix, s.tokens, s.name] for s in feed.spec.stages],
        "sha256": {path.name: hash_file(path) for path in sorted(part.glob("*.npy"))},
    }
    for mark in part.glob("mark-*"):
        mark.unlink()
    (part / "bank.json").write_text(json.dumps({**card, "seal": _seal(card)}, indent=2) + "\n")
    part.replace(target)


class Bank:
    """An opened bank: a feed that reads instead of running the teacher.

    Args:
        path: the bank's folder. verify: a live teacher to check 32 (view, image) pairs against; None trusts the
            caller that the driver has done so in this study. check_hash: read every byte and compare checksums.
        tolerance: of the check, max|difference| over the live outputs' standard deviation.

    Raises AlambicError for a truncated or changed file, or a teacher that is not the one that filled it.
    """

    def __init__(
        self, path: Path, verify: LiveFeed | None = None, check_hash: bool = True, tolerance: float = 0.02
    ) -> None:
        self.path = path
        try:
            self.card: dict[str, Any] = json.loads((path / "bank.json").read_text())
            if self.card.pop("seal", None) != _seal(self.card):
                raise ValueError("bank.json has changed since it was written")
            if check_hash:
                self._check_hashes()
            names = self.card["quantities"]
            self.arrays = {name: np.load(path / f"{name}.npy", mmap_mode="r") for name in names}
            ids = torch.from_numpy(np.load(path / "ids.npy"))
        except (OSError, ValueError, KeyError) as error:
            raise AlambicError(f"expected a whole bank at {path}, got: {error}; delete it and run again") from error
        self.views = int(self.card["views"])
        self.rows = torch.full((int(ids.max()) + 1,), -1)
        self.rows[ids] = torch.arange(len(ids))
        self.ids = ids
        embedding = self.arrays.get("embedding")
        stages = tuple(StageSpec(f, c, tuple(s) if s else None, p, t, n) for f, c, s, p, t, n in self.card["stages"])
        self.spec = OutputSpec(self.card["classes"], None if embedding is None else int(embedding.shape[2]), stages)
        if verify is not None:
            self._check_teacher(verify, tolerance)

    def _check_hashes(self) -> None:
        for name, expected in self.card["sha256"].items():
            if hash_file(self.path / name) != expected:
                raise AlambicError(
                    f"bank {self.path}: {name} has changed since it was written, because its checksum differs; "
                    "delete the bank's folder and run again"
                )

    def _check_teacher(self, feed: Feed, tolerance: float) -> None:
        pick = torch.Generator().manual_seed(0)
        ids = self.ids[torch.randint(len(self.ids), (CHECKED_PAIRS,), generator=pick)]
        views = torch.randint(self.views, (CHECKED_PAIRS,), generator=pick)
        stored, live = quantities(self(ids, views)), quantities(feed(ids, views))
        _check_repeats(live, quantities(feed(ids, views)), tolerance)
        for name, value in live.items():
            if name not in stored:
                continue
            value = value.float()
            spread = value.std().clamp_min(1e-6)
            worst = float((stored[name].float() - value).abs().max() / spread)
            if worst > tolerance or (name == "logits" and _argmax_differs(stored[name], value, tolerance * spread)):
                raise AlambicError(
                    f"bank {self.path}: expected the {name} of this teacher within {tolerance} standard deviations, "
                    f"got {worst:.3g}, because the teacher, its input or the pairing of images changed; "
                    "delete the bank's folder and run again"
                )

    def check_holds(self, ids: Tensor) -> None:
        """Raises AlambicError for training images, int64, of which the bank lacks one."""
        if bool((self._locate(ids) < 0).any()):
            raise AlambicError(f"bank {self.path} does not hold some of the training images; build it for this study")

    def _locate(self, ids: Tensor) -> Tensor:
        """Where images lie in the arrays; -1 for those that the bank lacks."""
        ids = ids.cpu()
        return self.rows[ids.clamp_max(len(self.rows) - 1)].where(ids < len(self.rows), -1)

    def __call__(self, ids: Tensor, views: Tensor) -> Outputs:
        """Outputs of images and views, fp32, on the ids' device."""
        rows = self._locate(ids)
        if bool((rows < 0).any()) or bool((views.cpu() >= self.views).any()):
            raise AlambicError(f"bank {self.path} does not hold some of the images or views that were asked for")
        row, view = rows.numpy(), views.cpu().numpy()
        read = {name: torch.from_numpy(array[view, row]).to(ids.device).float() for name, array in self.arrays.items()}
        energy = tuple(read[name] for name in sorted(read) if name.startswith("energy"))
        return Outputs(logits=read.get("logits"), embedding=read.get("embedding"), energy=energy)


def _check_repeats(first: dict[str, Tensor], second: dict[str, Tensor], tolerance: float) -> None:
    """Refuses a teacher that answers the same images twice differently: no bank could hold what it says."""
    for name, value in first.items():
        spread = value.float().std().clamp_min(1e-6)
        worst = float((second[name].float() - value.float()).abs().max() / spread)
        if worst > tolerance:
            raise AlambicError(
                f"expected a teacher whose {name} depend on the image alone, got others each time it is asked "
                f"({worst:.3g} standard deviations apart), because something in it is drawn at random, such as dropout "
                "left on; try self.training in your function instead of training=True"
            )


def _argmax_differs(stored: Tensor, live: Tensor, tolerance: Tensor) -> bool:
    """Whether a predicted class differs where its margin exceeds the tolerance."""
    if live.shape[1] < 2:
        return False
    top = live.topk(2, dim=1).values
    clear = top[:, 0] - top[:, 1] > tolerance
    return bool((stored.argmax(1) != live.argmax(1))[clear].any())


def bank_bytes(images: int, views: int, classes: int, embedding: int, energies: int) -> int:
    """Size of a bank before it is built: fp16 logits and embedding, fp32 energies."""
    return images * views * (2 * classes + 2 * embedding + 4 * energies)
