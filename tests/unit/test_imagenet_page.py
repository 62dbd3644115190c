"""docs/imagenet.md is what its script computes; the counts behind it are those of published tables."""

from __future__ import annotations

from pathlib import Path

from script_tools import load_script

ROOT = Path(__file__).parent.parent.parent


def test_the_page_is_computed_and_its_counts_are_right() -> None:
    script = load_script("imagenet_cost")
    # timm's published GMACs (results/benchmark-infer-*.csv), within 5 %: some leave attention's products out
    published = {"resnet50": 4.11, "convnext_base": 15.38, "vit_base_patch16_224": 17.58, "mixer_b16_224": 12.62}
    for net in script.teachers():
        assert abs(net.macs / 1e9 / published[net.name] - 1) < 0.05, net
    # bytes by hand: 1,281,167 images x 4 views x 2 bytes x (1000 logits + 768 of a ViT-B's embedding)
    assert script.gigabytes(1_281_167 * 4 * 2 * 1768) == "18.1 GB"
    page = script.make_page()
    assert "| vit_base_patch16_224 |" in page
    assert "18.1 GB" in page
    assert (ROOT / "docs" / "imagenet.md").read_text() == page, "run python scripts/imagenet_cost.py"
