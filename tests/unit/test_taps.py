"""Taps on networks that differ in form: what is read must be what the network computes, at the right place."""

import pytest
import timm
import torch
import torchvision
from torch import nn

from alambic.errors import AlambicError
from alambic.models.feature import Feature, pair_stages, stage_indices
from alambic.models.taps import Tapped
from alambic.training.setup import probe

ALL = {"logits", "embedding", "stages", "energy"}


def vit(name="vit_tiny_patch16_224", **kwargs):
    return timm.create_model(
        name, img_size=32, patch_size=8, embed_dim=48, depth=5, num_heads=3, in_chans=1, num_classes=7, **kwargs
    )


def torchvision_vit():
    return torchvision.models.VisionTransformer(32, 8, 5, 3, 48, 96, num_classes=7)


NETWORKS = {
    "timm vit": (vit, 1, "tokens", 1, 4),
    "timm vit with registers": (lambda: vit("vit_small_patch14_reg4_dinov2"), 1, "tokens", 5, 4),
    "distilled deit": (lambda: vit("deit_tiny_distilled_patch16_224"), 1, "tokens", 2, 4),
    "torchvision vit": (torchvision_vit, 3, "tokens", 1, 4),
    "torchvision swin": (lambda: torchvision.models.swin_t(num_classes=7), 3, "map", 0, 4),
    "timm convnext": (lambda: timm.create_model("convnext_atto", num_classes=7), 3, "map", 0, 4),
    "torchvision mobilenet": (lambda: torchvision.models.mobilenet_v2(num_classes=7), 3, "map", 0, 4),
}


@pytest.mark.parametrize("name", NETWORKS)
def test_reads_the_networks_own_logits_and_forms(name):
    make, channels, form, prefix, stages = NETWORKS[name]
    net = make().eval()
    side = 64 if name == "torchvision swin" else 32
    images = torch.randn(2, channels, side, side)
    tapped = Tapped(net, images, ALL)
    with torch.no_grad():
        outputs = tapped(images)
        torch.testing.assert_close(outputs.logits, net(images), atol=1e-4, rtol=1e-4)
    assert len(outputs.stages) == stages
    for stage in outputs.stages:
        assert (stage.form, stage.prefix) == (form, prefix)
        assert stage.as_map().shape[1] == stage.channels
        height, width = stage.size
        assert stage.as_tokens().shape == (2, height * width, stage.channels)


def test_class_token_is_dropped_at_the_front():
    tokens = torch.arange(5.0).view(1, 5, 1)  # token 0 is the class token
    feature = Feature(tokens, "tokens", prefix=1, grid=(2, 2))
    assert feature.as_map().flatten().tolist() == [1, 2, 3, 4]
    assert feature.as_vector().item() == 2.5


def test_channels_last_maps_are_turned():
    net = torchvision.models.swin_t(num_classes=3).eval()
    stages = Tapped(net, torch.randn(2, 3, 64, 64), ALL)(torch.randn(2, 3, 64, 64)).stages
    assert [stage.channels for stage in stages] == [192, 384, 384, 768]


def test_probe_leaves_modes_and_statistics_alone():
    net = nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 2))
    net.train()
    net[1].eval()
    before = net[1].running_mean.clone()
    Tapped(net, torch.randn(2, 1, 8, 8), ALL)
    assert net.training
    assert not net[1].training
    assert torch.equal(before, net[1].running_mean)
    assert not net[0]._forward_hooks


def test_unknown_tap_names_the_nearest():
    net = nn.Sequential(nn.Conv2d(1, 4, 3), nn.Flatten(), nn.Linear(4 * 36, 2))
    with pytest.raises(AlambicError, match="no module 'layer' to tap; known names: 0, 1, 2"):
        Tapped(net, torch.randn(2, 1, 8, 8), ALL, stages=["layer"])
    with pytest.raises(AlambicError, match="no module ''"):
        Tapped(net, torch.randn(2, 1, 8, 8), ALL, stages=[""])


def test_wrong_channels_are_refused_at_once():
    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Flatten(), nn.Linear(4 * 36, 2))
    with pytest.raises(AlambicError, match="expected a network that runs on images"):
        Tapped(net, torch.randn(2, 1, 8, 8), ALL)


def test_a_transformer_at_a_size_that_it_asserts_against_is_refused_with_words():
    net = timm.create_model("vit_tiny_patch16_224", depth=1)
    with pytest.raises(AlambicError, match="expected a network that runs on images"):
        Tapped(net, torch.randn(2, 3, 32, 32), ALL)


