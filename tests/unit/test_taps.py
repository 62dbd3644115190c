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


def test_stages_at_equal_fractions_and_pairs_from_the_deep_end():
    assert stage_indices(6) == [1, 2, 4, 5]
    assert stage_indices(2) == [0, 1]
    assert pair_stages(2, 4) == [(0, 2), (1, 3)]


def test_a_network_without_maps_still_has_an_embedding():
    net = nn.Sequential(nn.Flatten(), nn.Linear(64, 12), nn.ReLU(), nn.Linear(12, 3))
    spec = probe(net, torch.randn(2, 1, 8, 8), "teacher 'mlp'")
    assert (spec.classes, spec.embedding, spec.stages) == (3, 12, ())
