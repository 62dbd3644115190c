"""Forty of the soak's random networks through the whole chain, and a look at the soak that was committed."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch

from script_tools import load_script

pytest.importorskip("onnxruntime")
pytest.importorskip("ai_edge_litert")
pytest.importorskip("tflite_micro", reason="tflite-micro is not installed")
pytest.importorskip("ethosu.vela", reason="ethos-u-vela is not installed")

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def soak() -> ModuleType:
    return load_script("soak_deploy")


@pytest.mark.slow
def test_forty_random_networks_are_equal_or_refused_with_a_reason(soak: ModuleType) -> None:
    outcomes = soak.run_soak(0, 40)
    assert [(item.number, item.reason) for item in outcomes if item.state == "wrong"] == []
    assert all(item.reason for item in outcomes if item.state == "refused")
    assert sum(item.state == "equal" for item in outcomes) >= 30


def test_the_committed_soak_is_of_these_networks_and_without_a_fault(soak: ModuleType) -> None:
    told = json.loads((ROOT / "benchmarks" / "deploy_soak.json").read_text())
    summary, outcomes = told["summary"], told["outcomes"]
    assert summary["networks"] == len(outcomes) == 300
    assert Counter(item["state"] for item in outcomes) == {"equal": summary["equal"], "refused": summary["refused"]}
    assert all(item["reason"] for item in outcomes if item["state"] == "refused")
    assert {part for item in outcomes for part in item["parts"]} >= {"stem", *soak.PARTS, *soak.FOREIGN}
    assert [soak.make_network(number)[2] for number in range(0, 300, 60)] == [
        outcomes[number]["parts"] for number in range(0, 300, 60)
    ]


def test_a_network_of_the_soak_depends_on_its_number_alone(soak: ModuleType) -> None:
    (one, shape, parts), _, (again, *rest) = (soak.make_network(number) for number in (7, 8, 7))
    assert [shape, parts] == rest
    images = torch.randn(2, *shape)
    assert torch.equal(one(images), again(images))


def test_a_wrong_answer_of_the_device_would_be_seen(
    soak: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    right = soak.predict_tflm
    assert soak.run_chain(0, tmp_path).state == "equal"
    monkeypatch.setattr(soak, "predict_tflm", lambda path, images: np.roll(right(path, images), 1, 0))
    outcome = soak.run_chain(0, tmp_path)
    assert (outcome.state, "tflm" in outcome.reason) == ("wrong", True)
