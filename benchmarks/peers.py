"""Against torchdistill 1.1.5 on the same pair, images and batch, each as its documentation says.

Its side: a ``DistillationBox`` with ``KDLoss``, PIL images from a ``DataLoader`` in this process, the loop of its
image classification example. Our side: the bank once (V views), then the engine's steps. Both run the same student at
32 x 32 and the same teacher, which sees the images enlarged to 224 x 224, on one thread. Steps and the bank's images
are measured in turn; the whole is EXTRAPOLATED from them: steps x epochs, and bank images x V. torchdistill's own
evaluations, checkpoints and loader start-up are not counted against it.

Goals: ViT-Tiny at 224, V = 1, 20 epochs of 1,000 images: at least 10 times; ViT-Small, V = 4, 100 epochs: at least 15.
"""

from __future__ import annotations

import argparse
import logging
import tempfile
from collections.abc import Iterator
from pathlib import Path

import torch
from common import BATCH, STUDENT, make_run, make_source, take_in_turn, use_one_thread
from epochs import Epochs
from PIL import Image
from torch import nn
from torch.utils.data import Dataset, RandomSampler
from torchdistill.core.distillation import DistillationBox
from torchdistill.losses import mid_level  # noqa: F401  registers KDLoss
from torchvision import transforms

from alambic.data import Source, ViewSpec
from alambic.models.students import create_student
from alambic.models.teacher import Teacher, TeacherSpec
from alambic.models.teachers import load_teacher
from alambic.training.bank import Bank, build_bank
from alambic.training.loop import Trainee
from alambic.training.recipe import Recipe
from alambic.training.setup import live_feed, teacher_spec

SIDE, CLASSES, IMAGES = 32, 100, 1000
BANKED = 64  # images of the bank that are timed
CASES = {  # teacher: V, epochs, rounds, goal
    "vit_tiny_patch16_224": (1, 20, 3, 10),
    "vit_small_patch16_224": (4, 100, 1, 15),
}


class Pictures(Dataset):  # type: ignore[misc]
    """The source's training images as PIL, augmented as in torchdistill's CIFAR configurations."""

    def __init__(self, source: Source) -> None:
        self.images = [Image.fromarray(x.permute(1, 2, 0).numpy()) for x in source.images[source.splits["train"]]]
        self.labels = source.labels[source.splits["train"]].tolist()
        self.transform = transforms.Compose(
            [
                transforms.RandomCrop(SIDE, padding=4),
                transforms.RandomHorizontalFlip(),
                transforms.ToTensor(),
                transforms.Normalize(source.mean, source.std),
            ]
        )

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, int]:
        return self.transform(self.images[index]), self.labels[index]


class TheirSteps:
    """torchdistill's training, one step a call."""

    def __init__(self, source: Source, teacher: Teacher) -> None:
        torch.manual_seed(0)
        student = create_student(STUDENT, 3, SIDE, CLASSES)
        enlarged = nn.Sequential(nn.Upsample(size=teacher.size, mode="bilinear"), teacher.net)
        loader = {
            "dataset_id": "train",
            "requires_supp": True,
            "sampler": {"class_or_func": RandomSampler},
            "kwargs": {"batch_size": BATCH, "num_workers": 0, "drop_last": True},
        }
        logits = {"student_module_path": ".", "student_module_io": "output"}
        logits |= {"teacher_module_path": ".", "teacher_module_io": "output"}
        config = {
            "num_epochs": 1,
            "train_data_loader": loader,
            "teacher": {"forward_proc": "forward_batch_only", "sequential": [], "requires_grad": False},
            "student": {"forward_proc": "forward_batch_only", "sequential": []},
            "optimizer": {"key": "SGD", "kwargs": {"lr": 0.1, "momentum": 0.9, "weight_decay": 5e-4}},
            "criterion": {
                "key": "WeightedSumLoss",
                "kwargs": {
                    "sub_terms": {
                        "kd": {
                            "criterion": {"key": "KDLoss", "kwargs": {**logits, "temperature": 4.0, "alpha": 0.5}},
                            "weight": 1.0,
                        }
                    }
                },
            },
        }
        cpu = torch.device("cpu")
        self.box = DistillationBox(enlarged, student, {"train": Pictures(source)}, config, cpu, None, False, 1)
        self.steps = self._steps()

    def _steps(self) -> Iterator[None]:
        while True:
            self.box.pre_epoch_process(epoch=0)
            for images, labels, extra in self.box.train_data_loader:
                loss = self.box.forward_process(images, labels, extra)
                self.box.post_forward_process(loss)
                loss.item()
                yield

    def __call__(self) -> None:
        next(self.steps)


def compare(net: str, count: int, epochs: int, rounds: int, goal: int) -> str:
    """One case, as a line."""
    source = make_source(3 * BATCH, SIDE, CLASSES)
    torch.manual_seed(0)
    spec = TeacherSpec(f"timm:{net}", size=(224, 224))
    teacher = load_teacher("teacher", spec, CLASSES, 3, (SIDE, SIDE), source.mean, source.std)
    ids, views = source.splits["train"], ViewSpec(count=1, flip=True, shift=4)
    feed = live_feed(teacher, source, views, frozenset({"logits", "embedding"}), ids)
    with tempfile.TemporaryDirectory() as folder:
        made = iter(range(1000))

        def build() -> Path:
            return build_bank(Path(folder), feed, ids[:BANKED], 1, {"number": next(made)})

        bank = Bank(build_bank(Path(folder), _Blank(feed), ids, 1, {"number": "whole"}))
        recipe = Recipe(epochs=epochs, batch=BATCH)
        ours = Epochs(Trainee(make_run(source, "kd", views, recipe, bank, teacher_spec(teacher))))
        theirs = TheirSteps(source, teacher)
        found = take_in_turn({"bank": build, "ours": ours, "theirs": theirs}, rounds)
    steps = epochs * (IMAGES // BATCH)
    bank_seconds = found["bank"] / BANKED * (count * IMAGES + 32)  # 32 pairs are run again when it is opened
    whole, other = bank_seconds + steps * found["ours"], steps * found["theirs"]
    ratio = other / whole
    return (
        f"{net}, V = {count}, {epochs} epochs of {IMAGES} images, batch {BATCH}, student {STUDENT}\n"
        f"  measured: step {1e3 * found['theirs']:.0f} ms (torchdistill), {1e3 * found['ours']:.0f} ms (alambic), "
        f"bank {1e3 * found['bank'] / BANKED:.1f} ms an image\n"
        f"  extrapolated: torchdistill {other:.0f} s, alambic {whole:.0f} s of which bank {bank_seconds:.0f} s\n"
        f"  torchdistill / alambic = {ratio:.1f}, goal {goal}: {'met' if ratio >= goal else 'missed'}"
    )


class _Blank:
    """Fills a bank without running the teacher: what the steps cost does not depend on the numbers."""

    def __init__(self, feed: object) -> None:
        self.spec = feed.spec  # type: ignore[attr-defined]

    def __call__(self, ids: torch.Tensor, views: torch.Tensor) -> object:
        from alambic.models.feature import Outputs

        return Outputs(logits=torch.randn(len(ids), CLASSES), embedding=torch.randn(len(ids), self.spec.embedding))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", default=list(CASES), help=f"of {', '.join(CASES)}; both by default")
    logging.disable(logging.INFO)
    use_one_thread()
    for net in parser.parse_args().names:
        print(compare(net, *CASES[net]), flush=True)


if __name__ == "__main__":
    main()
