"""A whole training step as one CUDA graph: render, bank, student, loss, gradient, optimiser, in one launch.

A step of a tiny student is some two hundred kernels of a few microseconds: started one by one, starting them is what
the time goes to. A graph is recorded once and replayed; what changes from step to step lies in buffers that the replay
reads: ids, views and the learning rate. Everything else must be equal at every step, so what reads the share of
training done, draws random numbers or keeps numbers outside tensors is not recorded, and says why.

Recording goes through ``Recorder``, so that everything but the graph itself runs, and is tested, on the CPU.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from alambic.training.hooks import Hooks
from alambic.training.resident import ResidentBank

if TYPE_CHECKING:
    from alambic.training.loop import Run

Parts = dict[str, Tensor]
Work = Callable[[Tensor, Tensor, Any], Parts]  # ids, views, progress -> parts of the loss
Recorder = Callable[[Callable[[], Parts]], tuple[Callable[[], None], Parts]]
WARM_STEPS = 3  # before a recording, so that libraries have chosen and allocated what they need


class ProgressReadError(Exception):
    """Something read the share of training done."""


def _refuse(*_: Any) -> Any:
    raise ProgressReadError


class Unread:
    """Stands for the share of training done where nothing may read it: any use raises ProgressReadError."""

    __add__ = __radd__ = __sub__ = __rsub__ = __mul__ = __rmul__ = __truediv__ = __rtruediv__ = _refuse
    __lt__ = __le__ = __gt__ = __ge__ = __neg__ = __pow__ = __rpow__ = __float__ = __int__ = __bool__ = _refuse
    __floordiv__ = __mod__ = __abs__ = __round__ = __index__ = _refuse


def why_not(run: Run) -> str:
    """Why a run's step cannot be one CUDA graph, "" where nothing speaks against it so far."""
    modules = [*run.student.modules(), *run.objective.modules()]
    sensor = run.views.student.sensor
    if run.device.type != "cuda":
        return "there is no CUDA device"
    if run.feed is not None and not isinstance(run.feed, ResidentBank):
        return "the teacher is live, or its bank is not on the device"
    if type(run.hooks) is not Hooks:
        return "a treatment changes the step"
    if any(method.stochastic for method in run.objective.methods) or _drops(modules):
        return "the step draws random numbers, whose state graphs on several streams would share"
    if any(type(module).get_extra_state is not nn.Module.get_extra_state for module in modules):
        return "the method keeps numbers outside tensors"
    if sensor is not None and (sensor.shot or sensor.read):
        return "the sensor's noise copies a table from the host"
    return ""


def _drops(modules: Iterable[nn.Module]) -> bool:
    kinds = (nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.Dropout3d, nn.AlphaDropout, nn.FeatureAlphaDropout)
    return any(isinstance(module, kinds) and module.p > 0 for module in modules)


@contextmanager
def keeping(modules: Iterable[nn.Module], optimizer: torch.optim.Optimizer, device: torch.device) -> Iterator[None]:
    """Puts weights, buffers, optimiser state and random streams back where they were, in place: their memory stays.

    State that the optimiser makes inside starts at zero, as SGD's and AdamW's does.
    """
    tensors = [t for module in modules for t in (*module.parameters(), *module.buffers())]
    kept = [t.detach().clone() for t in tensors]
    state = {id(t): t.clone() for values in optimizer.state.values() for t in values.values() if torch.is_tensor(t)}
    devices = [device] if device.type == "cuda" else []
    with torch.random.fork_rng(devices=devices):
        try:
            yield
        finally:
            with torch.no_grad():
                for tensor, value in zip(tensors, kept, strict=True):
                    tensor.copy_(value)
                    tensor.grad = None
                for values in optimizer.state.values():
                    for tensor in values.values():
                        if torch.is_tensor(tensor) and id(tensor) in state:
                            tensor.copy_(state[id(tensor)])
                        elif torch.is_tensor(tensor):
                            tensor.zero_()


class RecordedStep:
    """A training's step, recorded once and replayed on a stream of its own.

    Args:
        work: the step as the engine takes it. modules: what it changes. ids, views: of the first batch: their length
            is every batch's. record: how; a CUDA graph but in tests.

    Raises ProgressReadError where the step depends on the share of training done; nothing is changed then.
    """

    def __init__(
        self,
        work: Work,
        modules: Iterable[nn.Module],
        optimizer: torch.optim.Optimizer,
        ids: Tensor,
        views: Tensor,
        record: Recorder | None = None,
    ) -> None:
        self.ids, self.views, self.optimizer = ids.clone(), views.clone(), optimizer
        rates = [group["lr"] for group in optimizer.param_groups]
        self.rates = [torch.full((), float(rate), device=ids.device) for rate in rates]
        self.stream = torch.cuda.Stream(ids.device) if ids.device.type == "cuda" else None

        def step() -> Parts:
            return work(self.ids, self.views, Unread())

        with keeping(modules, optimizer, ids.device):
            for group, rate in zip(optimizer.param_groups, self.rates, strict=True):
                group["lr"] = rate
                if "capturable" in group:
                    group["capturable"] = self.stream is not None
            try:
                self._replay, self.parts = (record or self._record)(step)
            except (ProgressReadError, TypeError) as error:  # torch refuses a stranger among its numbers by TypeError
                for group, number in zip(optimizer.param_groups, rates, strict=True):
                    group["lr"] = number
                raise ProgressReadError from error

    def _record(self, step: Callable[[], Parts]) -> tuple[Callable[[], None], Parts]:
        assert self.stream is not None
        self.stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(self.stream):
            for _ in range(WARM_STEPS):
                step()
        torch.cuda.current_stream().wait_stream(self.stream)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph, stream=self.stream):
            parts = step()
        return graph.replay, parts

    @contextmanager
    def entered(self) -> Iterator[None]:
        """On the training's own stream, after what the current one was given: steps and sums belong in here."""
        if self.stream is None:
            yield
            return
        self.stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(self.stream):
            yield

    def __call__(self, ids: Tensor, views: Tensor, rate: float) -> Parts:
        """Starts one step, inside ``entered``, and does not wait for it; the next one overwrites the parts."""
        self.ids.copy_(ids)
        self.views.copy_(views)
        for lr in self.rates:
            lr.fill_(rate)
        self._replay()
        return self.parts

    def join(self) -> None:
        """Makes the current stream wait for what was started."""
        if self.stream is not None:
            torch.cuda.current_stream().wait_stream(self.stream)
