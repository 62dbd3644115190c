"""A compiled training step beside the plain one (``[execution] compile``), for students of three shapes.

Cross-entropy on images of 32 x 32 from memory, the whole step of the engine, one thread, fp32. Cold: seconds of wall
time until the first compiled step is done, with nothing in torch's cache; warm: the same again, from the cache. From
"pays from" images on, a process that compiles once has saved its cold time: a study asks for twice that
(``study.compiling``).
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time

import torch
from common import compare, make_run, make_source, take, use_one_thread

from alambic.data import ViewSpec
from alambic.models.compiled import Compiled
from alambic.training.loop import Run, Trainee, batches, gather
from alambic.training.recipe import Recipe

STUDENTS = {"dscnn_24x3": 64, "dscnn_48x4": 64, "resnet8_w8": 128}  # batch


class Steps:
    """One step of a training after the other."""

    def __init__(self, run: Run) -> None:
        self.run, self.trainee = run, Trainee(run)
        self.order = self.trainee.start_epoch(0)

    def __call__(self) -> None:
        step, ids = next(batches(self.run, self.order))
        self.trainee.advance(ids, 0, step, lambda: gather(self.run, ids, 0))


def wait(work: Steps) -> float:
    """Seconds of wall time: compilers are processes of their own."""
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", help=f"of {', '.join(STUDENTS)}; all by default")
    parser.add_argument("--rounds", type=int, default=12)
    given = parser.parse_args()
    use_one_thread()
    source = make_source(512, 32, 10)
    print(f"{'student':14}{'batch':>6}{'plain/s':>9}{'compiled / plain':>18}{'cold s':>8}{'warm s':>8}  pays from")
    for name in given.names or STUDENTS:
        batch = STUDENTS.get(name, 128)

        def make(compiled: bool, name: str = name, batch: int = batch) -> Steps:
            run = make_run(source, "none", ViewSpec(), Recipe(batch=batch), student=name)
            if compiled:
                run.tapped = Compiled(run.tapped)
            return Steps(run)

        plain = make(False)
        with tempfile.TemporaryDirectory() as cache:
            os.environ["TORCHINDUCTOR_CACHE_DIR"] = cache
            cold = wait(make(True))
            torch._dynamo.reset()
            compiled = make(True)
            warm = wait(compiled)
            ratio = compare(compiled, plain, given.rounds)
        speed = batch / min(take(plain) for _ in range(given.rounds))
        pays = f"{cold * speed / (1 - ratio):,.0f} images" if ratio < 1 else "never"
        print(f"{name:14}{batch:>6}{speed:>9.0f}{ratio:>18.2f}{cold:>8.0f}{warm:>8.1f}  {pays}", flush=True)


if __name__ == "__main__":
    main()
