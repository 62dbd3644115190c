"""The GPU's fast path: equal to the CPU first, then how long steps take, as plain steps and as CUDA graphs.

First five epochs' losses of ``none``, ``kd`` and ``rsd`` on the GPU (plain and as a graph) against the CPU's: within
2 %, or the benchmark stops. Then, images and bank in device memory: wall time of a step by batch and precision, plain
and recorded, and of 1 to 16 students whose graphs run side by side on streams of one process. ``--device cpu`` goes
through everything but the graphs on a small scale, to see that the script is sound.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import torch
from common import STUDENT, make_run, make_source, make_teacher

from alambic.data import Source, ViewSpec
from alambic.models.feature import OutputSpec
from alambic.training.bank import Bank, build_bank
from alambic.training.feed import Feed
from alambic.training.lockstep import train_group
from alambic.training.loop import Trainee, batches, gather
from alambic.training.recipe import Recipe
from alambic.training.resident import ResidentBank, move_source
from alambic.training.setup import live_feed, teacher_spec

VIEWS = ViewSpec(count=4, flip=True, shift=4)
COMPARED, TOLERANCE = ("none", "kd", "rsd"), 0.02
PLAIN = "plain steps were asked for"


class Bench:
    """Images and a bank, on the host and on a device."""

    def __init__(self, device: str, images: int, folder: Path) -> None:
        self.source = make_source(images, 32, 100)
        teacher = make_teacher(self.source, "timm:vit_tiny_patch16_224", img_size=32, patch_size=8, depth=2)
        self.shapes: OutputSpec = teacher_spec(teacher)
        self.ids = self.source.splits["train"]
        self.there: Source = move_source(self.source, device)
        feed = live_feed(teacher, self.there, VIEWS, frozenset({"logits", "embedding"}), self.ids)
        self.bank = Bank(build_bank(folder, feed, self.ids, VIEWS.count, {"teacher": teacher.hash}), verify=feed)
        self.resident = ResidentBank(self.bank, self.ids, device)

    def trainee(self, method: str, recipe: Recipe, host: bool = False, plain: bool = False) -> Trainee:
        feed: Feed | None = None if method == "none" else self.bank if host else self.resident
        shapes = None if feed is None else self.shapes
        found = Trainee(make_run(self.source if host else self.there, method, VIEWS, recipe, feed, shapes))
        found.eager_because = found.eager_because or (PLAIN if plain else "")
        return found


def losses(trainee: Trainee) -> list[float]:
    """Total loss of each epoch."""
    found = []
    for epoch in range(trainee.epochs):
        for step, ids in batches(trainee.run, trainee.start_epoch(epoch)):
            trainee.advance(ids, epoch, step, lambda ids=ids, epoch=epoch: gather(trainee.run, ids, epoch))
        found.append(sum(trainee.end_epoch(epoch)["loss"].values()))
    return found


def check_equality(bench: Bench) -> None:
    """Raises SystemExit where the device learns something else than the CPU."""
    recipe = Recipe(epochs=5, batch=64, lr=0.02, eval_every=5)
    for method in COMPARED:
        expected = losses(bench.trainee(method, recipe, host=True))
        for plain in (True, False):
            trainee = bench.trainee(method, recipe, plain=plain)
            found = losses(trainee)
            worst = max(abs(a / b - 1) for a, b in zip(found, expected, strict=True))
            way = "graph" if trainee.recorded is not None else f"plain ({trainee.eager_because})"
            print(f"{method:6}{way:60} largest difference of an epoch's loss {worst:.2%}", flush=True)
            if worst > TOLERANCE:
                raise SystemExit(f"{method}: expected the CPU's losses {expected} within {TOLERANCE}, got {found}")


def wait(device: str) -> None:
    if device == "cuda":
        torch.cuda.synchronize()


def time_steps(trainee: Trainee, device: str, steps: int) -> float:
    """Seconds of one step: the median of three runs of ``steps``, after one that does not count."""
    run, found = trainee.run, []
    order = trainee.start_epoch(0)
    every = [ids for _, ids in batches(run, order)]
    for _ in range(4):
        wait(device)
        started = time.perf_counter()
        for step in range(steps):
            ids = every[step % len(every)]
            trainee.advance(ids, 0, step % len(every), lambda ids=ids: gather(run, ids, 0))
        wait(device)
        found.append((time.perf_counter() - started) / steps)
    return sorted(found[1:])[1]


def time_group(bench: Bench, count: int, device: str, batch: int) -> float:
    """Images a second of ``count`` students in one process, two epochs without the first, which records."""
    recipe = Recipe(epochs=3, batch=batch, eval_every=3)
    marks: dict[int, float] = {}

    def note(index: int, record: dict[str, object]) -> None:
        wait(device)
        marks[int(str(record["epoch"]))] = time.perf_counter()

    train_group([bench.trainee("kd", recipe).run for _ in range(count)], note)
    return count * (len(bench.ids) // batch * batch) / (marks[2] - marks[1])


def show(label: str, work: Callable[[], float], unit: str) -> None:
    print(f"{label:48}{work():>12,.0f} {unit}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda")
    device = parser.parse_args().device
    if device == "cuda" and not torch.cuda.is_available():
        print("no CUDA device here: nothing was measured")
        return
    small = device == "cpu"
    sizes, counts, steps = ((32,), (1, 2), 2) if small else ((128, 512, 1024), (1, 2, 4, 8, 16), 200)
    print(f"{torch.cuda.get_device_name() if not small else 'cpu'}, {STUDENT}, 32 x 32, V = {VIEWS.count}")
    with tempfile.TemporaryDirectory() as folder:
        check_equality(Bench(device, 128, Path(folder) / "small"))
        bench = Bench(device, 128 if small else 16384, Path(folder) / "large")
        for batch in sizes:
            for precision in ("fp32", "bf16"):
                for plain in (True,) if small else (True, False):
                    recipe = Recipe(epochs=1000, batch=batch, precision=precision, warmup=0)
                    for method in ("none", "kd"):
                        trainee = bench.trainee(method, recipe, plain=plain)
                        label = f"{method}, batch {batch}, {precision}, {'plain' if plain else 'recorded'}"
                        show(label, lambda t=trainee, b=batch: b / time_steps(t, device, steps), "images/s")
        for count in counts:
            label = f"{count} students with kd, batch {sizes[0]}, side by side"
            show(label, lambda n=count: time_group(bench, n, device, sizes[0]), "images/s")


if __name__ == "__main__":
    main()
