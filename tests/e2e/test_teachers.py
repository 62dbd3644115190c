"""Teachers of every kind, from their spec to their outputs; the ones that must be refused."""

import json

import numpy as np
import pytest
import torch

from alambic.data import DataSpec, ViewSpec, from_arrays, load_source
from alambic.errors import AlambicError
from alambic.models.teacher import TeacherSpec
from alambic.models.teachers import load_teacher
from alambic.suitability.collect import tell_provenance
from alambic.training.recipe import Recipe
from alambic.training.setup import live_feed
from alambic.training.task import Task
from alambic.training.teach import TeacherTraining, train_teacher
from alambic.training.teacher_file import read_teacher_file, train_teachers

OWN = """
from torch import nn

def make(width=4):
    return nn.Sequential(
        nn.Conv2d(1, width, 3, padding=1), nn.ReLU(), nn.Conv2d(width, width, 3, padding=1), nn.ReLU(),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(width, 2))
"""


@pytest.fixture(scope="module")
def source():
    generator = np.random.default_rng(0)
    labels = generator.integers(0, 2, 200)
    images = generator.integers(0, 60, (200, 1, 16, 16)).astype(np.uint8)
    images[np.arange(200), 0, 8 * labels + 3, :] += 150
    return from_arrays(images, labels, spec=DataSpec("arrays", tune=0.2, test=0.2))


def load(spec, source, folder):
    return load_teacher("t", spec, 2, 1, source.size, source.mean, source.std, folder)


def test_timm_name_with_kwargs_own_size_and_three_channels(source, tmp_path):
    kwargs = {"img_size": 32, "patch_size": 8, "embed_dim": 48, "depth": 2, "num_heads": 3}
    spec = TeacherSpec("timm:vit_tiny_patch16_224", kwargs, size=(32, 32), channels=3)
    teacher = load(spec, source, tmp_path)
    assert (teacher.family, teacher.classes, teacher.size) == ("vit", 2, (32, 32))
    views = ViewSpec(count=2, flip=True)
    feed = live_feed(teacher, source, views, frozenset({"logits", "embedding", "stages"}), source.splits["train"])
    outputs = feed(source.splits["train"][:5], torch.zeros(5, dtype=torch.long))
    assert outputs.logits.shape == (5, 2)
    assert outputs.embedding.shape == (5, 48)
    assert outputs.stages[-1].prefix == 1


def test_own_code_trained_saved_and_loaded_back(source, tmp_path):
    (tmp_path / "nets.py").write_text(OWN)
    spec = TeacherSpec(f"{tmp_path}/nets.py:make", {"width": 6}, mean=(0.5,), std=(0.25,))
    training = TeacherTraining(Recipe(epochs=2, batch=32, lr=0.05), ViewSpec(flip=True))
    made = train_teacher("mine", spec, training, source, Task(2), tmp_path / "mine.safetensors")
    again = load(TeacherSpec("card", weights="mine.safetensors"), source, tmp_path)
    assert again.hash == made.hash == json.loads((tmp_path / "mine.json").read_text())["weights_hash"]
    assert again.mean == (0.5,)
    assert again.spec.split_hash == source.split_hash
    assert 0 <= made.card["test"] <= 1


@pytest.mark.parametrize(("seen", "told"), [("same", "external"), ("superset", "superset")])
def test_a_card_tells_that_the_hubs_weights_know_other_images(source, tmp_path, seen, told):
    spec = TeacherSpec("zoo:resnet8_w4", pretrained=True, teacher_data=seen)  # in place of a hub's
    training = TeacherTraining(Recipe(epochs=1, batch=32), ViewSpec())
    train_teacher("hub", spec, training, source, Task(2), tmp_path / "hub.safetensors")
    again = load(TeacherSpec("card", weights="hub.safetensors"), source, tmp_path)
    assert again.spec.teacher_data == told
    assert tell_provenance(again.spec) == ("pretrained" if told == "external" else "labels")


