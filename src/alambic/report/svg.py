"""Drawing: SVG by hand, so that figures take their colours from the page's theme and need no file beside it."""

from __future__ import annotations

import math
from dataclasses import dataclass

from markupsafe import Markup, escape

SHAPES = ("circle", "square", "triangle", "diamond", "cross", "ring")
CHARACTER = 6.6  # mean width of a character at 12 px, in px


def tag(name: str, *children: str, **attributes: object) -> Markup:
    """An element; text and attribute values are escaped. ``stroke_width`` becomes stroke-width, ``class_`` class."""
    given = Markup("").join(
        Markup(' {}="{}"').format(key.rstrip("_").replace("_", "-"), _short(value)) for key, value in attributes.items()
    )
    inside = Markup("").join(escape(child) for child in children)
    return Markup("<{0}{1}>{2}</{0}>").format(Markup(name), given, inside)


def _short(value: object) -> str:
    return f"{value:.1f}".removesuffix(".0") if isinstance(value, float) else str(value)


@dataclass(frozen=True)
class Scale:
    """Maps [low, high] to [start, stop] in px; by logarithm where ``log``."""

    low: float
    high: float
    start: float
    stop: float
    log: bool = False

    def __call__(self, value: float) -> float:
        low, high = (math.log(self.low), math.log(self.high)) if self.log else (self.low, self.high)
        place = math.log(value) if self.log else value
        span = high - low
        return self.start + (self.stop - self.start) * ((place - low) / span if span else 0.5)


def round_ticks(low: float, high: float, most: int = 6) -> list[float]:
    """Round values from low to high, at most ``most``."""
    if not high > low:
        return [low]
    raw = (high - low) / max(most - 1, 1)
    base = 10 ** math.floor(math.log10(raw))
    step = next(base * factor for factor in (1, 2, 2.5, 5, 10) if base * factor >= raw * 0.999)
    first = math.ceil(low / step - 1e-9)
    return [round(index * step, 10) + 0.0 for index in range(first, math.floor(high / step + 1e-9) + 1)]


def text(x: float, y: float, content: str, anchor: str = "start", class_: str = "", turn: int = 0) -> Markup:
    """Text at its baseline, turned about its anchor by degrees."""
    turned = {"transform": f"rotate({turn} {_short(x)} {_short(y)})"} if turn else {}
    return tag("text", content, x=x, y=y, text_anchor=anchor, class_=class_, **turned)


def line(x1: float, y1: float, x2: float, y2: float, class_: str) -> Markup:
    return tag("line", x1=x1, y1=y1, x2=x2, y2=y2, class_=class_)


def mark(shape: str, x: float, y: float, size: float, class_: str, title: str = "") -> Markup:
    """A point of one of ``SHAPES``, with a title shown under the pointer."""
    told = (tag("title", title),) if title else ()
    if shape == "circle":
        return tag("circle", *told, cx=x, cy=y, r=size, class_=class_)
    if shape == "ring":
        return tag("circle", *told, cx=x, cy=y, r=size, class_=f"{class_} hollow")
    corners = {
        "square": [(-0.9, -0.9), (0.9, -0.9), (0.9, 0.9), (-0.9, 0.9)],
        "triangle": [(0, -1.2), (1.1, 0.8), (-1.1, 0.8)],
        "diamond": [(0, -1.3), (1.3, 0), (0, 1.3), (-1.3, 0)],
        "cross": [
            (-1.2, -0.4), (-0.4, -0.4), (-0.4, -1.2), (0.4, -1.2), (0.4, -0.4), (1.2, -0.4),
            (1.2, 0.4), (0.4, 0.4), (0.4, 1.2), (-0.4, 1.2), (-0.4, 0.4), (-1.2, 0.4),
        ],
    }[shape]  # fmt: skip
    points = " ".join(f"{x + size * dx:.1f},{y + size * dy:.1f}" for dx, dy in corners)
    return tag("polygon", *told, points=points, class_=class_)


def clip(content: str, most: int) -> str:
    """Text cut to a number of characters."""
    return content if len(content) <= most else content[: most - 1] + "…"


def fold(content: str, most: int) -> list[str]:
    """Text in one line, or in two of like length where one would pass a number of characters."""
    spaces = [index for index, letter in enumerate(content) if letter == " "]
    if len(content) <= most or not spaces:
        return [content]
    middle = min(spaces, key=lambda index: abs(2 * index - len(content)))
    return [content[:middle], content[middle + 1 :]]


def drawing(width: float, height: float, label: str, *children: str) -> Markup:
    """A figure with a text alternative. It scrolls in its frame where the page is narrower than it can bear."""
    box = f"0 0 {_short(float(width))} {_short(float(height))}"
    return tag("svg", *children, viewBox=box, role="img", aria_label=label, class_="figure", width=float(width))
