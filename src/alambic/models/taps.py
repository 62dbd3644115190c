"""Taps: read logits, embedding, stages and head from any ``nn.Module`` without editing it.

Two ways, chosen once per network:
- timm's ``forward_intermediates`` and ``forward_head`` where the network has them;
- else forward hooks on modules found by running one example (see ``discover.py``), with an override by name.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, Literal

import torch
from torch import Tensor, nn

from alambic.errors import AlambicError, nearest
from alambic.models.discover import Anatomy, dissect, feature_of, is_linear
from alambic.models.example import vary
from alambic.models.feature import Feature, Head, Outputs, OutputSpec, refuse_probabilities, stage_energy, stage_indices
from alambic.models.grouped import GroupedClasses, merge_scores

Tap = tuple[str, Literal["input", "output"]]  # name of a module, and which side of it is read


class Tapped:
    """A network whose named outputs can be read in one forward pass.

    Args:
        net: any module that maps images to class scores (B x classes).
        example: B x C x H x W images as the network expects them (normalised, its own size); B >= 2. Blank ones tell
            their shape alone: noise is seen in their place.
        want: quantities among logits, embedding, stages, energy, head.
        stages: names of modules to read as stages instead of the found ones.
        label: "student" or "teacher" and the network's name, for messages.

    The network itself stays untouched: hooks exist only while ``__call__`` runs.
    Raises AlambicError where a wanted quantity cannot be found, at construction.
    """

    def __init__(
        self,
        net: nn.Module,
        example: Tensor,
        want: frozenset[str] | set[str],
        stages: Sequence[str] | None = None,
        label: str = "network",
    ) -> None:
        self.groups = net.groups if isinstance(net, GroupedClasses) else ()
        if isinstance(net, GroupedClasses):
            net = net.net  # embedding and stages are the network's own, its scores alone are merged
        self.net, self.label, self.want = net, label, frozenset(want)
        if isinstance(stages, str):
            raise AlambicError(f"{label}: expected a list of module names, got {stages!r}; try [{stages!r}]")
        self._names = tuple(stages) if stages else None
        self._timm = stages is None and hasattr(net, "forward_intermediates") and hasattr(net, "forward_head")
        self._anatomy: Anatomy | None = None
        self._overwritten: frozenset[Tap] = frozenset()
        example = vary(example)
        if stages:
            known = {name for name, _ in net.named_modules() if name}  # the network itself has no name
            for name in stages:
                if name not in known:
                    raise AlambicError(f"{label}: there is no module {name!r} to tap; {nearest(name, known)}")
        with torch.no_grad(), evaluating(net):
            if self._timm:
                self._timm = self._probe_timm(example)
            if not self._timm:
                self._anatomy = dissect(net, example, self._names, label)
                if self.want > {"logits"}:
                    self._overwritten = self._find_overwritten(example)
            self.spec = OutputSpec.of(self._probe(example))

    def _probe(self, example: Tensor) -> Outputs:
        outputs = self(example)
        for quantity, value in (("logits", outputs.logits), ("embedding", outputs.embedding), ("head", outputs.head)):
            if quantity in self.want and value is None:
                raise AlambicError(
                    f"{self.label}: expected a network with {quantity}, found none, because no linear layer produces "
                    "its output; try a method that reads logits only, or end the network with nn.Linear"
                )
        if self.want & {"stages", "energy"} and not outputs.stages and not outputs.energy:
            raise AlambicError(f"{self.label}: found no intermediate maps or tokens; {self._advise_stages()}")
        if outputs.logits is not None and outputs.logits.ndim != 2:
            raise AlambicError(
                f"{self.label}: expected class scores B x classes, got shape {tuple(outputs.logits.shape)}"
            )
        refuse_probabilities(outputs.logits, self.label)
        return outputs

    def _advise_stages(self) -> str:
        """What to try where no stage was found."""
        inner = getattr(self.net, "module", None)
        if isinstance(inner, nn.Module) and len(list(self.net.children())) == 1:
            return (
                f"it is wrapped in {type(self.net).__name__}: try its `.module`, and in several processes "
                "`distiller.average_gradients()` after each `loss.backward()`"
            )
        side = self.label.split()[0]
        named = f"`{side}_stages=[module names]` of the Distiller, or " if side in ("student", "teacher") else ""
        return f"try {named}a method on logits (kd)"

    def _probe_timm(self, example: Tensor) -> bool:
        """Whether the timm way gives the network's own logits (two heads, odd poolings go the other way)."""
        net: Any = self.net
        try:
            features = net.forward_features(example)
            embedding = net.forward_head(features, pre_logits=True)
            read_intermediates(net, example)
            head = net.get_classifier()
            logits = head(embedding)
            if isinstance(head, nn.Linear) and not is_linear(head, embedding, logits):
                return False
            return bool(torch.allclose(logits, net(example), atol=1e-4, rtol=1e-4))
        except torch.OutOfMemoryError:
            raise
        except (TypeError, AttributeError, LookupError, RuntimeError, ValueError, AssertionError):
            return False  # hooks will tell why, if they must

    def __call__(self, images: Tensor) -> Outputs:
        """One forward pass; B x C x H x W -> the wanted quantities."""
        outputs = self._read(images)
        if not self.groups:
            return outputs
        # no head: merged scores are not linear in the embedding
        return replace(outputs, logits=merge_scores(outputs.need_logits(), self.groups), head=None)

    def _read(self, images: Tensor) -> Outputs:
        if self.want <= {"logits"}:
            return Outputs(logits=self._catch(images, ())[0])
        return self._call_timm(images) if self._timm else self._call_hooks(images)

    def _call_timm(self, images: Tensor) -> Outputs:
        net: Any = self.net
        stages: tuple[Feature, ...] = ()
        if self.want & {"stages", "energy"}:
            final, stages = read_intermediates(net, images)
        else:
            final = net.forward_features(images)
        embedding = net.forward_head(final, pre_logits=True)
        return self._select(net.get_classifier()(embedding), embedding, stages, net.get_classifier())

    def _call_hooks(self, images: Tensor) -> Outputs:
        anatomy = self._anatomy
        assert anatomy is not None
        names = anatomy.stages if self.want & {"stages", "energy"} or not anatomy.heads else ()
        taps: list[Tap] = [(name, "output") for name in names]
        logits, caught = self._catch(images, (*taps, *((name, "input") for name in anatomy.ends)))
        stages = tuple(feature_of(caught[name, "output"], name, anatomy.layouts[name]) for name in names)
        vectors = [caught[name, "input"] for name in anatomy.heads]
        if anatomy.conv_head:
            vectors = [caught[anatomy.conv_head, "input"].mean((2, 3))]
        elif not vectors and stages:
            vectors = [stages[-1].as_vector()]
        alike = len({vector.shape for vector in vectors}) == 1  # branches of several widths have no mean
        embedding = sum(vectors[1:], vectors[0]) / len(vectors) if alike else None
        head = self.net.get_submodule(anatomy.heads[0]) if len(anatomy.heads) == 1 else None
        return self._select(logits, embedding, stages, head)

    def _catch(self, images: Tensor, taps: tuple[Tap, ...]) -> tuple[Tensor, dict[Tap, Any]]:
        """One forward pass: the logits, and what goes into or comes out of modules."""
        caught: dict[Tap, Any] = {}
        handles = []
        try:
            for tap in taps:
                copied = tap in self._overwritten
                handles.append(self.net.get_submodule(tap[0]).register_forward_hook(_keep(caught, tap, copied)))
            logits = self.net(images)
        finally:
            for handle in handles:
                handle.remove()
        lost = [f"{kind} of {name}" for name, kind in taps if (name, kind) not in caught]
        if lost:
            raise AlambicError(f"{self.label}: expected to read the {lost[0]}, {self._explain_loss()}")
        if not isinstance(logits, Tensor):
            mode = "training" if self.net.training else "evaluation"
            raise AlambicError(
                f"{self.label}: expected one tensor of class scores, got {type(logits).__name__} in {mode} mode; try "
                "to turn auxiliary outputs off, or a module that returns the scores alone"
            )
        return logits, caught

    def _explain_loss(self) -> str:
        """Why a tap of an earlier pass gave nothing in this one."""
        if any(is_compiled(module) for module in self.net.modules()):
            return (
                "but a compiled network may run without the hooks that read it, as may one with a compiled part; try "
                "to leave it plain, or a method on logits (kd)"
            )
        mode = "training" if self.net.training else "evaluation"
        side = self.label.split()[0]
        return (
            f"but it did not run in this pass in {mode} mode, because the network skips it at times (as LayerDrop "
            f"does), or calls its forward without it; try to turn that off, `{side}_stages=[modules that always run]`, "
            "or a method on logits (kd)"
        )

    def _find_overwritten(self, example: Tensor) -> frozenset[Tap]:
        """Taps whose tensor a later layer changes in place, as an activation of the next block may: they are copied."""
        assert self._anatomy is not None
        taps: list[Tap] = [(name, "output") for name in self._anatomy.stages]
        taps += [(name, "input") for name in self._anatomy.ends]
        seen: dict[Tap, tuple[Tensor, int]] = {}

        def watch(tap: Tap) -> Any:
            def hook(module: nn.Module, args: Any, output: Any) -> None:
                tensor = args[0] if tap[1] == "input" else output
                seen[tap] = tensor, tensor._version

            return hook

        handles = [self.net.get_submodule(tap[0]).register_forward_hook(watch(tap)) for tap in taps]
        try:
            self.net(example)
        finally:
            for handle in handles:
                handle.remove()
        return frozenset(tap for tap, (tensor, version) in seen.items() if tensor._version != version)

    def _select(self, logits: Tensor, embedding: Tensor | None, stages: tuple[Feature, ...], head: Any) -> Outputs:
        want = self.want
        given: Head | None = None
        if "head" in want and isinstance(head, nn.Linear):
            bias = head.bias if head.bias is not None else head.weight.new_zeros(head.weight.shape[0])
            given = Head(head.weight, bias)
        return Outputs(
            logits=logits,
            embedding=embedding.flatten(1) if embedding is not None and "embedding" in want else None,
            stages=stages if "stages" in want else (),
            energy=tuple(stage_energy(s) for s in stages) if "energy" in want else (),
            head=given,
        )


