"""What the tests of every job's methods look at alike, of a method and its feed as each job builds them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning_fabric import Fabric
from tests.pairs import in_two, one
from torch import Tensor, nn
from torch.optim import Optimizer

from ipse import models
from ipse.distributed import all_mean
from ipse.training import Batch, Feed, Method, Step
from ipse.transforms import View

Ready = tuple[Method, Feed]


def gradients(method: Method, step: Step) -> dict[str, Tensor]:
    method.zero_grad()
    step.loss.backward()
    return {n: p.grad.clone() for n, p in method.named_parameters() if p.grad is not None}


def still(method: Method) -> None:
    """Turns dropout off, which alone draws numbers from where it stands in a batch."""
    for module in method.modules():
        if isinstance(module, nn.Dropout):
            module.p = 0.0


def is_finite_in_fp32_and_bf16(method: Method, batch: Batch) -> Iterator[tuple[Step, dict[str, Tensor]]]:
    """What it gives back in each precision, and the gradients of that."""
    for context in (torch.autocast("cpu", enabled=False), torch.autocast("cpu", torch.bfloat16)):
        with context:
            step = method.loss(batch)
        assert step.loss.shape == ()
        found = gradients(method, step)
        assert all(g.isfinite().all() for g in found.values())
        yield step, found


def gives_the_same_bits(ready: Callable[[], Ready]) -> None:
    losses = []
    for _ in range(2):
        torch.manual_seed(1)
        method, feed = ready()
        losses.append(method.loss(feed.batch(3)).loss)
    assert torch.equal(*losses)


def takes_a_batch_in_any_order(method: Method, feed: Feed) -> None:
    still(method)
    batch = feed.batch(0)
    order = torch.randperm(len(batch.index), generator=torch.Generator().manual_seed(1))
    expected = method.loss(batch).loss
    torch.testing.assert_close(method.loss(_reordered(batch, order)).loss, expected, rtol=1e-3, atol=1e-4)


def _reordered(batch: Batch, order: Tensor) -> Batch:
    def view(v: View) -> View:
        return View(*(None if t is None else t[order] for t in (v.x, v.matrix, v.colour)))

    same = {name: getattr(batch, name)[order] for name in ("index", "position", "y")}
    return replace(batch, views=[view(v) for v in batch.views], **same)


def lowers_its_loss(method: Method, feed: Feed) -> None:
    still(method)
    batch = feed.batch(0)
    optimizer = torch.optim.Adam([p for p in method.parameters() if p.requires_grad], lr=1e-3)
    losses = []
    for _ in range(8):
        loss = method.loss(batch).loss
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    assert min(losses[1:]) < losses[0]


def goes_to_disk_and_back(ours: tuple[Method, Optimizer], theirs: tuple[Method, Optimizer], path: Path) -> None:
    """Two methods with their optimizers: the state of the first becomes that of the second."""
    from ipse.training import state

    state.write(state.take(*ours, step=2), path)
    state.restore(state.read(path), *theirs)
    one, two = ours[0].state_dict(), theirs[0].state_dict()
    assert all(torch.equal(one[k], two[k]) for k in one)
    slots = [optimizer.state_dict()["state"] for _, optimizer in (ours, theirs)]
    assert all(torch.equal(v, slots[1][i][k]) for i, s in slots[0].items() for k, v in s.items())


def says_that_channels_are_wrong(method: Method, batch: Batch) -> None:
    grey = replace(batch, views=[replace(v, x=v.x[:, :1]) for v in batch.views])
    with pytest.raises((RuntimeError, ValueError)):
        method.loss(grey)


def loss_and_gradient(method: Method, batch: Batch, part: Callable[[Method], nn.Module]) -> tuple[float, float]:
    """The global loss, and the norm of the averaged gradient of a part of the method."""
    method = models.synchronised(method)
    still(method)
    step = method.loss(batch)
    step.loss.backward()
    flat = torch.cat([p.grad.reshape(-1) for p in part(method).parameters() if p.grad is not None])
    return float(all_mean(step.loss.detach())), float(all_mean(flat).norm())


def is_in_two_processes_as_in_one(
    measure: Callable[[Fabric, str, str], Any], cases: list[tuple[str, str]], tolerance: float
) -> None:
    """measure(fabric, key, kind): numbers, which have to be within a relative tolerance."""
    alone = {case: measure(one(), *case) for case in cases}
    two = in_two(_in_each, measure, cases)
    assert {case: (two[case], alone[case]) for case in cases if two[case] != pytest.approx(alone[case], rel=tolerance)} == {}


def _in_each(fabric: Fabric, measure: Callable[[Fabric, str, str], Any], cases: list[tuple[str, str]]) -> dict[Any, Any]:
    return {case: _without_raising(measure, fabric, *case) for case in cases}


def _without_raising(measure: Callable[[Fabric, str, str], Any], fabric: Fabric, key: str, kind: str) -> Any:
    """What this process finds; an error of one method must not leave the other process waiting for ever."""
    try:
        return measure(fabric, key, kind)
    except Exception as error:
        return repr(error)
