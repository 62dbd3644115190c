"""The page's drawings for paper: classes become colours, since a typesetter reads no style sheet with variables."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from functools import cache
from pathlib import Path

from markupsafe import Markup

SPACE = "http://www.w3.org/2000/svg"
FONT = "DejaVu Sans"
COLOURS = (*(f"s{index}" for index in range(8)), "gain", "loss", "tie")
NAMED = {"base": "ink", "plainmark": "quiet", "open": "warn"} | {name: name for name in COLOURS}


@cache
def print_palette() -> dict[str, str]:
    """The colours that the page's style sheet has for print."""
    css = (Path(__file__).parent.parent / "page" / "page.css").read_text("utf-8").split("@media print", 1)[1]
    found = re.findall(r"--(\w+): #([0-9a-fA-F]+)", css)
    return {name: "#" + (value if len(value) == 6 else "".join(2 * digit for digit in value)) for name, value in found}


def paint(drawing: Markup) -> str:
    """An SVG whose every element carries its own colours and font size."""
    root = ET.fromstring(str(drawing))
    colours = print_palette()
    for element in root.iter():
        classes = (element.get("class") or "").split()
        own = next((colours[NAMED[name]] for name in classes if name in NAMED), colours["ink"])
        for key, value in _style(element.tag, classes, own, colours).items():
            element.set(key, value)
    root.set("xmlns", SPACE)
    box = (root.get("viewBox") or "0 0 760 400").split()
    root.set("width", box[2])
    root.set("height", box[3])
    return ET.tostring(root, encoding="unicode")


def _style(tag: str, classes: list[str], own: str, colours: dict[str, str]) -> dict[str, str]:
    has = set(classes)
    if tag == "text":
        small = has & {"tick", "axis", "heatnote", "heatpale"}
        size = "10" if "heatnote" in has else "11" if small else "13" if has & {"head", "heatnumber"} else "12"
        weight = "bold" if has & {"head", "heatnumber"} else "normal"
        fill = colours["quiet"] if small and "strong" not in has else colours["ink"]
        return {"fill": fill, "font-family": FONT, "font-size": size, "font-weight": weight}
    if tag == "line":
        if "whisker" in has:
            return {"stroke": own, "stroke-width": "1.6"}
        return {"stroke": colours["grid" if "grid" in has else "quiet"], "stroke-width": "1"}
    if "blind" in has:
        return {"fill": colours["blind"]}
    if "curve" in has:
        dashes = {"stroke-dasharray": "5 3"} if "base" in has else {}
        return {"fill": "none", "stroke": own, "stroke-width": "1.8"} | dashes
    if "range" in has:
        return {"fill": own, "fill-opacity": "0.13"}
    if "heat" in has:
        if "empty" in has:
            return {"fill": "none", "stroke": colours["grid"]}
        if "unclear" in has:
            return {"fill": own, "fill-opacity": "0.08", "stroke": colours["tie"], "stroke-dasharray": "3 3"}
        return {"fill": own, "stroke": own, "stroke-width": "1.5"}
    if "hollow" in has:
        return {"fill": "none", "stroke": own, "stroke-width": "2"}
    return {"fill": own} if has & {"point", "seed"} else {}