def is_compiled(module: nn.Module) -> bool:
    """Whether ``torch.compile`` or ``Module.compile`` made it."""
    return isinstance(module, torch._dynamo.OptimizedModule) or module._compiled_call_impl is not None


def read_intermediates(net: Any, images: Tensor) -> tuple[Tensor, tuple[Feature, ...]]:
    """(final features, four stages) by timm's ``forward_intermediates``; class and register tokens are kept."""
    prefix = int(getattr(net, "num_prefix_tokens", 0) or 0)
    blocks = len(getattr(net, "blocks", ()) or ())
    if prefix:
        final, pairs = net.forward_intermediates(
            images, indices=stage_indices(blocks), output_fmt="NLC", return_prefix_tokens=True
        )
        grid = tuple(net.patch_embed.dynamic_feat_size(images.shape[-2:]))
        return final, tuple(
            Feature(torch.cat([front, patches], 1), "tokens", int(front.shape[1]), grid, f"block {i}")
            for i, (patches, front) in zip(stage_indices(blocks), pairs, strict=True)
        )
    final, maps = net.forward_intermediates(images)
    chosen = stage_indices(len(maps))
    return final, tuple(Feature(maps[i], "map", name=f"stage {i}") for i in chosen)


def _keep(caught: dict[Tap, Any], tap: Tap, copied: bool) -> Any:
    def hook(module: nn.Module, args: Any, output: Any) -> None:
        seen = args[0] if tap[1] == "input" else output
        caught[tap] = seen.clone() if copied else seen

    return hook


@contextmanager
def evaluating(net: nn.Module) -> Iterator[None]:
    """Evaluation mode for a probe, each module's own mode restored afterwards (BatchNorm and dropout untouched)."""
    modes = [(module, module.training) for module in net.modules()]
    net.eval()
    try:
        yield
    finally:
        for module, mode in modes:
            module.training = mode
