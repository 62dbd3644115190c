"""Small networks for the tests of deployment, and an independent float64 reading of the int8 graph."""

from __future__ import annotations

import functools
from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from alambic.deploy.graph import Int8Graph
from alambic.models.students import create_student, describe_student


def make_stripes(count: int, seed: int) -> tuple[Tensor, Tensor]:
    """Images 1 x 16 x 16 of four classes: noisy stripes of two widths in two directions."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.randint(0, 4, (count,), generator=generator)
    phase = torch.randint(0, 8, (count, 1), generator=generator)
    steps = torch.arange(16) + phase
    waves = torch.where((labels < 2)[:, None], steps // 2 % 2, steps // 4 % 2).float() * 2 - 1
    maps = torch.where((labels % 2 == 0)[:, None, None], waves[:, None, :], waves[:, :, None]).expand(-1, 16, 16)
    return (maps + 0.8 * torch.randn(count, 16, 16, generator=generator))[:, None], labels


@functools.cache
def train_stripes() -> nn.Module:
    """A dscnn_24x3 that tells the stripes apart; 60 steps, half a second."""
    torch.manual_seed(0)
    net = create_student("dscnn_24x3", 1, 16, 4)
    images, labels = make_stripes(1024, 0)
    optimizer = torch.optim.SGD(net.parameters(), 0.1, momentum=0.9)
    net.train()
    for step in range(60):
        batch = slice(step * 64 % 1024, step * 64 % 1024 + 64)
        loss = F.cross_entropy(net(images[batch]), labels[batch])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return net.eval()


def settle_student(name: str) -> tuple[nn.Module, tuple[int, int, int]]:
    """A zoo student with random weights and BatchNorm statistics of noise, in evaluation mode; and its C, H, W."""
    torch.manual_seed(0)
    info = describe_student(name)
    height, width, channels = info.input
    net = create_student(name, channels, (height, width), info.classes).train()
    with torch.no_grad():
        net(torch.randn(8, channels, height, width))
    return net.eval(), (channels, height, width)


def run_float(graph: Int8Graph, image: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
    """Independent reading of the graph: float64 operators on dequantised NHWC tensors, rounded after each operator."""
    values: dict[str, npt.NDArray[np.float64]] = {}

    def quantise(name: str, real: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        t = graph.tensors[name]
        scale = np.float64(t.scale[0])
        return (np.clip(np.rint(real / scale) + t.zero_point, -128, 127) - t.zero_point) * scale

    def value(name: str) -> npt.NDArray[np.float64]:
        t = graph.tensors[name]
        if t.data is None:
            return values[name]
        shape = [-1 if axis == t.axis and len(t.scale) > 1 else 1 for axis in range(len(t.shape))]
        return (t.data.astype(np.float64) - t.zero_point) * t.scale.astype(np.float64).reshape(shape)

    values[graph.input] = quantise(graph.input, image.transpose(0, 2, 3, 1).astype(np.float64))
    for op in graph.ops:
        x, s = value(op.inputs[0]), op.settings
        if op.kind in ("conv", "depthwise"):
            w = torch.from_numpy(value(op.inputs[1]))
            w = w.permute(0, 3, 1, 2) if op.kind == "conv" else w.permute(3, 0, 1, 2)
            maps = torch.from_numpy(x).permute(0, 3, 1, 2)
            if s["same"]:
                for axis, kernel, stride, dilation in zip((2, 3), w.shape[2:], s["stride"], s["dilation"], strict=True):
                    size = maps.shape[axis]
                    total = max((-(-size // stride) - 1) * stride + (kernel - 1) * dilation + 1 - size, 0)
                    pads = [total // 2, total - total // 2]
                    maps = F.pad(maps, [0, 0, *pads] if axis == 2 else pads)
            bias = torch.from_numpy(value(op.inputs[2]))
            y = F.conv2d(maps, w, bias, s["stride"], 0, s["dilation"], maps.shape[1] // w.shape[1])
            y = y.permute(0, 2, 3, 1).numpy()
        elif op.kind == "dense":
            y = x @ value(op.inputs[1]).T + value(op.inputs[2])
        elif op.kind == "add":
            y = x + value(op.inputs[1])
        elif op.kind == "mul":
            y = x * value(op.inputs[1])
        elif op.kind == "pad":
            fill = (s["value"] - graph.tensors[op.inputs[0]].zero_point) * float(graph.tensors[op.inputs[0]].scale[0])
            y = np.pad(x, s["pads"], constant_values=fill)
        elif op.kind in ("average_pool", "max_pool"):
            assert not s["same"]
            windows = np.lib.stride_tricks.sliding_window_view(x, s["kernel"], (1, 2))
            windows = windows[:, :: s["stride"][0], :: s["stride"][1]]
            y = windows.mean((-2, -1)) if op.kind == "average_pool" else windows.max((-2, -1))
        elif op.kind == "reshape":
            y = x.reshape(graph.tensors[op.output].shape)
        elif op.kind == "concat":
            y = np.concatenate([value(name) for name in op.inputs], s["axis"])
        elif op.kind == "resize":
            rows = np.arange(s["size"][0]) * x.shape[1] // s["size"][0]
            columns = np.arange(s["size"][1]) * x.shape[2] // s["size"][1]
            y = x[:, rows][:, :, columns]
        else:
            y = {
                "quantize": lambda v: v,
                "relu": lambda v: v.clip(0),
                "hard_swish": lambda v: v * np.clip(v + 3, 0, 6) / 6,
                "logistic": lambda v: 1 / (1 + np.exp(-v)),
            }[op.kind](x)
        if "bounds" in s:
            y = np.clip(y, *s["bounds"])
        values[op.output] = quantise(op.output, y)
    return values[graph.output]


class Sunken(nn.Module):
    """A map far below zero of which nothing is left: where it is added to the image and cut by a ReLU, TFLite-Micro
    aborts the process; where a hard swish takes it, TFLite-Micro refuses the network in words."""

    def __init__(self, classes: int, swish: bool = False) -> None:
        super().__init__()
        self.deep, self.head, self.swish = nn.Conv2d(1, 1, 1), nn.Linear(1, classes), swish
        nn.init.constant_(self.deep.bias, -1e9)

    def forward(self, images: Tensor) -> Tensor:
        deep = self.deep(images)
        left = F.hardswish(deep) if self.swish else F.relu(images + deep)
        return self.head(left.mean((2, 3)))


class Net(nn.Module):
    """Images 3 x 8 x 8 -> four logits: a convolution, ``body`` of ``width`` channels, a convolution, ``ending``."""

    def __init__(
        self, body: Callable[[Tensor], Tensor], width: int, ending: Callable[[Tensor], Tensor] | None = None
    ) -> None:
        super().__init__()
        self.conv, self.body, self.after = nn.Conv2d(3, 8, 3, padding=1), body, nn.Conv2d(width, 8, 1)
        self.ending = ending or (lambda maps: maps.mean((2, 3)))
        with torch.no_grad():
            self.head = nn.Linear(self._embed(torch.zeros(1, 3, 8, 8)).shape[1], 4)

    def _embed(self, images: Tensor) -> Tensor:
        return self.ending(self.after(self.body(F.relu(self.conv(images)))))

    def forward(self, images: Tensor) -> Tensor:
        return self.head(self._embed(images))


def build_net(name: str) -> Net:
    """The network of a name of ``NETS``, in evaluation mode, with weights of torch's own draw."""
    make, width = BODIES.get(name, (nn.Identity, 8))
    return Net(make(), width, ENDINGS.get(name)).eval()


