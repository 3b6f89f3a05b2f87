"""A small descent for models that learn in a minute from one signal: one loss, or several players in turn."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import Parameter

from ipse import randomness
from ipse.errors import UserError
from ipse.training.guard import Guard
from ipse.training.loop import Observer
from ipse.transforms.reflect import reflected

_MOST_ROLLBACKS = 10


@dataclass
class Player:
    """Who learns, from which loss: `loss(step)` is a scalar, lowered by Adam, or SGD, over `parameters` alone; None sits this step out.

    lr times `schedule(step)` is the learning rate; the first of betas is the momentum of SGD. Gradients reach nobody else's parameters.
    """

    parameters: Iterable[Parameter]
    loss: Callable[[int], Tensor | None]
    lr: float = 1e-3
    betas: tuple[float, float] = (0.9, 0.999)
    weight_decay: float = 0.0
    schedule: Callable[[int], float] = lambda step: 1.0
    clip: float | None = None
    name: str = "loss"
    optimizer: Literal["adam", "sgd"] = "adam"

    def built(self, parameters: Sequence[Parameter]) -> torch.optim.Optimizer:
        """The optimizer of these parameters."""
        if self.optimizer == "sgd":
            return torch.optim.SGD(parameters, lr=self.lr, momentum=self.betas[0], weight_decay=self.weight_decay)
        return torch.optim.AdamW(parameters, lr=self.lr, betas=self.betas, weight_decay=self.weight_decay)


def descend(
    module: nn.Module,
    *players: Player,
    steps: int,
    seed: int = 0,
    observer: Observer | None = None,
    after: Callable[[int], object] | None = None,
) -> None:
    """Lets every player take one step after the other, `steps` times, and leaves `module` in evaluation mode.

    seed: of torch's generator at each step, which the caller gets back as it was; better take random numbers from
    `ipse.randomness`. after(step): follows the weights, as a moving average does; True ends the descent. A step whose loss or gradient is not finite, or
    a thousand times the usual, is undone: back to the last good state with half the learning rate. Raises UserError when that
    happens again and again.
    """
    turns = [(player, list(player.parameters)) for player in players]
    optimizers = [player.built(own) for player, own in turns]
    guards = [Guard() for _ in players]
    scale, rollbacks, every = 1.0, 0, max(1, min(50, steps // 20))
    good = _snapshot(module, optimizers)
    module.train()
    if observer is not None:
        observer.start(steps, 0)
    try:
        with seeded(seed), randomness.deterministic():
            for step in range(steps):
                torch.manual_seed(randomness.key(seed, "descent", step))
                values: dict[str, float] = {}
                objection = None
                for (player, own), optimizer, guard in zip(turns, optimizers, guards, strict=True):
                    for group in optimizer.param_groups:
                        group["lr"] = player.lr * scale * player.schedule(step)
                    optimizer.zero_grad()
                    loss = player.loss(step)
                    if loss is None:
                        continue
                    loss.backward(inputs=own)  # type: ignore[no-untyped-call]
                    norm = float(torch.nn.utils.clip_grad_norm_(own, player.clip or float("inf")))
                    values[player.name] = loss.item()
                    objection = guard.objection(values[player.name], norm)
                    if objection is not None:
                        break
                    optimizer.step()
                    optimizer.zero_grad()
                if objection is not None:
                    if rollbacks >= _MOST_ROLLBACKS:
                        raise UserError(f"learning diverges: {objection} at step {step}, after {rollbacks} rollbacks")
                    rollbacks, scale = rollbacks + 1, scale / 2
                    _restore(module, optimizers, good)
                    if observer is not None:
                        observer.event(step, f"{objection}: rolled back, learning rate halved")
                    continue
                ends = after is not None and after(step) is True
                if (step + 1) % every == 0:
                    good = _snapshot(module, optimizers)
                if observer is not None:
                    observer.record(module, {"step": step, "loss": next(iter(values.values())), **values})
                if ends:
                    break
    finally:
        module.eval()
        if observer is not None:
            observer.close()


def patches(
    signals: Sequence[Tensor], size: int, batch: int, *, seed: int, step: int, flips: bool = False, name: str = "patch"
) -> Tensor:
    """A batch (batch, C, size, size) of random places in signals (1, C, H, W); smaller ones are continued by reflection.

    Which they are is a function of (seed, name, step) alone. flips: at random left to right, top to bottom, and transposed.
    """
    chance = randomness.uniform(randomness.key(seed, name), torch.arange(step * batch, (step + 1) * batch), 6)
    cut = []
    for row in chance.tolist():
        x = _at_least(signals[int(row[0] * len(signals))], size)
        top, left = (int(u * (n - size + 1)) for u, n in zip(row[1:3], x.shape[-2:], strict=True))
        piece = x[..., top : top + size, left : left + size]
        if flips:
            piece = piece.flip([d for d, u in ((-2, row[3]), (-1, row[4])) if u < 0.5])
            piece = piece.mT if row[5] < 0.5 else piece
        cut.append(piece)
    return torch.cat(cut)


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Torch's generator seeded inside, as it was outside: for the initial weights of what is built."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        yield


def _at_least(x: Tensor, size: int) -> Tensor:
    """x (1, C, H, W) continued by reflection until both sides are at least `size`."""
    height, width = x.shape[-2:]
    return reflected(x, 0, max(0, size - height), 0, max(0, size - width))


_Kept = tuple[dict[str, Tensor], list[dict[str, object]]]


def _snapshot(module: nn.Module, optimizers: Sequence[torch.optim.Optimizer]) -> _Kept:
    return {k: v.clone() for k, v in module.state_dict().items()}, [copy.deepcopy(o.state_dict()) for o in optimizers]


def _restore(module: nn.Module, optimizers: Sequence[torch.optim.Optimizer], kept: _Kept) -> None:
    module.load_state_dict(kept[0])
    for optimizer, state in zip(optimizers, kept[1], strict=True):
        optimizer.load_state_dict(copy.deepcopy(state))
