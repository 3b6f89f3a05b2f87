"""The protocol: a classifier that goes on learning while it answers."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

Resets = Literal["never", "segment", "batch"]


class Adapter(nn.Module):
    """A copy of a trained classifier that adapts to what it is asked: x (B, ...) to logits (B, K).

    A method says in its constructor which parameters move and with which `optimizer`, and in `adapt` what one batch teaches. It is
    deterministic: every random number is drawn from (`seed`, `seen` + place in the batch). `state_dict` holds the model, all that
    the method added to it, the optimizers, the counter and the start that `reset` goes back to, so that a stream can go on later
    with the same bits.
    """

    needs_source: ClassVar[bool] = False
    """Whether it must see samples of the source once, before the stream."""
    modalities: ClassVar[tuple[str, ...]] = ()
    """The only kinds of data that it is for; () for all."""
    resets: ClassVar[Resets] = "never"
    """When its paper starts over: never, with each new segment of the stream, or with each batch (or sample)."""

    summed: ClassVar[int] = 1
    """How many models' logits its answer is the sum of."""
    prepared: bool = True
    """Whether it has seen what it needs of the source."""

    seen: Tensor
    notes: list[str]

    def __init__(self, model: nn.Module):
        super().__init__()
        self.model = copy.deepcopy(model).eval().requires_grad_(False)
        self.register_buffer("seen", torch.zeros((), dtype=torch.int64))
        self.seed, self.episodic = 0, self.resets == "batch"
        self.notes = []
        self._optimizers: dict[str, Optimizer] = {}
        self._start: dict[str, Tensor] | None = None

    def adapt(self, x: Tensor) -> Tensor:
        """Learns from a batch, and gives its logits (B, K); gradients are enabled."""
        raise NotImplementedError

    def prepare(self, x: Tensor, y: Tensor) -> None:
        """Looks at samples of the source x (N, ...) with their labels y (N,), once, where the method `needs_source`."""

    def predict(self, x: Tensor) -> Tensor:
        """The logits (B, K) of the model as it is now, which learns nothing."""
        with torch.no_grad():
            logits: Tensor = self.model(x)
        return logits

    def forward(self, x: Tensor) -> Tensor:
        if self._start is None:
            self.begin()
        if self.episodic:
            self.reset()
        with torch.enable_grad():
            logits = self.adapt(x).detach()
        self.seen += len(x)
        return logits

    def begin(self) -> None:
        """Remembers the present state as the start that `reset` goes back to."""
        self._start = {name: t.detach().clone() for name, t in self._present().items() if name != "seen"}

    @torch.no_grad()
    def reset(self) -> None:
        """Goes back to the start, the optimizers too; `seen` counts on."""
        if self._start is None:
            return
        present = super().state_dict()
        now, then = zip(*((present[name], t) for name, t in self._start.items() if name in present), strict=True)
        torch._foreach_copy_(list(now), list(then))
        self._restore({name: t.clone() for name, t in self._start.items() if name not in present})

    def position(self, x: Tensor) -> Tensor:
        """The places (B,) in the stream of the samples of a batch."""
        return self.seen + torch.arange(len(x), device=x.device)

    def moves(
        self, parameters: Mapping[str, nn.Parameter], kind: type[Optimizer], name: str = "optimizer", **words: Any
    ) -> Optimizer:
        """Lets these parameters move, by a new optimizer that is part of the state."""
        for parameter in parameters.values():
            parameter.requires_grad_()
        self._optimizers[name] = kind(list(parameters.values()), **words)
        return self._optimizers[name]

    def step(self, loss: Tensor, name: str = "optimizer", lr: float | None = None) -> None:
        """One step of an optimizer down the gradient of a loss, at its own learning rate or another."""
        optimizer = self._optimizers[name]
        for group in optimizer.param_groups if lr is not None else ():
            group["lr"] = lr
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()

    def _present(self) -> dict[str, Tensor]:
        """Everything that the next batch depends on."""
        tensors = dict(super().state_dict())
        for name, optimizer in self._optimizers.items():
            for i, slots in optimizer.state_dict()["state"].items():
                tensors |= {f"{name}.{i}.{k}": torch.as_tensor(v) for k, v in slots.items() if v is not None}
        return tensors

    def _restore(self, tensors: Mapping[str, Tensor]) -> None:
        """Puts back the optimizers' part of `_present`."""
        for name, optimizer in self._optimizers.items():
            slots: dict[int, dict[str, Tensor]] = {}
            for key, value in tensors.items():
                if key.startswith(f"{name}."):
                    _, i, slot = key.split(".", 2)
                    slots.setdefault(int(i), {})[slot] = value
            optimizer.state.clear()
            if slots:
                optimizer.load_state_dict({"state": slots, "param_groups": optimizer.state_dict()["param_groups"]})

    def state_dict(self, *args: Any, **kwargs: Any) -> dict[str, Any]:  # type: ignore[override]
        """What the stream goes on from: flat, tensors only."""
        if self._start is None:
            self.begin()
        tensors = self._present() | {f"start.{k}": v for k, v in (self._start or {}).items()}
        return {name: t.detach().clone() for name, t in tensors.items()}

    def load_state_dict(self, state_dict: Mapping[str, Any], strict: bool = True, assign: bool = False) -> Any:
        """Goes on from a state of the same method and model; raises RuntimeError for another's."""
        start = {k.removeprefix("start."): v.clone() for k, v in state_dict.items() if k.startswith("start.")}
        slots = tuple(f"{name}." for name in self._optimizers)
        own = {k: v for k, v in state_dict.items() if not k.startswith(("start.", *slots))}
        result = super().load_state_dict(own, strict, assign)
        self._restore({k: v.clone() for k, v in state_dict.items() if slots and k.startswith(slots)})
        self._start = start
        return result
