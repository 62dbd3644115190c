"""Teachers: any timm or torchvision name, a network of the student zoo, a user's own function, or an ONNX file.

A teacher may come with a weights file and, beside it, its card: a JSON of the same name that says how the network is
made, what it was trained on and by which recipe, and what it scores.
"""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from alambic.errors import AlambicError, nearest
from alambic.files import hash_tensors, read_state_dict, write_atomic
from alambic.models.cards import CARD_FIELDS, read_card
from alambic.models.feature import refuse_probabilities
from alambic.models.grouped import group_classes
from alambic.models.onnx_net import OnnxNet, hash_onnx
from alambic.models.own_code import code_version, create_own, is_own_code
from alambic.models.students import create_student
from alambic.models.teacher import Teacher, TeacherSpec


def create_net(spec: TeacherSpec, classes: int, channels: int, size: tuple[int, int], folder: Path) -> nn.Module:
    """The network of a spec without trained weights (but the hub's, if ``pretrained``)."""
    kind, _, name = spec.net.partition(":")
    if spec.net.endswith(".onnx"):
        unknown = set(spec.kwargs) - {"output", "threads"}
        if unknown:
            raise AlambicError(f"{spec.net}: expected kwargs out of output and threads, got {sorted(unknown)}")
        return OnnxNet(folder / spec.net, **spec.kwargs)
    if is_own_code(spec.net):
        return create_own(spec.net, folder, {"in_channels": channels, "num_classes": classes}, **spec.kwargs)
    if kind == "zoo":
        if spec.kwargs:
            raise AlambicError(f"zoo:{name} expected no kwargs, since its name says all, got {spec.kwargs}")
        return create_student(name, in_channels=channels, image_size=size, num_classes=classes)
    if kind == "timm":
        return _create_timm(name, spec, classes, channels)
    if kind == "torchvision":
        return _create_torchvision(name, spec, classes)
    raise AlambicError(
        f"expected a network as timm:NAME, torchvision:NAME, zoo:NAME, file.py:function or file.onnx, got {spec.net!r}"
    )


def _create_timm(name: str, spec: TeacherSpec, classes: int, channels: int) -> nn.Module:
    import timm

    if not timm.is_model(name):
        raise AlambicError(f"timm has no network {name!r}: {nearest(name, timm.list_models())}")
    try:
        net: nn.Module = timm.create_model(
            name, pretrained=spec.pretrained, in_chans=channels, num_classes=classes, **spec.kwargs
        )
    except Exception as error:
        raise _tell_unmade(spec, error) from error
    return net


def _tell_unmade(spec: TeacherSpec, error: Exception) -> AlambicError:
    """Another library's constructor may raise anything for kwargs that it does not know, or without a network."""
    return AlambicError(
        f"{spec.net} could not be made with {spec.kwargs or 'no settings'}: {error}; try "
        "pretrained = false with a weights file where there is no network, or other kwargs"
    )


def _create_torchvision(name: str, spec: TeacherSpec, classes: int) -> nn.Module:
    from torchvision import models

    if name not in models.list_models():
        raise AlambicError(f"torchvision has no network {name!r}: {nearest(name, models.list_models())}")
    given: dict[str, Any] = {"weights": "DEFAULT"} if spec.pretrained else {"num_classes": classes}
    try:
        net: nn.Module = models.get_model(name, **given, **spec.kwargs)
    except Exception as error:
        raise _tell_unmade(spec, error) from error
    if not spec.pretrained:
        return net
    last = [(key, module) for key, module in net.named_modules() if isinstance(module, nn.Linear)][-1]
    if last[1].out_features != classes:
        parent = net.get_submodule(last[0].rpartition(".")[0])
        setattr(parent, last[0].rpartition(".")[2], nn.Linear(last[1].in_features, classes))
    return net


def load_teacher(
    name: str,
    spec: TeacherSpec,
    classes: int,
    channels: int,
    size: tuple[int, int],
    mean: tuple[float, ...],
    std: tuple[float, ...],
    folder: Path = Path(),
) -> Teacher:
    """Makes a teacher and loads its weights and card.

    Args:
        classes, channels, size, mean, std: of the task and its images; the card or the spec overrides them.
        folder: relative paths of the spec start here.

    Raises AlambicError for a missing, truncated, hostile or mismatched weights file.
    """
    card: dict[str, Any] = {}
    if spec.weights is not None:
        card = read_card(folder / spec.weights)
        spec = merge_card(spec, card)
    channels = spec.channels or channels
    size = spec.size or size
    mean, std = fit_channels(spec.mean or mean, channels), fit_channels(spec.std or std, channels)
    net = create_net(spec, int(card.get("classes", classes)), channels, size, folder)
    if spec.weights is not None:
        load_weights(net, folder / spec.weights, f"teacher {name!r}")
    digest = hash_onnx(folder / spec.net) if isinstance(net, OnnxNet) else hash_tensors(net.state_dict())
    net.eval().requires_grad_(False)
    scores = run_once(net, torch.linspace(0, 1, 4).view(-1, 1, 1, 1).repeat(1, channels, *size), f"teacher {name!r}")
    refuse_probabilities(scores, f"teacher {name!r}")
    classes_given = int(scores.shape[1]) if isinstance(scores, Tensor) and scores.ndim == 2 else None
    teacher = Teacher(name, net, replace(spec, groups=()), size, mean, std, classes_given, digest, card, folder)
    if not spec.groups:
        return teacher
    return group_classes(teacher, spec.groups)


