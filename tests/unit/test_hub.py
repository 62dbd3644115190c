"""Pretrained networks see what their weights were trained on, unless the file says otherwise; nothing is downloaded."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

from alambic.models import teachers
from alambic.models.hub import find_hub_input
from alambic.models.teacher import TeacherSpec
from alambic.models.teachers import load_teacher
from alambic.study.study_file import read_study

IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
STUDIES = Path(__file__).parents[2] / "studies"


@pytest.mark.parametrize(
    ("net", "size", "mean"),
    [
        ("timm:resnet18", 224, IMAGENET[0]),
        ("timm:mixer_b16_224.goog_in21k_ft_in1k", 224, (0.5, 0.5, 0.5)),
        ("torchvision:resnet18", 224, IMAGENET[0]),
        ("torchvision:inception_v3", 299, IMAGENET[0]),
    ],
)
def test_a_pretrained_network_takes_its_own_input(net: str, size: int, mean: tuple[float, ...]) -> None:
    spec = TeacherSpec(net, pretrained=True)
    assert (spec.size, spec.mean) == ((size, size), mean)
    told = TeacherSpec(net, pretrained=True, size=(64, 48), mean=(0.1,), std=(0.3,))
    assert (told.size, told.mean, told.std) == ((64, 48), (0.1,), (0.3,))
    part = TeacherSpec(net, pretrained=True, mean=(0.1,))
    assert part.std == TeacherSpec(net, pretrained=True).std


def test_others_take_the_images_own() -> None:
    """What is not of the hub, what has a weights file whose card tells, names that the hub does not know."""
    for spec in (
        TeacherSpec("timm:resnet18"),
        TeacherSpec("timm:resnet18", pretrained=True, weights="mine.safetensors"),
        TeacherSpec("zoo:resnet8_w4", pretrained=True),
        TeacherSpec("timm:resnet_of_nobody", pretrained=True),
        TeacherSpec("torchvision:fcn_resnet50", pretrained=True),
    ):
        assert (spec.size, spec.mean, spec.std) == (None, (), ())
    found = find_hub_input("timm:vit_tiny_patch16_224", {"img_size": 96})
    assert found is not None
    assert found.size == (96, 96)
    found = find_hub_input("timm:vit_tiny_patch16_224", {"img_size": [64, 32]})
    assert found is not None
    assert found.size == (64, 32)


def test_the_teacher_that_is_loaded_sees_it(monkeypatch: pytest.MonkeyPatch) -> None:
    shapes: list[tuple[int, ...]] = []

    class Net(nn.Module):
        def forward(self, images: torch.Tensor) -> torch.Tensor:
            shapes.append(tuple(images.shape))
            return images.mean((1, 2, 3))[:, None].repeat(1, 2) - 1

    monkeypatch.setattr(teachers, "create_net", lambda *given: Net())
    spec = TeacherSpec("timm:resnet18", pretrained=True)
    made = load_teacher("t", spec, 2, 3, (32, 32), (0.9, 0.9, 0.9), (0.1, 0.1, 0.1))
    assert (made.size, made.mean, made.std) == ((224, 224), *IMAGENET)
    assert shapes == [(4, 3, 224, 224)]
    grey = load_teacher("t", spec, 2, 1, (32, 32), (0.9,), (0.1,))
    assert grey.mean == pytest.approx((sum(IMAGENET[0]) / 3,))


def test_committed_studies_say_it_all_themselves() -> None:
    """So that this default changed no result: what the file says is what the hub says."""
    for name, entry in read_study(STUDIES / "pretrained" / "study.toml").teachers.items():
        assert entry.spec.pretrained
        assert (STUDIES / "pretrained" / "study.toml").read_text().count("mean = ") == 5
        hub = find_hub_input(entry.spec.net, entry.spec.kwargs)
        assert hub == (entry.spec.size, entry.spec.mean, entry.spec.std), name
