"""A small ledger with known effects, made without training: what the report's tests read."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from alambic.report.chapters.blocks import Section
from alambic.report.chapters.document import compose_document
from alambic.report.facts.findings import find
from alambic.study.ledger import Ledger, Predictions, Row
from alambic.suitability.gains import measure_gains
from alambic.suitability.judgement import pass_judgement, save_judgement
from alambic.suitability.scorecard import Scorecard, save_scorecards

# share of right answers above the student alone; on 4,000 images two points are seen, a tenth is not
EFFECTS = {"none": 0.0, "rsd": 0.04, "kd": 0.001, "at": -0.05, "label_smoothing": 0.0}
TEACHERS = {
    "vit": {"teacher_family": "vit", "teacher_provenance": "distilled from resnet", "teacher_score": 0.93},
    "convnext": {"teacher_family": "convnext", "teacher_provenance": "labels", "teacher_score": 0.94},
}
ENVIRONMENT = {"torch": "2.14.1", "device": "cpu", "machine": "x86_64"}


def make_content(student: str, arm: str, teacher: str | None, seed: int, **changes: Any) -> dict[str, Any]:
    """A cell's content as the study writes it."""
    content: dict[str, Any] = {
        "student": student,
        "teacher": teacher,
        "arm": {"name": arm, "methods": [arm], "settings": {}, "weights": [], "modifiers": [], "teachers": []},
        "seed": seed,
        "purpose": "demo",
        "task": {"classes": 10, "class_weights": [], "metric": "accuracy"},
        "class_names": [str(label) for label in range(10)],
        "data": {"source": "toy", "hash": "d" * 64, "split_hash": "e" * 64, "train_images": 5000, "unlabelled": 0},
        "views": {"count": 4, "seed": 0, "flip": True, "shift": 2},
        "recipe": {"epochs": 8, "batch": 128, "optimizer": "sgd", "lr": 0.1},
        "environment": ENVIRONMENT,
        "threads": 1,
        "sources": {"logits": "bank: it fits"} if teacher else {},
    }
    if teacher:
        content |= {**TEACHERS[teacher], "teacher_data": "same", "teacher_hash": f"hash of {teacher}"}
    return content | changes


def make_ledger(
    path: Path,
    seeds: int = 4,
    images: int = 4000,
    students: tuple[str, ...] = ("dscnn_24x3",),
    int8: bool = True,
    test: bool = True,
    effects: dict[str, float] | None = None,
    **changes: Any,
) -> Path:
    """Writes a ledger: each arm of ``effects`` with each teacher (none and label_smoothing without), some left out."""
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 10, images)
    hard = rng.random(images)  # of each image: shared by all cells, hence paired
    ledger = Ledger(path)
    split = "test" if test else "tune"
    for size, student in enumerate(students):
        for arm, effect in (effects or EFFECTS).items():
            for teacher in [None] if arm in ("none", "label_smoothing") else list(TEACHERS):
                for seed in range(seeds):
                    noise = np.random.default_rng([seed, size, sum(map(ord, arm + (teacher or "")))])
                    right = 0.80 + 0.05 * size + effect + noise.normal(0, 0.002)
                    predictions, numbers = (
                        {},
                        {"seconds": 30.0 + 10 * (teacher is not None), "parameters": 3000, "rss_mb": 400},
                    )
                    for precision in ("fp32", "int8") if int8 else ("fp32",):
                        level = right - 0.01 * (precision == "int8")
                        found = np.where(hard + noise.normal(0, 0.05, images) < level, labels, (labels + 1) % 10)
                        margin = noise.random(images).astype(np.float32)
                        predictions[(split, precision)] = Predictions(found, margin)
                        name = split if precision == "fp32" else f"{split}_int8"
                        numbers[name] = float((found == labels).mean())
                    numbers.setdefault("tune", numbers[split] + 0.005)
                    if int8:
                        numbers |= {"weight_bytes": 3400 + 9000 * size, "agreement_int8": 0.97, "arena_bytes": 30000}
                        numbers |= {"peak_activation_bytes": 20000, "peak_layer": "stem", "macs": 1_500_000}
                    curve = [
                        {
                            "epoch": epoch,
                            "lr": 0.1,
                            "loss": {"ce": 1 / epoch},
                            "seconds": 4.0,
                            "tune": numbers["tune"] - 0.2 / epoch**2,
                        }
                        for epoch in range(1, 9)
                    ]
                    content = make_content(student, arm, teacher, seed, **changes)
                    row = Row(f"{len(ledger.rows()):016x}", content, "done", "", numbers)
                    ledger.record(row, curve, predictions)
        content = make_content(student, "ofa", "vit", 0, **changes)
        ledger.record(Row(f"skip{size:012x}", content, "skipped", "ofa needs maps, the teacher has none", {}))
    ledger.set_meta(f"labels_{split}", json.dumps(labels.tolist()))
    for key, value in (("study_name", "quickstart"), ("study_text", 'name = "quickstart"\n'), ("purpose", "demo")):
        ledger.set_meta(key, value)
    ledger.set_meta("started", "2026-01-02 10:00:00")
    ledger.set_meta("finished", "2026-01-02 10:10:00")
    card = {"quantities": ["logits", "embedding"], "views": 4, "images": 5000, "seconds": 12.5}
    ledger.record_bank("bank-vit", card)
    ledger.close()
    return path


def make_suited(
    path: Path, judged: bool = True, refits: int = 2, harm: float = 0.0, told: tuple[str, ...] = ("nasty",)
) -> None:
    """A ledger of eight teachers of two families with scorecards beside it: gains follow ``absorbable``."""
    rng, held = np.random.default_rng(5), Ledger(path)
    cards = []
    names = [f"t{i}" for i in range(8)] + ["nasty"]
    for index, name in enumerate(names):
        quality = -6.0 if name == "nasty" else float(rng.normal()) + 1.5 * (index % 2)
        values = {"absorbable": quality, "accuracy": 0.8 + 0.02 * float(rng.random()), "pilot_gain": 0.01 * quality}
        values |= {"headroom": 0.1, "cka": float(rng.normal())}
        family = "vit" if index % 2 else "resnet"
        cards.append(Scorecard(name, f"h {name}", family, "labels", 9, "s", "toy 5,000", "e" * 64, values, {}, 1.2))
        for seed in range(2):
            taught = quality + harm * (name == "nasty")
            score = 0.7 + 0.01 * (taught + 0.1 * float(rng.normal()))
            more = {"teacher": name, "teacher_hash": f"h {name}", "teacher_score": 0.6 + 0.04 * index**2 / 64}
            more |= {"teacher_family": family, "teacher_provenance": "distilled from t0" if index == 3 else "labels"}
            content = make_content("s", "kd", None, seed) | more
            held.record(Row(f"{name}{seed}", content, "done", "", {"test": score, "tune": score}))
    for seed in range(2):
        held.record(Row(f"none{seed}", make_content("s", "none", None, seed), "done", "", {"test": 0.7, "tune": 0.7}))
    rows = held.rows("done")
    held.close()
    save_scorecards(path.parent / "suitability.json", cards)
    if judged:
        found = pass_judgement(cards, measure_gains(rows, "test"), nasty=told, refits=refits)
        save_judgement(path.parent / "suitability.json", cards, found)


def chapters(path: Path) -> dict[str, Section]:
    """Key -> section of the document that a ledger's report prints."""
    return {section.key: section for section in compose_document(find(path), "en")}


def keys(section: Section) -> list[str]:
    """The keys of a section's claims, in order."""
    return [claim.key for claim in section.claims]
