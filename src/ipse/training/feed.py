"""From stored samples to batches of views."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import torch
from torch import Tensor

from ipse import randomness
from ipse.data import Images
from ipse.distributed import rank, world_size
from ipse.training.method import Batch
from ipse.transforms import Policy, Sees, View, make_view, original


class Feed:
    """Batches of views as a function of the step: an endless stream of epochs, each in its own random order, cut into batches of `batch_size`.

    Every process makes the views of its own part of the batch; which samples and which views those are depends on (seed, step, position) alone.
    """

    def __init__(
        self,
        images: Images,
        sees: Sees,
        policy: Policy,
        size: int,
        batch_size: int,
        seed: int,
        device: torch.device | str = "cpu",
    ):
        self.images, self.sees, self.size, self.seed = images, sees, size, seed
        self.batch_size, self.device = batch_size, torch.device(device)
        self.policies = [policy.of(look) for look in sees.looks]
        self.aspect = torch.as_tensor(images.aspect)

    def positions(self, step: int) -> Tensor:
        """Places (b,) in the stream of this process's samples at one step."""
        part = self.batch_size // world_size()
        start = step * self.batch_size + rank() * part
        return torch.arange(start, start + part)

    def samples(self, position: Tensor) -> Tensor:
        """Which sample stands at each place of the stream."""
        n = len(self.images)
        epoch = position // n
        index = torch.empty_like(position)
        for e in epoch.unique().tolist():
            here = epoch == e
            index[here] = randomness.shuffled(position[here] % n, n, randomness.key(self.seed, "epoch", e))
        return index

    def batch(self, step: int, steps: int = 1) -> Batch:
        """The batch of one step."""
        return self._batch(step, steps, *self._read(step))

    def batches(self, start: int, steps: int) -> Iterator[Batch]:
        """The batches of the steps from `start` to `steps`; the next samples are read while a batch is in use."""
        with ThreadPoolExecutor(1) as reader:
            ahead = reader.submit(self._read, start)
            for step in range(start, steps):
                read = ahead.result()
                ahead = reader.submit(self._read, step + 1)
                yield self._batch(step, steps, *read)

    def _read(self, step: int) -> tuple[Tensor, Tensor, Tensor]:
        position = self.positions(step)
        index = self.samples(position)
        return position, index, self.images.gather(index)

    def _batch(self, step: int, steps: int, position: Tensor, index: Tensor, source: Tensor) -> Batch:
        aspect = self.aspect[index]
        if self.device.type != "cpu":
            source, aspect, position, index = (
                t.pin_memory().to(self.device, non_blocking=True) for t in (source, aspect, position, index)
            )
        views = [self._view(i, source, aspect, position) for i in range(len(self.policies))]
        return Batch(views, index, position, self.seed, step, steps)

    @torch.no_grad()
    def _view(self, i: int, source: Tensor, aspect: Tensor, position: Tensor) -> View:
        look = self.sees.looks[i]
        size = max(1, round(self.size * look.scale))
        if look.strength == "none":
            view = original(source, aspect, size)
        else:
            view = make_view(source, aspect, self.policies[i], size, randomness.key(self.seed, "view", i), position)
        view.x = view.x.contiguous(memory_format=torch.channels_last)  # convolutions are faster so, on CPU and GPU
        return view