def test_network_without_head_says_so():
    net = nn.Sequential(nn.Conv2d(1, 4, 8), nn.Flatten())
    with pytest.raises(AlambicError, match="head"):
        Tapped(net, torch.randn(2, 1, 8, 8), {"head"})


class TwoClassifiers(nn.Module):
    """A fresh student with a second classifier for training, called last; a blank image gives zeros everywhere."""

    def __init__(self):
        super().__init__()
        self.first = nn.Sequential(nn.Conv2d(1, 8, 3, padding=1, bias=False), nn.BatchNorm2d(8), nn.ReLU())
        self.last = nn.Sequential(nn.Conv2d(8, 16, 3, padding=1, bias=False), nn.BatchNorm2d(16), nn.ReLU())
        self.head, self.side = nn.Linear(16, 5), nn.Linear(8, 5)
        nn.init.zeros_(self.head.bias)
        nn.init.zeros_(self.side.bias)

    def forward(self, images):
        early = self.first(images)
        scores = self.head(self.last(early).mean((2, 3)))
        self.aside = self.side(early.mean((2, 3)))
        return scores


def test_a_blank_example_does_not_pass_another_layer_off_as_the_classifier():
    net, before = TwoClassifiers().eval(), torch.get_rng_state()
    tapped = Tapped(net, torch.zeros(2, 1, 8, 8), {"logits", "embedding", "head"})
    assert torch.equal(before, torch.get_rng_state())
    assert tapped.spec.embedding == 16
    outputs = tapped(torch.rand(4, 1, 8, 8))
    torch.testing.assert_close(outputs.embedding @ outputs.head.weight.T + outputs.head.bias, outputs.logits)


class Cosine(nn.Linear):
    """A linear layer by its class alone."""

    def forward(self, values):
        return 10 * nn.functional.linear(nn.functional.normalize(values), nn.functional.normalize(self.weight))


class Scaled(nn.Module):
    def __init__(self, *shape, bias):
        super().__init__()
        self.layer = nn.Linear(*shape, bias)

    def forward(self, values):
        return 10 * self.layer(values)


@pytest.mark.parametrize("head", [Cosine, Scaled])
def test_scores_that_are_not_the_layer_s_own_have_no_head(head):
    body = [nn.Conv2d(1, 8, 3, bias=False), nn.BatchNorm2d(8), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten()]
    net = nn.Sequential(*body, head(8, 5, bias=False))
    with pytest.raises(AlambicError, match="head"):
        Tapped(net, torch.zeros(2, 1, 8, 8), {"logits", "head"})


def test_stages_at_equal_fractions_and_pairs_from_the_deep_end():
    assert stage_indices(6) == [1, 2, 4, 5]
    assert stage_indices(2) == [0, 1]
    assert pair_stages(2, 4) == [(0, 2), (1, 3)]


def test_a_network_without_maps_still_has_an_embedding():
    net = nn.Sequential(nn.Flatten(), nn.Linear(64, 12), nn.ReLU(), nn.Linear(12, 3))
    spec = probe(net, torch.randn(2, 1, 8, 8), "teacher 'mlp'")
    assert (spec.classes, spec.embedding, spec.stages) == (3, 12, ())


def plain_net(inplace=True):
    """A stack of bare layers, as in examples/own_loop.py."""
    torch.manual_seed(0)
    layers = [nn.Conv2d(3, 16, 3, 2, 1), nn.BatchNorm2d(16), nn.ReLU(inplace)]
    layers += [nn.Conv2d(16, 32, 3, 2, 1), nn.BatchNorm2d(32), nn.ReLU(inplace)]
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(32, 10)).eval()


def test_as_many_channels_as_rows_are_no_channels_last_map():
    """16 channels of 16 x 24, named by a bare ReLU: nothing in that module tells which axis is which."""
    images = torch.rand(2, 3, 32, 48)
    stages = Tapped(plain_net(), images, ALL)(images).stages
    assert [tuple(stage.as_map().shape[1:]) for stage in stages] == [(16, 16, 24), (32, 8, 12)]


class PreActivation(nn.Module):
    """Its ReLU comes first and, in place, overwrites what the block before gave."""

    def __init__(self, inplace):
        super().__init__()
        self.act, self.conv, self.norm = nn.ReLU(inplace), nn.Conv2d(8, 8, 3, padding=1), nn.BatchNorm2d(8)

    def forward(self, x):
        return self.norm(self.conv(self.act(x)))


