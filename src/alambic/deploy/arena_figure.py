"""The arena over time as SVG: one rectangle a buffer, operators from left to right, bytes upwards."""

from __future__ import annotations

from html import escape

from alambic.deploy.graph import Int8Graph
from alambic.deploy.memory import MemoryPlan

WIDTH, HEIGHT, LEFT, TOP, BOTTOM = 960, 420, 78, 16, 44
FILLS = ("#4c78a8", "#72b7b2", "#54a24b", "#eeca3b", "#b279a2", "#9d755d")
NARROWEST_LABEL, LOWEST_LABEL, LETTER = 40, 14, 6.2  # px


def draw_arena(graph: Int8Graph, plan: MemoryPlan, limit: int | None = None) -> str:
    """An SVG element of fixed size. Hovering a buffer names it; the operator at the peak stands in red.

    Args:
        limit: the chip's RAM in bytes, drawn as a line where it lies within reach of the arena.
    """
    steps = len(graph.ops)
    reachable = limit is not None and limit <= 3 * plan.arena_bytes
    top = max(plan.arena_bytes, limit if reachable and limit is not None else 0) * 1.04
    across = (WIDTH - LEFT - 8) / steps
    up = (HEIGHT - TOP - BOTTOM) / top

    def level(value: float) -> float:
        return HEIGHT - BOTTOM - value * up

    parts = [
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="Arena over time: {plan.arena_bytes} bytes, '
        f'peak at {escape(plan.peak_layer, quote=True)}" xmlns="http://www.w3.org/2000/svg">'
    ]
    for index, item in enumerate(plan.placed):
        buffer = item.buffer
        left, wide = LEFT + buffer.first * across, (buffer.last - buffer.first + 1) * across
        high = buffer.bytes * up
        name = graph.title(buffer.name)
        text = f"{name}: {buffer.bytes:,} bytes at {item.offset:,}, operators {buffer.first} to {buffer.last}"
        parts.append(
            f'<g><title>{escape(text)}</title><rect x="{left:.1f}" y="{level(item.offset + buffer.bytes):.1f}" '
            f'width="{wide:.1f}" height="{max(high, 0.8):.1f}" fill="{FILLS[index % len(FILLS)]}" stroke="#fff" '
            'stroke-width="0.6"/>'
        )
        room = int(wide / LETTER)
        if wide >= NARROWEST_LABEL and high >= LOWEST_LABEL:
            label = f"{name} {buffer.bytes:,}"
            label = label if len(label) <= room else f"{buffer.bytes:,}"[:room]
            middle = level(item.offset + buffer.bytes / 2) + 4
            centre = left + wide / 2
            parts.append(f'<text x="{centre:.1f}" y="{middle:.1f}" text-anchor="middle">{escape(label)}</text>')
        parts.append("</g>")
    parts.append(
        f'<rect x="{LEFT + plan.peak_op * across:.1f}" y="{TOP}" width="{across:.1f}" height="{HEIGHT - TOP - BOTTOM}" '
        'fill="#e4572e" fill-opacity="0.18" stroke="#e4572e" pointer-events="none"/>'
    )
    if reachable and limit is not None:
        parts.append(
            f'<path d="M{LEFT} {level(limit):.1f}H{WIDTH - 8}" stroke="#c00" stroke-dasharray="6 4" fill="none"/>'
            f'<text x="{WIDTH - 10}" y="{level(limit) - 4:.1f}" text-anchor="end">the chip: {limit:,} bytes</text>'
        )
    for value in (0, plan.liveness_bytes, plan.arena_bytes):
        parts.append(f'<text x="{LEFT - 6}" y="{level(value) + 4:.1f}" text-anchor="end">{value:,}</text>')
        parts.append(f'<path d="M{LEFT} {level(value):.1f}H{WIDTH - 8}" stroke="#0003" fill="none"/>')
    every = max(1, -(-steps // 24))
    for index in range(0, steps, every):
        parts.append(f'<text x="{LEFT + (index + 0.5) * across:.1f}" y="{HEIGHT - BOTTOM + 15}" text-anchor="middle">'
                     f"{index}</text>")  # fmt: skip
    parts.append(f'<text x="{LEFT + (WIDTH - LEFT) / 2}" y="{HEIGHT - 8}" text-anchor="middle">operator</text></svg>')
    return "\n".join(parts)
