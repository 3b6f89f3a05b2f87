"""The loop: one page, nothing between you and the step."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import torch
from lightning_fabric import Fabric
from torch import Tensor, nn

from ipse import randomness
from ipse.distributed import all_mean, rank
from ipse.errors import Interrupted, UserError
from ipse.optim.optimizers import build, parameter_groups
from ipse.regularizers import Regularizer
from ipse.training import state as states
from ipse.training import terms as parts
from ipse.training.feed import Feed
from ipse.training.guard import Guard
from ipse.training.interrupt import Interruption
from ipse.training.method import Batch, Method, Step

Schedule = Callable[[int], float]


@dataclass(frozen=True)
class Plan:
    """How long and how fast to learn. `steps` may be None when `minutes` are given: the loop then measures how many fit."""

    lr: float
    schedule: Callable[[int, int], Schedule]  # (total steps, warm-up steps) to the factor of lr at each step
    steps: int | None = None
    minutes: float | None = None
    optimizer: str = "adamw"
    weight_decay: float = 0.05
    warmup: float = 0.05
    clip: float | None = None
    save_seconds: float = 20.0
    most_rollbacks: int = 10


class Observer(Protocol):
    """What watches a run: sees every record and event, changes nothing."""

    def start(self, steps: int, first: int) -> None: ...
    def record(self, method: nn.Module, record: dict[str, Any]) -> None: ...
    def event(self, step: int, text: str) -> None: ...
    def close(self) -> None: ...


def fit(
    fabric: Fabric,
    method: Method,
    feed: Feed,
    plan: Plan,
    *,
    plus: Sequence[tuple[str, float, Regularizer]] = (),
    observers: Sequence[Observer] = (),
    path: Path | None = None,
    resume: bool = False,
) -> int:
    """Trains `method` in place and returns the number of steps of the run.

    plus: named regularizers with their weights. path: where the state is kept; with `resume` the run goes on from there, as if it had never stopped.
    Raises UserError when the state does not fit or the run keeps diverging, and `Interrupted` after saving when the user stops it.
    """
    devices = [fabric.device] if fabric.device.type == "cuda" else []
    with Interruption() as interruption, torch.random.fork_rng(devices):
        return _fit(fabric, method, feed, plan, plus, observers, path, resume, interruption)


def _fit(
    fabric: Fabric,
    method: Method,
    feed: Feed,
    plan: Plan,
    plus: Sequence[tuple[str, float, Regularizer]],
    observers: Sequence[Observer],
    path: Path | None,
    resume: bool,
    interruption: Interruption,
) -> int:
    method = method.to(memory_format=torch.channels_last)
    groups = parameter_groups(method, plan.weight_decay)
    raw_optimizer: Any = build(plan.optimizer, groups, lr=plan.lr)
    model, optimizer = fabric.setup(method, raw_optimizer)
    model.mark_forward_method("loss")
    update: Callable[[Batch, list[Any]], Step] | None = getattr(method, "update", None)
    guard, lr_scale, first, steps, begun = Guard(), 1.0, 0, plan.steps, 0
    if resume and path is not None:
        state = states.read(path)
        states.restore(state, method, raw_optimizer)
        first, steps, lr_scale, begun = (state.facts[k] for k in ("step", "steps", "lr_scale", "begun"))
        guard.remember(state.facts["norms"], state.facts["rollbacks"])
        feed.follow(method)

    apart: tuple[str, ...] = getattr(raw_optimizer, "terms", ())
    learning = [p for group in raw_optimizer.param_groups for p in group["params"]]

    def compare(batch: Batch) -> tuple[Step, Tensor]:
        """One forward and backward pass: leaves gradients, gives back what the method saw and the whole loss."""
        torch.manual_seed(randomness.key(feed.seed, "dropout", batch.step, rank()))
        if update is not None:
            with fabric.autocast():
                step = update(batch, [raw_optimizer])
            return step, step.loss
        with fabric.no_backward_sync(model, enabled=bool(apart) and fabric.world_size > 1):
            step = model.loss(batch)
        loss, separate = step.loss, {name: step.terms[name] for name in apart}
        for name, weight, regularizer in plus:
            term = regularizer(*getattr(step, regularizer.on))
            step.terms[name] = term
            if regularizer.after_warmup and batch.progress < plan.warmup:
                continue
            loss = loss + weight * term
            if apart:
                separate[apart[0]] = separate[apart[0]] + weight * term
        if apart:
            raw_optimizer.gradients = parts.backward(separate, learning)
        else:
            fabric.backward(loss)
        return step, loss

    def learn(batch: Batch, lr: float) -> tuple[float, float, dict[str, float], str | None]:
        """One step; gives the loss, the gradient's norm, the named terms, and the guard's objection if the step was not taken."""
        for group in raw_optimizer.param_groups:
            group["lr"] = lr * group.get("lr_scale", 1.0)
        step, loss = compare(batch)
        norm = float(torch.nn.utils.clip_grad_norm_(method.parameters(), plan.clip or float("inf")))
        if apart:
            parts.clip(raw_optimizer.gradients, norm, plan.clip)
        numbers = all_mean(torch.stack([loss.detach().float(), *(t.detach().float() for t in step.terms.values())]))
        value, *terms = numbers.tolist()
        objection = guard.objection(value, norm)
        if objection is None:
            optimizer.step()
        optimizer.zero_grad()
        if objection is None:
            method.after_step(batch)
        return value, norm, dict(zip(step.terms, terms, strict=True)), objection

    def snapshot(step: int) -> states.State:
        return states.take(
            method,
            raw_optimizer,
            step=step,
            steps=steps,
            lr_scale=lr_scale,
            norms=guard.memory(),
            rollbacks=guard.rollbacks,
            begun=begun,
        )

    def begin() -> None:
        """Begins the next round."""
        nonlocal begun
        method.before_round(begun, feed)
        if method.restarts:
            raw_optimizer.state.clear()
        begun += 1
        feed.follow(method)

    def save(state: states.State) -> None:
        if path is not None and fabric.is_global_zero:
            states.write(state, path)

    if steps is None:
        assert plan.minutes is not None
        start, clock = snapshot(0), time.perf_counter()
        begin()
        preparing = (time.perf_counter() - clock) * method.rounds
        seconds = _seconds_per_step(lambda i: learn(feed.batch(i), plan.lr * 1e-3), budget=plan.minutes * 60)
        states.restore(start, method, raw_optimizer)
        guard.remember([], 0)
        begun = 0
        steps = int(fabric.broadcast(max(method.rounds, round((plan.minutes * 60 * 0.97 - preparing) / seconds))))
    starts = [steps * i // method.rounds for i in range(method.rounds)]
    length = max(1, steps // method.rounds) if method.restarts else steps
    schedule = plan.schedule(length, round(plan.warmup * length))
    snapshot_every, log_every = max(1, min(50, steps // 20)), max(1, steps // 2000)
    good = snapshot(first)
    if not resume:
        save(good)
    saved = clock = time.perf_counter()
    n = len(feed.samples)
    for observer in observers:
        observer.start(steps, first)

    def batches(start: int, steps: int) -> Iterator[Batch]:
        """The batches that are left: those of a round are read when it has begun, for it may see other samples and labels."""
        nonlocal good
        while start < steps:
            if begun < method.rounds and start >= starts[begun]:
                begin()
                good = snapshot(start)
            end = starts[begun] if begun < method.rounds else steps
            yield from feed.batches(start, end, steps)
            start = end

    try:
        for batch in batches(first, steps):
            step = batch.step
            lr = plan.lr * lr_scale * schedule(step - starts[begun - 1] if method.restarts else step)
            loss, norm, terms, objection = learn(batch, lr)
            if objection is not None:
                if guard.rollbacks >= plan.most_rollbacks:
                    raise UserError(
                        f"the run diverges: {objection} at step {step}, after {guard.rollbacks} rollbacks; try a smaller --lr than {plan.lr:g}"
                    )
                states.restore(good, method, raw_optimizer)
                guard.remember(good.facts["norms"], guard.rollbacks + 1)
                lr_scale /= 2
                text = f"{objection}: rolled back to step {good.facts['step']}, learning rate halved to {lr / 2:.3g}"
                for observer in observers:
                    observer.event(step, text)
            elif step % log_every == 0 or step == steps - 1:
                now = time.perf_counter()
                rate = feed.batch_size * min(log_every, step - first + 1) / (now - clock)
                record: dict[str, Any] = {"step": step, "epoch": (step + 1) * feed.batch_size / n, "loss": loss, **terms}
                record |= {"grad_norm": norm, "lr": lr, "samples_per_second": rate}
                for observer in observers:
                    observer.record(method, record)
                clock = time.perf_counter()
            if (step + 1) % snapshot_every == 0 or step + 1 == steps:
                good = snapshot(step + 1)
                if time.perf_counter() - saved > plan.save_seconds or step + 1 == steps:
                    save(good)
                    saved = time.perf_counter()
            if interruption.asked:
                save(good)
                raise Interrupted(128 + interruption.asked)
    finally:
        for observer in observers:
            observer.close()
    return steps


def _seconds_per_step(step: Callable[[int], Any], budget: float) -> float:
    """The median time of a few steps, after one to warm up, within three percent of the budget (and at least three steps)."""
    step(0)
    times: list[float] = []
    while len(times) < 3 or (sum(times) < 0.03 * budget and len(times) < 200):
        start = time.perf_counter()
        step(len(times) + 1)
        times.append(time.perf_counter() - start)
    return sorted(times)[len(times) // 2]
