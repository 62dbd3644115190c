"""A student as an ONNX file: fp32, opset 17, IR 8, the default operator domain only, BatchNorm and padding folded.

Those limits are what vendors' importers document (ST Edge AI Core: opsets 7 to 20, ONNX 1.15, hence IR 9 at most).
"""

from __future__ import annotations

import contextlib
import copy
import io
import logging
import warnings
from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor, nn

from alambic.deploy.onnx_nodes import EMITTERS, Unsupported, Writer, fold_norm, take_padding
from alambic.deploy.packages import require
from alambic.deploy.trace import Call, trace
from alambic.errors import AlambicError
from alambic.files import write_atomic

OPSET, IR_VERSION, LARGEST_IR = 17, 8, 9
INPUT, OUTPUT, BATCH = "images", "logits", "batch"
TOLERANCE = 1e-4
NORMS = ("native_batch_norm", "_native_batch_norm_legit_no_training", "_batch_norm_no_update")


@dataclass(frozen=True)
class Exported:
    """An fp32 ONNX file.

    Attributes:
        exporter: ``alambic``, or ``torch`` for a network with operators outside our table; ``reason`` names the first.
        max_error: largest |ONNX Runtime - torch| over random images, relative to the largest logit if over 1.
        operators: how often each occurs.
    """

    path: Path
    exporter: Literal["alambic", "torch"]
    reason: str
    max_error: float
    operators: dict[str, int]


def export_onnx(net: nn.Module, input_shape: tuple[int, int, int], path: Path | str) -> Exported:
    """Writes ``net`` in evaluation mode as ONNX (input ``images`` batch x C x H x W, output ``logits``).

    The batch axis is free, except where torch's exporter was needed: there it is 1. The network is not changed.

    Args:
        input_shape: C, H, W.

    Raises AlambicError when the network does not run, or the file and the network differ by more than 1e-4.
    """
    path = Path(path)
    # on the CPU and channels first: a channels-last network records other operators for the same arithmetic
    broken = [name for name, tensor in net.state_dict().items() if not torch.isfinite(tensor).all()]
    if broken:
        raise AlambicError(
            f"{type(net).__name__}: expected finite weights, got NaN or infinity in {', '.join(broken[:3])}; try "
            "weights of an earlier epoch, a lower learning rate, or clip = 1.0 in [recipe]"
        )
    net = copy.deepcopy(net).to("cpu").to(memory_format=torch.contiguous_format)
    image = torch.randn(1, *input_shape, generator=torch.Generator().manual_seed(0))
    exporter: Literal["alambic", "torch"] = "alambic"
    reason = ""
    calls, output, owners = trace(net, image)
    try:
        model = _build(calls, image, output, owners)
    except Unsupported as error:
        exporter, reason = "torch", str(error)
        model = _export_by_torch(net, image, reason)
    require("onnx").checker.check_model(model, full_check=True)
    write_atomic(path, lambda part: part.write_bytes(model.SerializeToString()))
    error_found = _compare(net, path, input_shape, free_batch=exporter == "alambic")
    if not error_found <= TOLERANCE:
        raise AlambicError(
            f"{type(net).__name__}: expected an ONNX file equal to the network within {TOLERANCE}, got a "
            f"difference of {error_found:.1e}, because the {exporter} exporter met something beyond it; try a network "
            "whose forward pass does not depend on the batch size or on values"
        )
    return Exported(path, exporter, reason, error_found, dict(Counter(node.op_type for node in model.graph.node)))


def _build(calls: list[Call], image: Tensor, output: Tensor, owners: dict[int, str]) -> Any:
    """The ONNX model of recorded calls; nodes with weights are named after their modules. Raises Unsupported."""
    writer = Writer(image, INPUT)
    calls = _fold_norms(calls)
    for call in calls:
        if not any(writer.knows(value) for value in _tensors(call)):
            continue  # computed from constants alone: its result becomes a constant
        if call.op == "constant_pad_nd" and take_padding(writer, call.args, call.output):
            continue
        if call.op not in EMITTERS:
            raise Unsupported(f"the operator aten::{call.op}")
        name = EMITTERS[call.op](writer, call.args, call.output)
        if owners.get(call.address):
            writer.name_last(owners[call.address])
        writer.pads.pop(id(call.output), None)
        writer.names[id(call.output)] = name
    if not writer.knows(output):
        raise Unsupported("an output that does not depend on the image")
    return _finish(writer, image, output)