def test_card_score_is_what_the_loaded_network_scores(source, tmp_path):
    """The normalisation and size of training are those of teaching: the card's tune score comes back."""
    (tmp_path / "nets.py").write_text(OWN)
    spec = TeacherSpec(f"{tmp_path}/nets.py:make", {"width": 8}, size=(20, 20), mean=(0.4,), std=(0.1,))
    training = TeacherTraining(Recipe(epochs=6, batch=32, lr=0.05), ViewSpec(flip=True))
    made = train_teacher("mine", spec, training, source, Task(2), tmp_path / "mine.safetensors")
    ids = source.splits["tune"]
    feed = live_feed(made, source, ViewSpec(), frozenset({"logits"}), source.splits["train"])
    logits = feed(ids, torch.full_like(ids, -1)).logits
    score = float((logits.argmax(1) == source.labels[ids]).float().mean())
    assert score == pytest.approx(made.card["tune"], abs=1.5 / len(ids))


def test_a_second_round_starts_from_the_weights_of_the_first(source, tmp_path):
    (tmp_path / "nets.py").write_text(OWN)
    spec = TeacherSpec(f"{tmp_path}/nets.py:make", {"width": 6})
    views = ViewSpec(flip=True)
    training = TeacherTraining(Recipe(epochs=3, batch=32, lr=0.05), views)
    first = train_teacher("first", spec, training, source, Task(2), tmp_path / "first.safetensors")
    # a learning rate of nearly nothing leaves the weights where they began
    still = TeacherTraining(Recipe(epochs=1, batch=32, lr=1e-9, weight_decay=0.0), views, seed=1)
    target = tmp_path / "second.safetensors"
    second = train_teacher("second", spec, still, source, Task(2), target, start=first)
    for name, value in first.net.state_dict().items():
        assert torch.allclose(value, second.net.state_dict()[name], atol=1e-3), name
    assert second.card["start"]["weights_hash"] == first.card["weights_hash"]
    other = TeacherSpec(f"{tmp_path}/nets.py:make", {"width": 4})
    with pytest.raises(AlambicError, match="expected the network of 'first'"):
        train_teacher("third", other, still, source, Task(2), tmp_path / "third.safetensors", start=first)


def test_teachers_of_a_file_come_after_those_they_need(tmp_path):
    path = tmp_path / "teachers.toml"
    data = '[data]\nsource = "fashion-mnist"\n'
    path.write_text(
        data + '[teachers.b]\nnet = "zoo:resnet8_w8"\nstart_from = "a"\n[teachers.a]\nnet = "zoo:resnet8_w8"\n'
    )
    assert list(read_teacher_file(path)[1]) == ["a", "b"]
    path.write_text(path.read_text().replace('"a"', '"aa"'))
    with pytest.raises(AlambicError, match="there is no teacher 'aa'"):
        read_teacher_file(path)
    path.write_text(path.read_text().replace('"aa"', '"b"'))
    with pytest.raises(AlambicError, match="circle"):
        read_teacher_file(path)


def test_a_teacher_of_a_file_may_have_views_of_its_own(tmp_path):
    path = tmp_path / "teachers.toml"
    head = '[data]\nsource = "fashion-mnist"\n[views]\nseed = 3\nshift = 2\n'
    path.write_text(
        head + '[teachers.a]\nnet = "zoo:resnet8_w8"\n[teachers.b]\nnet = "zoo:resnet8_w8"\nviews = {mix = "mixup"}\n'
    )
    views = {name: entry.training.views for name, entry in read_teacher_file(path)[1].items()}
    assert views["a"] == ViewSpec(seed=3, shift=2)
    assert views["b"] == ViewSpec(seed=3, shift=2, mix="mixup")
    path.write_text(path.read_text().replace("mixup", "mixdown"))
    with pytest.raises(AlambicError, match="mixdown"):
        read_teacher_file(path)


FILE_OF_TWO = """
[data]
source = "{data}"
train = 40
[views]
flip = true
[recipe]
epochs = {epochs}
batch = 20
lr = 0.05
[teachers.old]
net = "card"
weights = "old.safetensors"
teacher_data = "{seen}"
[teachers.new]
net = "nets.py:make"
distil_from = "old"
start_from = "old"
settings = {{ ce_weight = 0.0 }}
"""


@pytest.fixture
def old(tmp_path):
    """A folder with data, a network and a trained teacher."""
    generator = np.random.default_rng(1)
    labels = generator.integers(0, 2, 120)
    np.savez(tmp_path / "x.npz", x=generator.integers(0, 256, (120, 16, 16), dtype=np.uint8), y=labels)
    (tmp_path / "nets.py").write_text(OWN)
    source = load_source(DataSpec(str(tmp_path / "x.npz")))
    spec = TeacherSpec(f"{tmp_path}/nets.py:make")
    training = TeacherTraining(Recipe(epochs=1, batch=32, lr=0.05), ViewSpec())
    return train_teacher("old", spec, training, source, Task(2), tmp_path / "old.safetensors")


