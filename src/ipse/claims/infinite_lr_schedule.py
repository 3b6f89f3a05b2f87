"""A learning rate that never comes down forgets less from task to task than one that comes down and up again."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

from ipse.claims import Claim, linear, pictures

if TYPE_CHECKING:
    from ipse.data import Data
    from ipse.training import Batch, Feed

CLAIM = Claim(
    statement="Over three tasks in a row, the infinite schedule ends with a better average probe on all of them than repeated cosines.",
    setting="MAE with tiny_vit on MNIST, then Fashion-MNIST, then grey CIFAR-10, 4,000 pictures each, 28 px, batch 128, 80 steps a task, 5 % replay",
    measure="mean linear probe accuracy on the three tasks after the last",
    unit="%",
    seeds=3,
    tried="Both peak at lr 1e-3 with the same first warm-up; the plateau is 0.3 of the peak, annealed over the last quarter of the last task.",
)


def run(seed: int, long: bool) -> dict[str, float]:
    from ipse.optim.schedules import cosine, infinite

    tasks = [_grey(pictures(name, 4000, 1000, seed)) for name in ("mnist5k", "fashion-mnist", "cifar10")]
    steps = 800 if long else 80
    repeated = cosine(steps, steps // 10)
    ours = _learned(tasks, steps, seed, infinite(3 * steps, steps // 10, cooldown=steps // 2, anneal=steps // 4))
    baseline = _learned(tasks, steps, seed, lambda step: repeated(step % steps))
    names = ("MNIST", "Fashion-MNIST", "CIFAR-10")
    each = {
        f"{n}, {arm}": v
        for arm, values in (("infinite", ours), ("cosines", baseline))
        for n, v in zip(names, values, strict=True)
    }
    return {"infinite": sum(ours) / 3, "repeated cosines": sum(baseline) / 3, **each}


def _grey(data: Data) -> Data:
    """The same pictures with one channel."""
    from ipse.data import Images, open_data

    def one_channel(part: Images) -> Data:
        return open_data((part.x.mean(axis=1, keepdims=True).round().astype("uint8"), part.y), size=28)

    assert isinstance(data.train, Images)
    assert isinstance(data.test, Images)
    return replace(one_channel(data.train), test=one_channel(data.test).train)


def _learned(tasks: list[Data], steps: int, seed: int, schedule: Callable[[int], float]) -> list[float]:
    """Probes of one encoder on every task, after it learned from one task after the other without a stop."""
    import torch
    from lightning_fabric import Fabric

    from ipse.methods.pretrain.mae import MAE
    from ipse.models import create
    from ipse.training import Feed, Plan, fit
    from ipse.transforms import viewer

    eye = viewer(tasks[0].form)
    feeds = [Feed(task.train, MAE.sees, eye, 128, seed) for task in tasks]

    class Stream(Feed):
        """One task after the other; every twentieth batch is of an earlier one."""

        def batch(self, step: int, steps_in_all: int = 1) -> Batch:
            return _turn(feeds, step, steps).batch(step, steps_in_all)

        def batches(self, start: int, end: int, steps: int | None = None) -> Iterator[Batch]:
            return (self.batch(step, steps or end) for step in range(start, end))

    torch.manual_seed(seed)
    method = MAE(create("tiny_vit", tasks[0].form))
    stream = Stream(tasks[0].train, MAE.sees, eye, 128, seed)
    plan = Plan(lr=1e-3, schedule=lambda total, warmup: schedule, steps=steps * len(tasks))
    fit(Fabric(accelerator="cpu", devices=1), method, stream, plan)
    return [linear(method.encoder.eval(), task) for task in tasks]


def _turn(feeds: list[Feed], step: int, steps: int) -> Feed:
    task = step // steps
    earlier = task > 0 and step % 20 == 0
    return feeds[(step // 20) % task if earlier else task]
