"""From stored samples to batches of views."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from ipse import randomness
from ipse.data import Raw, Samples
from ipse.distributed import rank, world_size
from ipse.errors import UserError
from ipse.training.method import Batch, Method
from ipse.transforms import Sees, View, Viewer
from ipse.transforms.places import same_part, shown, squeezed

Read = tuple[Tensor, list[Tensor], list[Raw]]


class Feed:
    """Batches of views as a function of the step: an endless stream of epochs, each in its own random order, cut into batches of `batch_size`.

    Every process makes the views of its own part of the batch; which samples and which views those are depends on (seed, step, position) alone.
    Where masks name pixels and the method wants labels, `Batch.y` holds those of the pixels of the first look, and the other looks show the
    same part of the picture.
    Raises UserError when a method that compares groups gets data without them, or fewer than a batch takes, and when a method
    that wants labels gets data without any.
    """

    def __init__(
        self,
        samples: Samples,
        sees: Sees,
        viewer: Viewer[Any],
        batch_size: int,
        seed: int,
        device: torch.device | str = "cpu",
    ):
        self.samples, self.sees, self.viewer, self.seed = samples, sees, viewer, seed
        self.batch_size, self.device = batch_size, torch.device(device)
        self.y = torch.from_numpy(samples.y)
        if sees.labelled is not None and not samples.labelled:
            raise UserError("this method learns from labels, and the data has none: give --labels FILE.csv")
        if sees.unit == "group" and len(self.groups) < batch_size:
            raise UserError(
                f"this method takes each group once per batch, and of groups there are {len(self.groups)}: --batch-size {len(self.groups)}, at most"
            )

    @cached_property
    def groups(self) -> list[Tensor]:
        """The samples of each group; without groups, each sample alone."""
        group = torch.from_numpy(self.samples.group_numbers)
        return list(group.argsort(stable=True).split(group.bincount().tolist()))

    def follow(self, method: Method) -> None:
        """Takes from a method what it sees from now on, and the labels that it gives the samples."""
        self.sees, labels = method.lesson()
        self.y = torch.from_numpy(self.samples.y) if labels is None else labels.cpu()
        self.__dict__.pop("_parts", None)

    def positions(self, step: int) -> Tensor:
        """Places (b,) in the stream of this process's samples at one step."""
        part = self.batch_size // world_size()
        start = step * self.batch_size + rank() * part
        return torch.arange(start, start + part)

    def indices(self, position: Tensor) -> list[Tensor]:
        """Which sample each look is at, at each place of the stream: (b,) per look."""
        if self.sees.labelled is not None:
            return [self._both(position)] * len(self.sees.looks)
        if self.sees.unit == "sample":
            return [self._stream(position, len(self.samples))] * len(self.sees.looks)
        chosen = self._stream(position, len(self.groups)).tolist()
        chance = randomness.bits(randomness.key(self.seed, "member"), position, max(map(len, self.groups)))
        members = [g[chance[i, : len(g)].argsort()] for i, g in enumerate(self.groups[c] for c in chosen)]
        return [torch.stack([m[i % len(m)] for m in members]) for i in range(len(self.sees.looks))]

    def _stream(self, position: Tensor, n: int, name: str = "epoch") -> Tensor:
        """Which of n stands at each place of the stream."""
        epoch = position // n
        index = torch.empty_like(position)
        for e in epoch.unique().tolist():
            here = epoch == e
            index[here] = randomness.shuffled(position[here] % n, n, randomness.key(self.seed, name, e))
        return index

    @cached_property
    def _parts(self) -> tuple[Tensor, Tensor]:
        """The samples with labels, and those without: all of them where each has one."""
        with_label, without = (self.y >= 0).nonzero()[:, 0], (self.y == -1).nonzero()[:, 0]
        return with_label, without if len(without) else with_label

    def _both(self, position: Tensor) -> Tensor:
        """Which sample stands at each place, when a share of every batch has labels: these places are spread over the batch."""
        assert self.sees.labelled is not None
        share = max(1, round(self.sees.labelled * self.batch_size))
        batch, place = position // self.batch_size, position % self.batch_size
        before = place * share // self.batch_size  # places with a label ahead of this one
        has = (place + 1) * share // self.batch_size > before
        index = torch.empty_like(position)
        for here, count, part in ((has, batch * share + before, 0), (~has, position - batch * share - before, 1)):
            which = self._stream(count[here], len(self._parts[part]), ("labelled", "unlabelled")[part])
            index[here] = self._parts[part][which]
        return index

    def batch(self, step: int, steps: int = 1) -> Batch:
        """The batch of one step."""
        return self._batch(step, steps, self._read(step))

    def batches(self, start: int, end: int, steps: int | None = None) -> Iterator[Batch]:
        """The batches from one step to another of a run of `steps`; the next samples are read while a batch is in use."""
        with ThreadPoolExecutor(1) as reader:
            ahead = reader.submit(self._read, start)
            for step in range(start, end):
                read = ahead.result()
                if step + 1 < end:
                    ahead = reader.submit(self._read, step + 1)
                yield self._batch(step, steps or end, read)

    @torch.no_grad()
    def everything(self, most: int = 256) -> Iterator[tuple[Tensor, Tensor]]:
        """Every sample once, in order and as it is, where masks name its pixels all of it: pieces of their indices (b,) and of x (b, ...)."""
        for index in torch.arange(len(self.samples)).split(most):
            raw = self._moved(self.samples.read(index))
            yield index.to(self.device), self.viewer.original(raw if self.samples.masks is None else squeezed(raw)).x

    def _read(self, step: int) -> list[Read]:
        n = self.sees.batches
        return [self._read_one(i) for i in range(step * n, (step + 1) * n)]

    def _read_one(self, number: int) -> Read:
        position = self.positions(number)
        indices = self.indices(position)
        different = indices if self.sees.unit == "group" else indices[:1]
        return position, indices, [self.samples.read(index) for index in different]

    def _batch(self, step: int, steps: int, reads: list[Read]) -> Batch:
        batch, *batch.more = (self._one(step, steps, *read) for read in reads)
        return batch

    def _one(self, step: int, steps: int, position: Tensor, indices: list[Tensor], read: list[Raw]) -> Batch:
        raws = [self._moved(raw) for raw in read]
        position, index = (t.to(self.device) for t in (position, indices[0]))
        views = [self._view(i, raws[i % len(raws)], position) for i in range(len(self.sees.looks))]
        y = self.y[indices[0]].to(self.device)
        if self._by_pixel:
            y = torch.where((y >= 0)[:, None, None], shown(raws[0]["mask"], views[0]), -1)
        return Batch(views, index, position, self.seed, step, steps, y)

    def _moved(self, raw: Raw) -> Raw:
        if self.device.type == "cpu":
            return raw
        return {name: t.pin_memory().to(self.device, non_blocking=True) for name, t in raw.items()}

    @torch.no_grad()
    def _view(self, i: int, raw: Raw, position: Tensor) -> View:
        look = self.sees.looks[i]
        if self._by_pixel and i > 0:
            look = replace(look, changes={**look.changes, **same_part(self.viewer.policy_of(self.sees.looks[0]))})
        return self.viewer.view(raw, look, randomness.key(self.seed, "view", 0 if self._by_pixel else i), position)

    @property
    def _by_pixel(self) -> bool:
        return self.samples.masks is not None and self.sees.labelled is not None
