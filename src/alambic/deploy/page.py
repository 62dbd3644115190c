"""The page of a deployment: one HTML file without scripts or links to anywhere."""

from __future__ import annotations

from dataclasses import asdict
from importlib.resources import files
from typing import Any

from jinja2 import Environment, StrictUndefined
from markupsafe import Markup

from alambic.deploy.arena_figure import draw_arena
from alambic.deploy.arithmetic import TFLM
from alambic.deploy.graph import Int8Graph
from alambic.deploy.memory import MemoryPlan
from alambic.deploy.score import VARIED

ENGINES = {
    "accelerator": "accelerator, planned",
    "c": "C with CMSIS-NN",
    "tflm": "TFLite-Micro",
    "ethos": "Arm Ethos-U",
    "stedgeai": "ST Edge AI Core",
}


def render_page(facts: dict[str, Any], graph: Int8Graph, plan: MemoryPlan, limit: int | None) -> str:
    """HTML of what ``fit.json`` holds, with the arena over time."""
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.filters["bytes"] = lambda value: f"{value:,}"
    environment.filters["percent"] = lambda value: f"{100 * value:.2f} %"
    template = environment.from_string(files("alambic.deploy").joinpath("page.html.j2").read_text())
    errors = sorted(facts["layers"], key=lambda item: item["alone"])
    return template.render(
        facts=facts,
        varied=VARIED,
        own_arithmetic=facts["chip"]["arithmetic"] != asdict(TFLM),
        figure=Markup(draw_arena(graph, plan, limit)),
        engines=ENGINES,
        worst={item["layer"] for item in errors[:1]},
        operators=[graph.describe(op) for op in graph.ops],
        floated={item["layer"]: item for item in facts["float_layers"]["layers"]},
        alive=plan.alive,
        weights=facts["memory"]["weights_by_layer"],
    )
