"""Sixteen cells of one teacher, everything included, beside the sum of the same students alone.

Four methods and four seeds, V = 4 views, 20 epochs: data in memory, then bank (built, hashed, checked against the live
teacher), set-up and training with its evaluations. Goal: at most 1.15 times the students alone where the teacher takes
at most 1 ms an image; for slower teachers within 10 % of the cost model (VN t_t + REN t_s). The slow teacher's bank is
really built; the sixteen trainings do not depend on which teacher filled it and are taken once.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import torch
from common import BATCH, make_run, make_source, make_teacher, take, use_one_thread

from alambic.data import Source, ViewSpec
from alambic.models.teacher import Teacher
from alambic.training.bank import Bank, build_bank
from alambic.training.loop import train
from alambic.training.recipe import Recipe
from alambic.training.setup import live_feed, teacher_spec

CELL_METHODS, SEEDS = ("kd", "dkd", "dist", "rsd"), 4
STUDENT, IMAGES, VIEWS, EPOCHS = "resnet8_w8", 256, 4, 20
TEACHERS = {
    "quick": {"img_size": 32, "patch_size": 8, "depth": 2},
    "slow": {"img_size": 32, "patch_size": 4, "depth": 12},
}


def open_bank(teacher: Teacher, source: Source, views: ViewSpec, folder: Path) -> Bank:
    """Everything that a study pays for its bank."""
    ids = source.splits["train"]
    feed = live_feed(teacher, source, views, frozenset({"logits", "embedding", "energy"}), ids)
    return Bank(build_bank(folder, feed, ids, VIEWS, {"teacher": teacher.hash}), verify=feed)


def image_seconds(teacher: Teacher, source: Source) -> float:
    """Of one image in the teacher, in batches as the bank's."""
    images = torch.randn(IMAGES, source.channels, *teacher.size)
    with torch.no_grad():
        return min(take(lambda: teacher.net(images)) for _ in range(3)) / IMAGES


def main() -> None:
    use_one_thread()
    source = make_source(IMAGES, 32, 100)
    views = ViewSpec(count=VIEWS, flip=True, shift=4)
    recipe = Recipe(epochs=EPOCHS, batch=BATCH)
    spent, banks, one_image = {}, {}, {}
    with tempfile.TemporaryDirectory() as folder:
        teachers = {name: make_teacher(source, "timm:vit_tiny_patch16_224", **how) for name, how in TEACHERS.items()}
        for name, teacher in teachers.items():
            one_image[name] = image_seconds(teacher, source)

            def open_it(name: str = name, teacher: Teacher = teacher) -> None:
                banks[name] = open_bank(teacher, source, views, Path(folder) / name)

            spent[name] = take(open_it)
        shapes = teacher_spec(teachers["quick"])

        def cell(method: str, seed: int) -> Callable[[], object]:
            taught = method != "none"
            feed, given = (banks["quick"], shapes) if taught else (None, None)
            run = lambda: make_run(source, method, views, recipe, feed, given, STUDENT)  # noqa: E731
            return lambda: train(replace(run(), seed=seed))

        cell("kd", 0)()
        started = time.perf_counter()
        cells = alone = 0.0
        for seed in range(SEEDS):
            for method in CELL_METHODS:
                alone += take(cell("none", seed))
                cells += take(cell(method, seed))
    count = SEEDS * len(CELL_METHODS)
    print(f"{count} cells of {STUDENT}, {IMAGES} images at 32 x 32, batch {BATCH}, {EPOCHS} epochs, V = {VIEWS}")
    print(f"sum of students alone {alone:.1f} s, the {count} cells from a bank {cells:.1f} s (processor time)")
    for name in TEACHERS:
        whole, model = spent[name] + cells, VIEWS * IMAGES * one_image[name] + alone
        print(
            f"{name} teacher ({1e3 * one_image[name]:.2f} ms an image): bank {spent[name]:.1f} s, "
            f"whole / alone = {whole / alone:.3f}, whole / cost model = {whole / model:.3f}"
        )
    live = count * EPOCHS * IMAGES * one_image["slow"] + alone
    print(f"a live slow teacher would take {live / (spent['slow'] + cells):.1f} times the whole, by the cost model")
    print(f"wall time of the trainings {time.perf_counter() - started:.0f} s")


if __name__ == "__main__":
    main()