def test_what_a_later_layer_overwrites_is_copied():
    images, seen = torch.rand(2, 3, 16, 16), []
    for inplace in (False, True):
        torch.manual_seed(0)
        blocks = nn.Sequential(*(PreActivation(inplace) for _ in range(3)))
        end = (nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 5))
        net = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), blocks, *end).train()
        tapped = Tapped(net, images, ALL)
        outputs = tapped(images)
        outputs.stages[0].tensor.square().mean().backward()
        seen.append([stage.tensor.detach() for stage in outputs.stages])
        assert bool(tapped._overwritten) == inplace, "copied only where it must be"
    assert min(float(stage.min()) for stage in seen[0][:-1]) < 0
    for one, other in zip(*seen, strict=True):
        torch.testing.assert_close(one, other)


@pytest.mark.parametrize("order", ["conv, pool", "pool, conv", "conv, relu, pool"])
def test_of_a_convolution_that_classifies_the_embedding_is_what_goes_in(order):
    torch.manual_seed(0)
    trunk = (nn.Conv2d(3, 16, 3, 2, 1), nn.BatchNorm2d(16), nn.ReLU(), nn.Conv2d(16, 24, 3, 2, 1), nn.ReLU())
    parts = {"conv": nn.Conv2d(24, 10, 1), "pool": nn.AdaptiveAvgPool2d(1), "relu": nn.ReLU()}
    net = nn.Sequential(*trunk, *(parts[name] for name in order.split(", ")), nn.Flatten()).eval()
    images = torch.rand(3, 3, 32, 32)
    outputs = Tapped(net, images, ALL)(images)
    with torch.no_grad():
        deep = nn.Sequential(*trunk)(images)
    torch.testing.assert_close(outputs.embedding, deep.mean((2, 3)))
    assert [stage.channels for stage in outputs.stages] == [16, 24], "the classifier is no stage"
    with pytest.raises(AlambicError, match="with head"):
        Tapped(net, images, {"head"})


@pytest.mark.parametrize("make", [lambda: timm.create_model("dla34", num_classes=7), torchvision.models.squeezenet1_1])
def test_published_networks_that_classify_by_convolution(make):
    net, images = make().eval(), torch.rand(2, 3, 64, 64)
    outputs = Tapped(net, images, ALL)(images)
    assert outputs.embedding.shape[1] > 64
    assert outputs.embedding.shape != outputs.logits.shape


def test_scores_alone_of_networks_that_timm_s_functions_do_not_read():
    """One raises IndexError in them, the other has branches of several widths, whose mean is no embedding."""
    for name in ("sequencer2d_s", "crossvit_tiny_240"):
        net = timm.create_model(name, num_classes=7).eval()
        images = torch.rand(2, 3, *net.default_cfg["input_size"][1:])
        with torch.no_grad():
            torch.testing.assert_close(Tapped(net, images, {"logits"})(images).logits, net(images))
            assert probe(net, images, "teacher").classes == 7


def test_outputs_that_only_training_gives_are_refused_with_words():
    net = torchvision.models.googlenet(aux_logits=True, num_classes=11, init_weights=False)
    tapped = Tapped(net, torch.rand(2, 3, 96, 96), {"logits"})
    net.train()
    with pytest.raises(AlambicError, match="got GoogLeNetOutputs in training mode"):
        tapped(torch.rand(2, 3, 96, 96))


def test_one_name_is_no_list_of_names():
    with pytest.raises(AlambicError, match="list of module names"):
        Tapped(plain_net(), torch.rand(2, 3, 32, 32), ALL, "2")


class SequenceFirst(nn.Module):
    """A transformer whose blocks give tokens x images x width; 16 tokens of an image of 16 x 16."""

    def __init__(self):
        super().__init__()
        self.patches = nn.Conv2d(3, 16, 4, 4)
        self.blocks = nn.ModuleList(nn.TransformerEncoderLayer(16, 2, 32) for _ in range(3))
        self.head = nn.Linear(16, 5)

    def forward(self, images):
        x = self.patches(images).flatten(2).permute(2, 0, 1)
        for block in self.blocks:
            x = block(x)
        return self.head(x.mean(0))


def test_tokens_are_not_taken_for_images_where_there_are_as_many():
    images = torch.rand(16, 3, 16, 16)
    tapped = Tapped(SequenceFirst(), images, {"logits", "stages"})
    assert [stage.form for stage in tapped.spec.stages] == ["map"], "the patches alone have images first"
    with pytest.raises(AlambicError, match=r"images as the first axis at tap 'blocks.1'.*batch_first=True"):
        Tapped(SequenceFirst(), images, {"logits", "stages"}, ["blocks.1"])
    first = vit()
    square = Tapped(first, torch.rand(17, 1, 32, 32), {"logits", "stages"})  # 16 patches and a class token
    by_hooks = Tapped(torchvision_vit(), torch.rand(17, 3, 32, 32), {"logits", "stages"})
    assert len(square.spec.stages) == len(by_hooks.spec.stages) == 4