def fit_channels(values: tuple[float, ...], channels: int) -> tuple[float, ...]:
    """A per-channel statistic for another channel count: the average for each."""
    if len(values) == channels:
        return tuple(values)
    average = sum(values) / len(values)
    return (average,) * channels


def run_once(net: nn.Module, images: Tensor, label: str) -> Any:
    """What a network gives for some images. Raises AlambicError where it does not run on their shape."""
    try:
        with torch.no_grad():
            return net(images)
    except (AlambicError, torch.OutOfMemoryError):
        raise
    except Exception as error:  # timm refuses a wrong size by an assertion; a user's own code may raise anything
        raise AlambicError(
            f"{label}: expected a network that runs on images of shape {tuple(images.shape)}, but it failed: {error}; "
            "try the size and channels that it was made for, or kwargs such as { img_size = 28, patch_size = 4 }"
        ) from error


def load_weights(net: nn.Module, path: Path, label: str) -> None:
    """Loads a weights file strictly. fp16 files are widened to the network's precision."""
    state = read_state_dict(path)
    own = net.state_dict()
    missing, extra = sorted(set(own) - set(state)), sorted(set(state) - set(own))
    wrong = [key for key in own if key in state and own[key].shape != state[key].shape]
    if missing or extra or wrong:
        detail = "; ".join(
            f"{what}: {', '.join(keys[:3])}{' ...' if len(keys) > 3 else ''}"
            for what, keys in (("missing", missing), ("unexpected", extra), ("other shape", wrong))
            if keys
        )
        raise AlambicError(f"{label}: expected weights for {type(net).__name__}, got other ones in {path} ({detail})")
    net.load_state_dict({key: value.to(own[key].dtype) for key, value in state.items()})


def tell_outputs(teacher: Teacher) -> dict[str, Any]:
    """What decides a teacher's outputs beside its weights: its network, of a user's file its name and state, and what
    it is given. Nothing tells where files lie."""
    net, kwargs = teacher.spec.net, teacher.spec.kwargs
    if is_own_code(net):
        net = f"{Path(net).name} {code_version(net, teacher.folder)}"
    elif net.endswith(".onnx"):
        net = Path(net).name
    told = {"net": net, "size": list(teacher.size), "mean": list(teacher.mean), "std": list(teacher.std)}
    return {**told, "kwargs": kwargs} if kwargs else told


def save_teacher(path: Path, net: nn.Module, card: dict[str, Any]) -> None:
    """Writes fp16 safetensors and the card beside it; the card gets the hash of the weights as loaded back."""
    half = {k: v.half() if v.is_floating_point() else v for k, v in net.state_dict().items()}
    half = {k: v.detach().cpu().contiguous(memory_format=torch.contiguous_format) for k, v in half.items()}
    infinite = [k for k, v in half.items() if v.is_floating_point() and not torch.isfinite(v).all()]
    if infinite:
        raise AlambicError(f"expected weights that fit fp16, got infinity in {infinite[0]}; keep them in fp32")
    own = net.state_dict()
    card = {**card, "weights_hash": hash_tensors({k: v.to(own[k].dtype) for k, v in half.items()})}
    write_atomic(path, lambda part: save_file(half, part))
    text = json.dumps(card, indent=2, sort_keys=True) + "\n"
    write_atomic(path.with_suffix(".json"), lambda part: part.write_text(text))


def merge_card(spec: TeacherSpec, card: dict[str, Any]) -> TeacherSpec:
    """The spec with what the card knows where the spec says nothing (``net = "card"`` takes the card's network)."""
    values, defaults = asdict(spec), asdict(TeacherSpec(spec.net))
    made = card.get("spec", {})
    for name in CARD_FIELDS:
        if name != "net" and name in made and values[name] == defaults[name]:
            value = made[name]
            values[name] = tuple(value) if isinstance(value, list) else value
    if spec.net == "card":
        if "net" not in made:
            raise AlambicError(
                f"expected a card beside {spec.weights} that names its network, found none; try `alambic teachers "
                'train` with the file that lists it, or net = "timm:NAME" for weights of another origin'
            )
        values["net"] = made["net"]
    return TeacherSpec(**values)
