"""Gradients of a student's logits, image by image, in few numbers."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from alambic.models.taps import evaluating
from alambic.training.recipe import stream

DIRECTIONS, WIDTH = 4, 2048


def sketch_gradients(net: nn.Module, images: Tensor, directions: int = DIRECTIONS, width: int = WIDTH) -> Tensor:
    """K x (directions * width): inner products of its rows estimate the student's neural tangent kernel.

    For each image the gradient of r . z(x) over all parameters, r random signs minus their mean (softmax ignores a
    common shift) and equal for every image, then a count sketch: each parameter is added with a random sign to one of
    ``width`` places, which keeps inner products in expectation (Charikar et al., ICALP 2002). Networks with at most
    ``width`` parameters are kept whole.

    Args:
        net: maps B x C x H x W to B x classes; its parameters need gradients. images: K x C x H x W, normalised.
    """
    parameters = [p for p in net.parameters() if p.requires_grad]
    count = sum(p.numel() for p in parameters)
    draw = stream(0, "sketch")
    place = torch.randint(width, (count,), generator=draw) if count > width else torch.arange(count)
    sign = torch.randint(2, (count,), generator=draw).float() * 2 - 1
    with torch.no_grad(), evaluating(net):
        classes = int(net(images[:1]).shape[1])
    signs = torch.randint(2, (directions, classes), generator=draw).float() * 2 - 1
    if classes > 1:
        signs = signs - signs.mean(1, keepdim=True)
    device = images.device
    place, sign, signs = place.to(device), sign.to(device), signs.to(device)
    rows = []
    with evaluating(net), torch.enable_grad():
        for image in images.split(1):
            logits = net(image)[0]
            row = []
            for index, direction in enumerate(signs):
                last = index == len(signs) - 1
                slopes = torch.autograd.grad(logits @ direction, parameters, retain_graph=not last)
                flat = torch.cat([slope.flatten() for slope in slopes])
                row.append(torch.zeros(min(width, count), device=device).index_add_(0, place, sign * flat))
            rows.append(torch.cat(row))
    return torch.stack(rows).detach() / directions**0.5
