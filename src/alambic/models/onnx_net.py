"""An ONNX file as a teacher: a black box that gives logits (from Keras, TensorFlow or anything else)."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from alambic.errors import AlambicError
from alambic.files import hash_file

NEEDED = 'an ONNX teacher needs {}, which is not installed; try: pip install "alambic[deploy]"'


class OnnxNet(nn.Module):
    """Runs an ONNX classifier on the CPU through ONNX Runtime. It has no parameters and passes no gradients.

    Args:
        path: the file; its first input takes images, its first output (or ``output``) gives B x classes scores.
        output: name of the output to read.

    Images come in as B x C x H x W; a network whose input is channels-last (Keras) is fed that way. A fixed batch
    size is served one batch at a time. Raises AlambicError for an unreadable file or an output that is not B x classes.
    """

    def __init__(self, path: str | Path, output: str | None = None, threads: int = 1) -> None:
        super().__init__()
        try:
            import onnxruntime
        except ImportError as error:
            raise AlambicError(NEEDED.format("ONNX Runtime")) from error
        path = Path(path)
        if not path.exists():
            raise AlambicError(f"expected an ONNX file at {path}, found none")
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.log_severity_level = 3
        try:
            self.session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        except Exception as error:  # ONNX Runtime raises its own unexported classes for each kind of broken file
            raise AlambicError(f"expected a readable ONNX network at {path}, got: {error}") from error
        given = self.session.get_inputs()[0]
        self.input_name, shape = given.name, given.shape
        if len(shape) != 4:
            raise AlambicError(f"{path}: expected an input B x C x H x W or B x H x W x C, got {shape}")
        self.channels_last = shape[3] in (1, 3) and shape[1] not in (1, 3)
        self.fixed_batch = shape[0] if isinstance(shape[0], int) and shape[0] > 0 else None
        axes = (1, 2) if self.channels_last else (2, 3)
        sides = [shape[axis] for axis in axes]
        self.size = (int(sides[0]), int(sides[1])) if all(isinstance(s, int) for s in sides) else None
        names = [item.name for item in self.session.get_outputs()]
        if output is not None and output not in names:
            raise AlambicError(f"{path}: there is no output {output!r}; its outputs are {', '.join(names)}")
        self.output_name = output or names[0]

    def forward(self, images: Tensor) -> Tensor:
        """B x C x H x W float -> B x classes."""
        array = images.detach().cpu().numpy().astype(np.float32)
        if self.channels_last:
            array = np.ascontiguousarray(array.transpose(0, 2, 3, 1))
        block = self.fixed_batch or len(array)
        found = [self._run(array[start : start + block]) for start in range(0, len(array), block)]
        return torch.from_numpy(np.concatenate(found)[: len(array)]).to(images.device)

    def _run(self, array: Any) -> Any:
        missing = (self.fixed_batch or len(array)) - len(array)
        if missing:
            array = np.concatenate([array, np.zeros((missing, *array.shape[1:]), np.float32)])
        scores = self.session.run([self.output_name], {self.input_name: array})[0]
        if scores.ndim != 2:
            raise AlambicError(f"expected ONNX output {self.output_name!r} of shape B x classes, got {scores.shape}")
        return scores


def hash_onnx(path: Path) -> str:
    """Hash of a network's file and of those beside it that hold its weights, where it has any (external data)."""
    try:
        import onnx
    except ImportError as error:
        raise AlambicError(NEEDED.format("onnx")) from error
    graph = onnx.load(str(path), load_external_data=False).graph
    outside = [tensor for tensor in graph.initializer if tensor.data_location == onnx.TensorProto.EXTERNAL]
    names = {entry.value for tensor in outside for entry in tensor.external_data if entry.key == "location"}
    first, *others = [hash_file(path), *(hash_file(path.parent / name) for name in sorted(names))]
    return hashlib.sha256(" ".join([first, *others]).encode()).hexdigest() if others else first