def train_file(folder, seen="superset", epochs=1):
    path = folder / "teachers.toml"
    path.write_text(FILE_OF_TWO.format(data=folder / "x.npz", seen=seen, epochs=epochs))
    return train_teachers(path, folder, lambda *record: None)


def test_a_file_trains_on_the_images_it_names_from_a_teacher_that_is_there(old, tmp_path):
    before = (tmp_path / "old.safetensors").read_bytes()
    (made,) = train_file(tmp_path)
    assert made.name == "new"
    assert made.card["train_images"] == 40
    assert made.card["start"]["weights_hash"] == old.card["weights_hash"]
    assert made.spec.provenance == "distilled from old"
    assert made.spec.teacher_data == "superset"  # what it learnt from had seen more than these images
    assert (tmp_path / "old.safetensors").read_bytes() == before


def test_a_network_s_own_code_goes_with_its_weights_into_another_folder(tmp_path):
    generator, out, below = np.random.default_rng(0), tmp_path / "out", tmp_path / "below"
    images = generator.integers(0, 256, (120, 16, 16), dtype=np.uint8)
    np.savez(tmp_path / "x.npz", x=images, y=generator.integers(0, 2, 120))
    (tmp_path / "nets.py").write_text(OWN)
    below.mkdir()
    told = f'[data]\nsource = "{tmp_path}/x.npz"\n[recipe]\nepochs = 1\n[teachers.a]\nnet = "nets.py:make"\n'
    (tmp_path / "t.toml").write_text(told)
    (below / "t.toml").write_text(told.replace("nets.py", "../nets.py"))
    for _ in range(2):  # trained, then taken as it is
        assert [t.name for t in train_teachers(tmp_path / "t.toml", out, lambda *record: None)] == ["a"]
    assert (out / "nets.py").read_text() == OWN
    (out / "nets.py").write_text(OWN + "# other\n")
    with pytest.raises(AlambicError, match="got other code"):
        train_teachers(tmp_path / "t.toml", out, lambda *record: None)
    with pytest.raises(AlambicError, match="beside or below"):
        train_teachers(below / "t.toml", out / "deeper", lambda *record: None)


def test_a_file_refuses_to_teach_from_a_teacher_that_may_have_seen_test_images(old, tmp_path):
    card = json.loads((tmp_path / "old.json").read_text())
    card["spec"]["split_hash"] = "another"
    (tmp_path / "old.json").write_text(json.dumps(card))
    with pytest.raises(AlambicError, match="expected training on the train split of these data"):
        train_file(tmp_path)
    assert train_file(tmp_path, seen="external")[0].spec.teacher_data == "external"


def test_another_number_of_images_does_not_go_on_with_a_killed_training(old, tmp_path):
    ids = load_source(DataSpec(str(tmp_path / "x.npz"))).splits["train"]
    seen = []
    for images in (ids[:40], ids[:40], ids[:60]):
        source = load_source(DataSpec(str(tmp_path / "x.npz")))
        training = TeacherTraining(Recipe(epochs=2, batch=20, lr=0.05), ViewSpec())
        epochs = []

        def stop(record, epochs=epochs):
            epochs.append(record["epoch"])
            raise KeyboardInterrupt

        with pytest.raises((KeyboardInterrupt, AlambicError)):
            train_teacher(
                "k",
                TeacherSpec(f"{tmp_path}/nets.py:make"),
                training,
                source,
                Task(2),
                tmp_path / "k.safetensors",
                on_epoch=stop,
                ids=images,
            )
        seen.append(epochs)
    assert seen[1] == [2], "the same training goes on"
    assert seen[2] != [2], "it went on with another number of images"


def test_onnx_teacher_channels_last_and_fixed_batch(source, tmp_path):
    onnx = pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")
    helper = onnx.helper
    weight = np.random.default_rng(0).normal(size=(256, 2)).astype(np.float32)
    nodes = [helper.make_node("Flatten", ["x"], ["f"]), helper.make_node("MatMul", ["f", "w"], ["y"])]
    shapes = [helper.make_tensor_value_info(n, 1, s) for n, s in (("x", [4, 16, 16, 1]), ("y", [4, 2]))]
    graph = helper.make_graph(nodes, "g", shapes[:1], shapes[1:], [onnx.numpy_helper.from_array(weight, "w")])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9), tmp_path / "n.onnx")
    teacher = load(TeacherSpec("n.onnx"), source, tmp_path)
    images = torch.rand(6, 1, 16, 16)
    expected = images.permute(0, 2, 3, 1).flatten(1) @ torch.from_numpy(weight)
    torch.testing.assert_close(teacher.net(images), expected, atol=1e-5, rtol=1e-5)
    feed = live_feed(teacher, source, ViewSpec(count=1), frozenset({"logits"}), source.splits["train"])
    assert feed(source.splits["train"][:3], torch.zeros(3, dtype=torch.long)).logits.shape == (3, 2)