def widen(channels: int, multiplier: int) -> nn.Module:
    return nn.Conv2d(channels, channels * multiplier, 3, 2, 1, groups=channels)


BODIES: dict[str, tuple[Callable[[], Callable[[Tensor], Tensor]], int]] = {
    "symmetric stride 2": (lambda: nn.Conv2d(8, 12, 3, 2, 1), 12),
    "same stride 2": (lambda: lambda x: F.relu6(F.pad(x, (0, 1, 0, 1))), 8),
    "depthwise multiplier": (lambda: widen(8, 2), 16),
    "grouped": (lambda: nn.Conv2d(8, 8, 3, padding=1, groups=2), 8),
    "dilated": (lambda: nn.Conv2d(8, 8, 3, padding=2, dilation=2), 8),
    "concat of unequal ranges": (lambda: lambda x: torch.cat([x, x * 0.1], 1), 16),
    "scalar": (lambda: lambda x: x * 0.5, 8),
    "pre-activation norm": (lambda: nn.Sequential(nn.BatchNorm2d(8), nn.ReLU()), 8),
    "max pool": (lambda: lambda x: F.max_pool2d(x, 2), 8),
    "overlapping max pool": (lambda: lambda x: F.max_pool2d(x, 3, 2, 1), 8),
    "max pool of signed maps": (lambda: nn.Sequential(nn.Conv2d(8, 8, 1), nn.MaxPool2d(3, 2, 1)), 8),
    "average pool": (lambda: lambda x: F.avg_pool2d(x, 2), 8),
    "padded average pool": (lambda: lambda x: F.avg_pool2d(x, 3, 2, 1), 8),
    "average pool then relu6": (lambda: lambda x: F.relu6(F.avg_pool2d(x, 2)), 8),
    "hard-swish": (lambda: lambda x: F.hardswish(x - 1), 8),
    "squeeze-excite": (lambda: lambda x: x * F.hardsigmoid(x.mean((2, 3), keepdim=True) * 4 - 2), 8),
    "sigmoid gate": (lambda: lambda x: x * torch.sigmoid(x), 8),
    "upsample": (lambda: lambda x: F.interpolate(x, scale_factor=2), 8),
    "padding alone": (lambda: lambda x: F.pad(x, (1, 2, 3, 0)), 8),
    "a factor a channel": (lambda: lambda x: x * torch.linspace(0.2, 2, 8)[:, None, None], 8),
    "a factor a column": (lambda: lambda x: x * torch.linspace(0.2, 2, 8), 8),
}
# what stands between the last map and the classifier
ENDINGS: dict[str, Callable[[Tensor], Tensor]] = {
    "flattened maps": lambda maps: maps.flatten(1),
    "relu of flattened maps": lambda maps: F.relu(maps.flatten(1)),
    "hard-swish of flattened maps": lambda maps: F.hardswish(maps.flatten(1)),
    "sum of flattened maps": lambda maps: maps.flatten(1) + F.relu(maps).flatten(1) * 0.5,
    "relu of means": lambda maps: F.relu(maps.mean((2, 3))),
}
NETS = (*BODIES, *ENDINGS)
