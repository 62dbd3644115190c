"""What ``study new``, ``distill`` and ``teachers rank`` ask alike: students, data, teachers, how long to train."""

from __future__ import annotations

import argparse
from typing import Any


def add_networks(parser: Any, many: bool, required: bool = True) -> None:
    """Students, data, teachers and how long to train: what ``make_request`` reads, but for the methods."""
    count = "+" if many else 1
    parser.add_argument("--student", nargs=count, required=required, default=[], help="zoo name or file.py:function")
    parser.add_argument(
        "--data", required=required, help="fashion-mnist, torchvision:CIFAR10, a folder, a parquet or npz"
    )
    parser.add_argument(
        "--teachers" if many else "--teacher",
        dest="teachers",
        nargs="+" if many else 1,
        default=[],
        help="timm:NAME, torchvision:NAME, zoo:NAME, weights with a card, file.onnx, file.py:function",
    )
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--views", type=int, help="augmented versions of each image; 0 = fresh ones (docs/views.md)")
    parser.add_argument("--train", type=int, help="number of training images; all by default")
    parser.add_argument("--size", type=int, help="resize images to this many pixels a side")
    parser.add_argument("--channels", type=int, choices=(1, 3))


def make_request(options: argparse.Namespace, name: str, **more: Any) -> Any:
    from alambic.study.compose import Request
    from alambic.study.specs import DEFAULT_VIEWS

    return Request(
        name,
        options.student,
        options.data,
        options.teachers,
        options.methods,
        epochs=options.epochs,
        views=DEFAULT_VIEWS if options.views is None else options.views,
        train=options.train,
        size=options.size,
        channels=options.channels,
        **more,
    )
