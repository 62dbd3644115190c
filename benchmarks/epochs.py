"""An epoch of distillation from a bank beside an epoch of the same student alone, for each method that a bank serves.

Goal: at most 1.10 times as long for methods on logits, 1.25 on embeddings. Methods that read the student's maps
(``stages`` or ``energy`` among what they need) have no goal; two-view methods see each image twice and CRD compares
with 16,384 negatives, so they stand apart. Both sides run the engine's own steps: order, views, batch,
bank, loss, optimiser; the evaluation at an epoch's end, equal for both, is left out.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Iterator
from pathlib import Path

from common import BATCH, STUDENT, compare, make_run, make_source, make_teacher, use_one_thread

from alambic.data import ViewSpec
from alambic.errors import AlambicError
from alambic.methods import all_methods
from alambic.training.bank import BANKABLE, Bank, build_bank
from alambic.training.loop import Trainee, batches, gather
from alambic.training.recipe import Recipe
from alambic.training.setup import live_feed, teacher_spec

GOALS = {"logits": 1.10, "embedding": 1.25}
STEPS, VIEWS = 10, 4
APART = {"crd": "negatives from a memory bank"}


class Epochs:
    """A training whose steps are taken one at a time, epoch after epoch."""

    def __init__(self, trainee: Trainee) -> None:
        self.trainee, self.steps, self.epoch = trainee, self._steps(), 0

    def _steps(self) -> Iterator[None]:
        while True:
            order = self.trainee.start_epoch(self.epoch)
            for step, ids in batches(self.trainee.run, order):
                self.trainee.step(gather(self.trainee.run, ids, self.epoch), self.epoch, step)
                yield
            self.epoch += 1

    def __call__(self) -> None:
        next(self.steps)


def kind_of(name: str) -> str:
    """The list in which a method stands; "" for what no bank serves."""
    method = all_methods()[name]
    needs = method.needs
    if not needs.teacher or not needs.teacher <= BANKABLE:
        return ""
    if needs.views == 2 or name in APART:
        return "apart"
    if needs.student & {"stages", "energy"}:
        return "maps and stages"
    return "logits" if needs.teacher == {"logits"} and not needs.student - {"logits"} else "embedding"


def measure(names: list[str], rounds: int, steps: int = STEPS) -> dict[str, float]:
    """Ratio to the student alone for each method; those that refuse this pair are left out."""
    source = make_source(steps * BATCH, 32, 100)
    views = ViewSpec(count=VIEWS, flip=True, shift=4)
    recipe = Recipe(epochs=100, batch=BATCH, warmup=0)
    teacher = make_teacher(source, "timm:vit_tiny_patch16_224", img_size=32, patch_size=8, depth=2)
    shapes, ids = teacher_spec(teacher), source.splits["train"]
    with tempfile.TemporaryDirectory() as folder:
        feed = live_feed(teacher, source, views, frozenset({"logits", "embedding", "energy"}), ids)
        bank = Bank(build_bank(Path(folder), feed, ids, VIEWS, {"teacher": teacher.hash}), verify=feed)
        alone, found = Epochs(Trainee(make_run(source, "none", views, recipe))), {}
        for name in names:
            try:
                taught = Epochs(Trainee(make_run(source, name, views, recipe, bank, shapes)))
            except AlambicError as error:
                print(f"{name}: not measured, {error}")
                continue
            found[name] = compare(taught, alone, rounds)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", help="methods; all that a bank serves by default")
    parser.add_argument("--rounds", type=int, default=5)
    given = parser.parse_args()
    use_one_thread()
    names = given.names or [name for name in all_methods() if kind_of(name)]
    ratios = measure(names, given.rounds)
    print(f"epoch from a bank / epoch alone: {STUDENT}, batch {BATCH}, 32 x 32, teacher embedding 192, one thread")
    notes = {"maps and stages": "no goal", "apart": "two views, memory banks"}
    for kind in ("logits", "embedding", "maps and stages", "apart"):
        rows = sorted((ratio, name) for name, ratio in ratios.items() if kind_of(name) == kind)
        goal = GOALS.get(kind)
        if not rows:
            continue
        met = sum(ratio <= goal for ratio, _ in rows) if goal else 0
        print(f"\n{kind}" + (f": goal {goal}, met by {met} of {len(rows)}" if goal else f" ({notes[kind]})"))
        for ratio, name in rows:
            print(f"  {name:24}{ratio:6.2f}" + ("  over the goal" if goal and ratio > goal else ""))


if __name__ == "__main__":
    main()
