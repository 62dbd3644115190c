"""Distil a ViT into your own network in your own loop: `python examples/own_loop.py [steps]`."""

import sys
from pathlib import Path

import timm
import torch
from torch import nn

import alambic
from alambic.data import ViewSpec, render, view_ids

torch.manual_seed(0)
steps = int(sys.argv[1]) if len(sys.argv) > 1 else 300
source = alambic.load_source(alambic.DataSpec("fashion-mnist"))  # real images, uint8, in memory

student = nn.Sequential(  # yours: any module that ends in class scores
    nn.Conv2d(1, 16, 3, stride=2, padding=1, bias=False), nn.BatchNorm2d(16), nn.ReLU(),
    nn.Conv2d(16, 32, 3, stride=2, padding=1, bias=False), nn.BatchNorm2d(32), nn.ReLU(),
    nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(32, 10),
)  # fmt: skip
teacher = timm.create_model(  # any module too: here the ViT that comes with the repository
    "vit_tiny_patch16_224", img_size=28, patch_size=4, embed_dim=96, depth=6, num_heads=3, in_chans=1, num_classes=10,
    checkpoint_path=str(Path(__file__).parent.parent / "studies" / "teachers" / "vit.safetensors"),
)  # fmt: skip


def batch(step: int, size: int = 128) -> tuple[torch.Tensor, torch.Tensor]:
    """Your loader: images in [0, 1] and labels."""
    ids = source.splits["train"][torch.randint(len(source.splits["train"]), (size,))]
    views = ViewSpec(flip=True, shift=2)
    return render(source.images, ids, view_ids(step, ids, views), views, "student"), source.labels[ids]


norm = ((0.286,), (0.353,))
distiller = alambic.Distiller(
    student, teacher, method="rsd", example_input=batch(0)[0], student_norm=norm, teacher_norm=norm, steps=steps
)  # fmt: skip
optimizer = torch.optim.AdamW(distiller.parameters())
schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 0.04, total_steps=steps)
for step in range(steps):
    loss = distiller(*batch(step))
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    schedule.step()
    if step % 100 == 0:
        print(step, {name: round(float(part.detach()), 3) for name, part in loss.parts.items()})

student.eval()  # it is clean: no hook, no projector, no trace of the teacher
test = source.splits["test"]
with torch.no_grad():
    scores = student((source.images[test].float() / 255 - 0.286) / 0.353)
print(f"test accuracy {(scores.argmax(1) == source.labels[test]).float().mean():.3f}")
