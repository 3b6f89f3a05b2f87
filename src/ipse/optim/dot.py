"""A trainer for distillation."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, ClassVar

import torch
from torch import Tensor
from torch.nn import Parameter
from torch.optim import Optimizer

from ipse.errors import UserError


class DOT(Optimizer):
    """SGD that remembers the gradients of distillation for longer than those of the task, in a momentum of its own for each.

        v_task <- (momentum - offset) v_task + g_task + weight_decay p
        v_kd   <- (momentum + offset) v_kd   + g_kd
        p      <- p - lr (v_task + v_kd)

    A parameter that one of the two alone reaches has the plain momentum, and decays; so do all when nobody fills `gradients`,
    which the loop does (`ipse.optim.optimizers`), and .grad is all there is. With offset 0 it is SGD on the sum of the losses. A
    gradient that stays has 1 / (1 - momentum) times its effect in the end: 40 and 5.7 at the offset of 0.075, which the authors
    take on CIFAR-100 (0.09 on ImageNet). Raises UserError unless both momenta are at least 0 and less than 1.

    Zhao et al., ICCV 2023, arXiv:2307.08436
    """

    terms: ClassVar[tuple[str, str]] = ("task", "distillation")

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 0.05,
        momentum: float = 0.9,
        offset: float = 0.075,
        weight_decay: float = 0.0,
    ):
        if not 0 <= momentum - abs(offset) <= momentum + abs(offset) < 1:
            raise UserError(
                f"dot needs both momenta, {momentum} plus and minus {offset}, at least 0 and less than 1: take a smaller offset"
            )
        super().__init__(params, {"lr": lr, "momentum": momentum, "offset": offset, "weight_decay": weight_decay})
        self.gradients: dict[Parameter, dict[str, Tensor]] = {}

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:  # type: ignore[override]
        """Moves every parameter that has a gradient."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            moves: dict[float, list[tuple[Tensor, Tensor, Tensor]]] = {}
            for p in group["params"]:
                parts = self.gradients.get(p) or ({"task": p.grad} if p.grad is not None else {})
                for term, gradient in parts.items():
                    if term not in self.state[p]:
                        self.state[p][term] = torch.zeros_like(p)
                    # Of two parts, that of the task has the decay; a single one has it whichever it is.
                    decays = group["weight_decay"] and (len(parts) == 1 or term == "task")
                    gradient = gradient.add(p, alpha=group["weight_decay"]) if decays else gradient
                    moves.setdefault(self._momentum(group, term, len(parts)), []).append((p, self.state[p][term], gradient))
            for momentum, each in moves.items():
                parameters, velocities, gradients = map(list, zip(*each, strict=True))
                torch._foreach_mul_(velocities, momentum)
                torch._foreach_add_(velocities, gradients)
                torch._foreach_add_(parameters, velocities, alpha=-group["lr"])
        self.gradients = {}
        return loss

    @staticmethod
    def _momentum(group: dict[str, Any], term: str, parts: int) -> float:
        if parts == 1:
            return float(group["momentum"])
        return float(group["momentum"] + (-group["offset"] if term == "task" else group["offset"]))
