"""Deep regression unlearning."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Literal

import torch
from torch import Tensor, nn

from ipse import randomness
from ipse.losses.forgetting import attention_difference
from ipse.methods.forget import Forgetter, Given, device_of, epoch, fresh, outputs, supervision
from ipse.models import Classifier, Regressor
from ipse.training import Player, descend

_Loss = Callable[[int], Tensor]
_ACTIVATIONS = (nn.ReLU, nn.GELU, nn.SiLU, nn.LeakyReLU, nn.ELU, nn.Tanh)


class DeepRegressionUnlearning(Forgetter):
    """Lets a regression imitate, on samples to forget, a network that never saw them (blindspot), or learn random numbers (amnesiac).

    blindspot: a fresh network b learns from the samples to keep for `blindspot_epochs`; then, in mixed batches of all samples, k
    of which are to be forgotten,

        L = (1 - k) mean over kept of |f(x) - y| + k ( mean over forgotten of |f(x) - b(x)| + attention sum over layers AT )

    with the attention maps of every activation function (`attention_difference`). amnesiac: the targets of the samples to forget
    are drawn once from a normal distribution with the mean and deviation of all targets, and learned with the rest. Errors are in
    units of the deviation of the targets' values, so that the weights mean the same whatever is predicted.

    Tarun, Chundawat, Mandal, Kankanhalli, ICML 2023, arXiv:2210.08196
    """

    needs = frozenset({"retain", "labels"})
    says = frozenset({"numbers"})

    def __init__(
        self,
        *,
        how: Literal["blindspot", "amnesiac"] = "blindspot",
        epochs: float = 1,
        lr: float = 1e-3,
        attention: float = 50.0,
        blindspot_epochs: float = 2,
        blindspot_lr: float = 0.01,
        batch_size: int = 256,
    ):
        self.how, self.epochs, self.lr, self.attention, self.batch_size = how, epochs, lr, attention, batch_size
        self.blindspot_epochs, self.blindspot_lr = blindspot_epochs, blindspot_lr

    def unlearn(self, model: Classifier, original: Classifier, given: Given) -> Classifier:
        assert isinstance(model, Regressor)
        assert given.retain is not None
        mixed = _Mixed(given, self.batch_size, device_of(model))
        amnesiac = self.how == "amnesiac"
        loss = self._amnesiac(model, mixed, given) if amnesiac else self._blindspot(model, mixed, self._blind(model, given))
        steps = max(1, round(self.epochs * epoch(mixed.n, mixed.size)))
        player = Player(model.parameters(), loss, self.lr)
        descend(model, player, steps=steps, seed=given.seed, observer=given.observer)
        return model

    def _blind(self, model: Regressor, given: Given) -> Regressor:
        """A network that learned from the samples to keep, and only a little."""
        assert given.retain is not None
        blind = fresh(model, randomness.key(given.seed, "blindspot"))
        feed = given.feed(given.retain, self.batch_size, "blindspot", device_of(model))

        def loss(step: int) -> Tensor:
            batch = feed.batch(step)
            return supervision(blind, outputs(blind, batch.views[0].x), batch.y).mean()

        steps = max(1, round(self.blindspot_epochs * epoch(len(feed.samples), feed.batch_size)))
        player = Player(blind.parameters(), loss, self.blindspot_lr, name="blindspot")
        descend(blind, player, steps=steps, seed=given.seed, observer=given.observer)
        assert isinstance(blind, Regressor)
        return blind.requires_grad_(False)

    def _blindspot(self, model: Regressor, mixed: _Mixed, blind: Regressor) -> _Loss:
        def loss(step: int) -> Tensor:
            x, y, forgotten, _ = mixed.batch(step)
            with activations(model) as inner:
                z = outputs(model, x)
            with torch.no_grad(), activations(blind) as blind_inner:
                target = outputs(blind, x)
            k, total = forgotten.float().mean(), torch.zeros((), device=x.device)
            if not forgotten.all():
                total = total + (1 - k) * supervision(model, z[~forgotten], y[~forgotten]).mean()
            if forgotten.any():
                maps = [[a[forgotten] for a in some if len(a) == len(x)] for some in (inner, blind_inner)]
                there = attention_difference(*maps) if maps[0] else 0
                total = total + k * ((z - target)[forgotten].abs().mean() + self.attention * there)
            return total

        return loss

    def _amnesiac(self, model: Regressor, mixed: _Mixed, given: Given) -> _Loss:
        values = model.values.cpu()
        assert given.retain is not None
        every = torch.cat([values[torch.from_numpy(part.y)] for part in (given.retain, given.forget)])
        noise = randomness.normal(randomness.key(given.seed, "amnesiac"), torch.arange(len(given.forget)), 1)[:, 0]
        drawn = ((every.mean() + every.std() * noise).to(model.mean) - model.mean) / model.scale

        def loss(step: int) -> Tensor:
            x, y, forgotten, index = mixed.batch(step)
            z = outputs(model, x)
            right = supervision(model, z, y)
            return torch.where(forgotten, (z[:, 0] - drawn[torch.where(forgotten, index, 0)]).abs(), right).mean()

        return loss


class _Mixed:
    """Batches of samples to forget and to keep, each as likely as the other: the share of the former changes from batch to batch."""

    def __init__(self, given: Given, size: int, device: torch.device):
        assert given.retain is not None
        self.few, self.many = len(given.forget), len(given.retain)
        self.n, self.seed = self.few + self.many, given.seed
        self.size = min(size, self.n)
        self.feeds = [given.feed(part, 1, "mixed", device) for part in (given.forget, given.retain)]

    def batch(self, step: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """x (B, ...), labels (B,), whether each is to be forgotten (B,), and its place among its like (B,)."""
        position = torch.arange(step * self.size, (step + 1) * self.size)
        place = torch.cat(
            [
                randomness.shuffled(position[position // self.n == e] % self.n, self.n, randomness.key(self.seed, "mixed", e))
                for e in (position // self.n).unique().tolist()
            ]
        )
        forgotten = place < self.few
        indices = (place[forgotten], place[~forgotten] - self.few)
        order = torch.cat([forgotten.nonzero()[:, 0], (~forgotten).nonzero()[:, 0]]).argsort()
        x, y = [], []
        for feed, index in zip(self.feeds, indices, strict=True):
            if len(index):
                raw = {name: t.to(feed.device) for name, t in feed.samples.read(index).items()}
                x.append(feed.viewer.original(raw).x)
                y.append(torch.from_numpy(feed.samples.y)[index].to(feed.device))
        order = order.to(x[0].device)
        index = torch.cat(indices).to(order.device)[order]
        return torch.cat(x)[order], torch.cat(y)[order], forgotten.to(order.device), index


@contextmanager
def activations(model: Classifier) -> Iterator[list[Tensor]]:
    """What the activation functions of the encoder give while the block runs, in the order in which they are called."""
    seen: list[Tensor] = []

    def keep(module: nn.Module, arguments: tuple[Tensor, ...], output: Tensor) -> None:
        seen.append(output)

    handles = [m.register_forward_hook(keep) for m in model.encoder.modules() if isinstance(m, _ACTIVATIONS)]
    try:
        yield seen
    finally:
        for handle in handles:
            handle.remove()
