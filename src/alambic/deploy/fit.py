"""Does an int8 network fit a chip: by how many bytes, because of which layer, and which width would."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

from alambic.deploy.chips import Chip
from alambic.deploy.graph import Int8Graph
from alambic.deploy.int8 import quantize_student
from alambic.deploy.memory import count_inner_arena, count_scratch, plan_memory, weigh_layers
from alambic.deploy.read import read_graph
from alambic.deploy.targets.cortex_m import Program
from alambic.deploy.targets.tflm import measure_arena
from alambic.deploy.targets.vela import DEFAULT, ETHOS, compile_vela
from alambic.deploy.tflite import emit_tflite
from alambic.deploy.widths import list_widths
from alambic.errors import AlambicError
from alambic.models.students import count_weight_bytes, create_student

# bytes of CMSIS-NN kernels, start-up and generated code in programs of zoo students (15,000 to 28,200), within 4 KB
C_CODE, C_CODE_AN_OPERATOR = 15_000, 280
MULTIPLIER = 8  # bytes an output channel: its requantisation factor and shift


@dataclass(frozen=True)
class Need:
    """RAM and flash that one engine takes for a network, bytes by part; ``how`` they were found.

    Attributes:
        uncounted: code that lies in the chip's flash too, in words; empty where the parts are all of it.
        joined: parts of ``ram`` that are one buffer; each other part is a buffer of its own.
    """

    engine: str
    ram: dict[str, int]
    flash: dict[str, int]
    how: str
    uncounted: str = ""
    joined: tuple[str, ...] = ()

    @property
    def ram_bytes(self) -> int:
        return sum(self.ram.values())

    @property
    def block_bytes(self) -> int:
        """The largest buffer, which must lie in one piece."""
        alone = [size for part, size in self.ram.items() if part not in self.joined]
        return max(*alone, sum(self.ram[part] for part in self.joined), 0)

    @property
    def flash_bytes(self) -> int:
        return sum(self.flash.values())


@dataclass(frozen=True)
class Fit:
    """A verdict.

    Attributes:
        fits: None where the chip's entry gives no limit to judge by.
        ram_over, flash_over: bytes beyond the limit; negative = bytes left; None = no limit known.
        ram_layer: the operator at which most activations live. ram_holds: those, largest first, with bytes.
        flash_layer: the layer with most weights, empty where there are none. flash_share: its share of all weights.
        missing: operators of the network that the chip lacks.
        block_over: as ``ram_over``, of the largest buffer beyond the largest block of RAM.
    """

    chip: Chip
    need: Need
    fits: bool | None
    ram_over: int | None
    flash_over: int | None
    ram_layer: str
    ram_holds: tuple[tuple[str, int], ...]
    flash_layer: str
    flash_share: float
    missing: tuple[str, ...]
    block_over: int | None

    @property
    def ram_excess(self) -> int:
        """Bytes by which the activations would have to shrink, 0 where their RAM suffices or no limit is known."""
        return max(0, self.ram_over or 0, self.block_over or 0)

    @property
    def uncounted(self) -> str:
        """Code of the engine for which neither the need nor the chip's entry keeps flash; empty where none lacks."""
        kept = self.chip.reserved_flash_kib > 0 or self.chip.flash_kib is None
        return "" if kept else self.need.uncounted