def test_broken_onnx_says_so(source, tmp_path):
    pytest.importorskip("onnxruntime")
    (tmp_path / "bad.onnx").write_bytes(b"not a network")
    with pytest.raises(AlambicError, match="readable ONNX"):
        load(TeacherSpec("bad.onnx"), source, tmp_path)


@pytest.mark.parametrize(
    ("net", "said"),
    [
        ("timm:vit_tinny_patch16_224", "did you mean"),
        ("torchvision:resnet19", "did you mean"),
        ("zoo:resnet8_16", "resnet8"),
        ("resnet18", "expected a network as"),
        ("nowhere.py:make", "Python file"),
    ],
)
def test_unknown_networks(source, tmp_path, net, said):
    with pytest.raises(AlambicError, match=said):
        load(TeacherSpec(net), source, tmp_path)


def test_weights_of_another_network_name_what_differs(source, tmp_path):
    torch.save({"other.weight": torch.zeros(2)}, tmp_path / "w.pt")
    with pytest.raises(AlambicError, match="missing"):
        load(TeacherSpec("zoo:resnet8_w8", weights="w.pt"), source, tmp_path)


def test_truncated_weights_are_refused(source, tmp_path):
    (tmp_path / "w.safetensors").write_bytes(b"\x10\0\0\0")
    with pytest.raises(AlambicError, match="whole weights"):
        load(TeacherSpec("zoo:resnet8_w8", weights="w.safetensors"), source, tmp_path)


FAILING = """
from torch import nn

def boom(in_channels, num_classes):
    return 1 / 0

def other():
    return nn.Linear(1, 1)
"""


@pytest.mark.parametrize(
    ("net", "more", "said"),
    [
        ("nets.py:boom", {"kwargs": {"in_channels": 1, "num_classes": 2}}, "failed in line 5: ZeroDivisionError"),
        ("nets.py:other", {"kwargs": {"width": 1}}, r"other\(width=1\).*TypeError"),
        ("syntax.py:make", {}, "failed in line 2: SyntaxError"),
        ("torchvision:resnet18", {"kwargs": {"depht": 3}}, "could not be made with {'depht': 3}"),
        ("timm:resnet18", {"kwargs": {"depht": 3}}, "could not be made with {'depht': 3}"),
        ("zoo:resnet8_w8", {"kwargs": {"depht": 3}}, "expected no kwargs"),
        ("timm:vit_tiny_patch16_224", {"kwargs": {"depth": 1}}, r"runs on images of shape \(4, 1, 16, 16\).*img_size"),
    ],
)
def test_a_network_that_cannot_be_made_or_run_says_so(source, tmp_path, net, more, said):
    (tmp_path / "nets.py").write_text(FAILING)
    (tmp_path / "syntax.py").write_text("\ndef make(:\n")
    with pytest.raises(AlambicError, match=said):
        load(TeacherSpec(net, **more), source, tmp_path)


@pytest.mark.parametrize("wrong", [{"size": (0, 4)}, {"channels": 0}, {"std": (0.0,)}, {"std": (float("nan"),)}])
def test_input_of_a_teacher_that_cannot_be(wrong):
    with pytest.raises(AlambicError, match="std above 0"):
        TeacherSpec("timm:resnet18", **wrong)


@pytest.mark.parametrize(
    "card",
    [b'{"spec": [1]}', b'{"spec": {"net": 5}}', b'{"classes": "x"}', b'{"spec": {"size": [1]}}', b"\xff\xfe", b"["],
)
def test_cards_that_are_none(source, tmp_path, card):
    (tmp_path / "x.json").write_bytes(card)
    with pytest.raises(AlambicError, match=r"expected a (JSON|teacher's) card"):
        load(TeacherSpec("card", weights="x.safetensors"), source, tmp_path)