def _finish(writer: Writer, image: Tensor, output: Tensor) -> Any:
    onnx = require("onnx")
    helper, floating = writer.helper, onnx.TensorProto.FLOAT
    last = writer.name(output)
    for node in writer.nodes:
        node.input[:] = [OUTPUT if item == last else item for item in node.input]
        node.output[:] = [OUTPUT if item == last else item for item in node.output]
    graph = helper.make_graph(
        writer.nodes,
        "student",
        [helper.make_tensor_value_info(INPUT, floating, [BATCH, *image.shape[1:]])],
        [helper.make_tensor_value_info(OUTPUT, floating, [BATCH, *output.shape[1:]])],
        writer.constants,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], producer_name="alambic")
    model.ir_version = IR_VERSION
    return onnx.shape_inference.infer_shapes(model)


def _fold_norms(calls: list[Call]) -> list[Call]:
    """The calls with each BatchNorm folded into the convolution before it, where nothing else reads that one."""
    readers = Counter(id(value) for call in calls for value in _tensors(call))
    makers = {id(call.output): index for index, call in enumerate(calls) if call.op == "convolution"}
    folded = list(calls)
    gone: set[int] = set()
    for index, call in enumerate(calls):
        maker = makers.get(id(call.args.get("input"))) if call.op in NORMS and not call.args.get("training") else None
        if maker is not None and readers[id(call.args["input"])] == 1 and not calls[maker].args["transposed"]:
            args = calls[maker].args
            weight, bias = fold_norm(args["weight"], args["bias"], call.args)
            folded[maker] = replace(calls[maker], args={**args, "weight": weight, "bias": bias}, output=call.output)
            gone.add(index)
    return [call for index, call in enumerate(folded) if index not in gone]


def _tensors(call: Call) -> list[Tensor]:
    found: list[Tensor] = []
    for value in call.args.values():
        found += [item for item in (value if isinstance(value, list | tuple) else [value]) if isinstance(item, Tensor)]
    return found


def _export_by_torch(net: nn.Module, image: Tensor, reason: str) -> Any:
    onnx = require("onnx")
    require("onnxscript")
    twin = copy.deepcopy(net).cpu().float().eval()
    memory = io.BytesIO()
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        try:
            program: Any = torch.onnx.export(
                twin, (image,), dynamo=True, opset_version=18, input_names=[INPUT], output_names=[OUTPUT], verbose=False
            )
            program.save(memory)
        except torch.onnx.errors.OnnxExporterError as error:
            raise AlambicError(
                f"{type(net).__name__}: expected a network that can be exported, but it uses {reason}, and torch's "
                f"exporter failed as well: {str(error)[:300]}; try plain convolutions, ReLU, pooling and linear layers"
            ) from error
    model = onnx.load_model_from_string(memory.getvalue())
    clean_model(model)
    return model


def clean_model(model: Any) -> None:
    """Lowers the IR version to what vendors read, and drops declared operator domains that no node uses; in place."""
    model.ir_version = min(model.ir_version, LARGEST_IR)
    used = {node.domain for node in model.graph.node} | {""}
    kept = [item for item in model.opset_import if item.domain in used]
    del model.opset_import[:]
    model.opset_import.extend(kept)


def _compare(net: nn.Module, path: Path, input_shape: tuple[int, int, int], free_batch: bool) -> float:
    from alambic.deploy.measure import predict_onnx

    count = 3 if free_batch else 1
    images = torch.randn(count, *input_shape, generator=torch.Generator().manual_seed(1))
    _, expected, _ = trace(net, images)
    found = predict_onnx(path, images.numpy())
    return float(np.abs(found - expected.numpy()).max() / max(1.0, float(expected.abs().max())))