def measure_need(chip: Chip, graph: Int8Graph, tflite: Path, engine: str | None = None) -> Need:
    """What a network takes on a chip by its own engine, or by another one.

    Args:
        tflite: the graph's own file; engines tflm and ethos run it.

    Raises AlambicError where the engine's package is missing, or the engine refuses the file.
    """
    engine = engine or chip.engine
    if engine in ("tflm", "ethos") and not tflite.exists():
        raise AlambicError(
            f"engine {engine}: expected the network as a .tflite file, which ai-edge-litert writes, found none; "
            'try: pip install "alambic[chip]"'
        )
    if engine == "tflm":
        arena = measure_arena(tflite)
        return Need("tflm", {"arena head": arena.head, "arena tail": arena.tail}, {".tflite": tflite.stat().st_size},
                    "measured by TFLite-Micro's interpreter; its own code is not counted",
                    "TFLite-Micro's own code", ("arena head", "arena tail"))  # fmt: skip
    if engine == "ethos":
        report = compile_vela(tflite, chip.name if chip.name in ETHOS else DEFAULT)
        return Need("ethos", {"SRAM": report.sram_bytes}, {"compressed weights and commands": report.flash_bytes},
                    f"by Vela for {report.ethos.accelerator}")  # fmt: skip
    int8 = graph.weight_bytes - graph.bias_bytes
    weights = {"weights and biases": -(-int8 * chip.arithmetic.weight_bits // 8) + graph.bias_bytes}
    if engine == "accelerator":
        ram = {"activations": plan_memory(graph, alignment=chip.alignment).arena_bytes}
        return Need("accelerator", ram, weights, "by the planner; factors that requantise are not counted")
    biases = [graph.tensors[name] for op in graph.ops for name in op.inputs if graph.tensors[name].dtype == "int32"]
    channels = sum(bias.shape[0] for bias in biases)
    code = C_CODE + C_CODE_AN_OPERATOR * len(graph.ops)
    ram = {
        "activations": count_inner_arena(graph, chip.alignment),
        "scratch": count_scratch(graph),
        "input image": graph.tensors[graph.input].bytes,
    }
    return Need("c", ram, {**weights, "multipliers": MULTIPLIER * channels, "code": code},
                "by the planner; code estimated from programs of zoo students",
                joined=("activations", "scratch"))  # fmt: skip


def count_program(program: Program) -> Need:
    """What engine c takes, by a program that was linked and run: its arena, and beside it the image that it reads."""
    ram = {
        "arena": program.arena_bytes,
        "other variables": program.static_bytes,
        "input image": program.input_bytes,
        "stack": program.stack_bytes,
    }
    return Need("c", ram, {"program": program.flash_bytes}, f"measured on a {program.core} program")


def judge_fit(chip: Chip, need: Need, graph: Int8Graph) -> Fit:
    """Holds a need against a chip's limits and operators."""
    plan = plan_memory(graph, alignment=chip.alignment)
    layers = weigh_layers(graph)
    heaviest = max(layers, key=layers.__getitem__, default="")
    missing = tuple(sorted({op.kind for op in graph.ops} - set(chip.operators))) if chip.operators is not None else ()
    overs = [
        None if limit is None else needed - limit
        for needed, limit in (
            (need.ram_bytes, chip.ram_bytes),
            (need.flash_bytes, chip.flash_bytes),
            (need.block_bytes, chip.largest_block_bytes),
        )
    ]
    known = [over for over in overs if over is not None]
    fits = None if not known and not missing else not missing and all(over <= 0 for over in known)
    return Fit(chip, need, fits, overs[0], overs[1], plan.peak_layer, plan.peak_tensors, heaviest,
               layers[heaviest] / graph.weight_bytes if layers else 0.0, missing, overs[2])  # fmt: skip


def explain_fit(fit: Fit) -> list[str]:
    """The verdict in sentences."""
    verdict = {True: "fits", False: "does not fit", None: "cannot be judged: its entry gives no sizes"}[fit.fits]
    if fit.fits and fit.uncounted:
        verdict = f"fits only if what is left holds {fit.uncounted}, which is not counted"
    lines = [f"{fit.chip.name} ({fit.chip.core}): {verdict}"]
    for name, needed, limit, over in (
        ("RAM", fit.need.ram_bytes, fit.chip.ram_bytes, fit.ram_over),
        ("flash", fit.need.flash_bytes, fit.chip.flash_bytes, fit.flash_over),
    ):
        if over is None or limit is None:
            lines.append(f"{name}: {needed:,} bytes needed; no limit known")
            continue
        left = f"{-over:,} bytes left" if over <= 0 else f"{over:,} bytes too many"
        if name == "flash" and fit.uncounted:
            left += f" without {fit.uncounted} (try reserved_flash_kib in the chip's entry)"
        lines.append(f"{name}: {needed:,} bytes needed of {limit:,}: {left}")
    if fit.block_over is not None and fit.block_over > 0:
        lines.append(
            f"RAM in one piece: needs {fit.need.block_bytes:,} bytes, the largest block is "
            f"{fit.chip.largest_block_bytes:,}: {fit.block_over:,} bytes too many"
        )
    weights = f"most weights in {fit.flash_layer}, {fit.flash_share:.0%} of them" if fit.flash_layer else "no weights"
    lines.append(f"most RAM at {fit.ram_layer}; {weights}")
    if fit.missing:
        lines.append(f"operators that the chip lacks: {', '.join(fit.missing)}")
    return lines


@dataclass(frozen=True)
class Widest:
    """The widest student of a family that fits a chip.

    Attributes:
        name: None where not even the narrowest fits.
        fit: its, with random weights. capped: it is the widest that was looked at; wider ones may fit as well.
        narrowest: the least of the family. tried: networks drafted.
    """

    name: str | None
    fit: Fit | None
    capped: bool
    narrowest: str
    tried: int


def find_widest(student: str, shape: tuple[int, int, int], classes: int, chip: Chip) -> Widest:
    """Bisects the widths of a student's family, each drafted with random weights and judged like the real thing.

    Args:
        shape: C, H, W.

    Raises AlambicError where the chip has no limits, or the engine cannot be asked.
    """
    if chip.ram_bytes is None and chip.flash_bytes is None:
        raise AlambicError(f"chip {chip.name!r}: expected ram_kib or flash_kib to search widths by, its entry has none")
    names = list_widths(student)
    found: dict[int, Fit | None] = {}

    def fits(index: int) -> bool:
        if index not in found:
            found[index] = _draft_fit(names[index], shape, classes, chip)
        fit = found[index]
        return fit is not None and bool(fit.fits)

    low, high = -1, len(names)  # the last known to fit, the first known not to
    probe = names.index(student) if student in names else len(names) // 2
    while high - low > 1:
        low, high = (probe, high) if fits(probe) else (low, probe)
        probe = (low + high) // 2
    return Widest(names[low] if low >= 0 else None, found.get(low), low == len(names) - 1, names[0], len(found))


def explain_widest(widest: Widest, chip: Chip) -> str:
    """One sentence."""
    if widest.name is None or widest.fit is None:
        return f"no width of this family fits {chip.name}: not even the narrowest, {widest.narrowest}"
    need = widest.fit.need
    bound = "of the widths looked at" if widest.capped else "of this family"
    size = f"{need.ram_bytes:,} bytes of RAM and {need.flash_bytes:,} of flash"
    caveat = f", without {widest.fit.uncounted}" if widest.fit.uncounted else ""
    return f"the widest {bound} that fits {chip.name} is {widest.name}: {size}{caveat}"


def _draft_fit(name: str, shape: tuple[int, int, int], classes: int, chip: Chip) -> Fit | None:
    """The fit of a student with random weights; None where its weights alone are too many to look further."""
    channels, height, width = shape
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        net = create_student(name, channels, (height, width), classes)
    least = count_weight_bytes(net) * chip.arithmetic.weight_bits // 8  # biases stay wide: no less than this is stored
    if chip.flash_bytes is not None and chip.engine != "ethos" and least > chip.flash_bytes:
        return None
    return draft_fit(net, shape, chip)


def draft_fit(net: nn.Module, shape: tuple[int, int, int], chip: Chip) -> Fit:
    """The fit of an untrained network (C, H, W to logits) on a chip, its BatchNorm settled on noise.

    Raises AlambicError where it has no int8 form, or the chip's engine cannot be asked.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        images = torch.randn(8, *shape)
        with torch.no_grad():
            net.train()(images)  # statistics for BatchNorm: scales of a raw network may overflow
    with tempfile.TemporaryDirectory() as folder:
        done = quantize_student(net, images[:2], shape, folder)
        graph = read_graph(done.onnx_int8)
        tflite = Path(folder) / "student.tflite"
        if chip.engine in ("tflm", "ethos"):
            emit_tflite(graph, tflite)
        return judge_fit(chip, measure_need(chip, graph, tflite), graph)
