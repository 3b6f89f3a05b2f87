"""One process or many."""

from __future__ import annotations

import logging
import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable
from typing import Any

import torch
import torch.distributed as dist
from lightning_fabric import Fabric
from lightning_fabric.strategies.ddp import DDPStrategy

from ipse.errors import Interrupted, UserError
from ipse.training.precision import FABRIC


def run(job: Callable[..., Any], devices: int, precision: str, *arguments: Any) -> Any:
    """Calls job(fabric, *arguments) in every process that trains, and gives back what the first of them returns.

    One device: here. More: new processes on this machine, with a GPU each or a share of the cores. Under `torchrun`: the processes it
    started, of which the first calls this and the others call `follow`.
    """
    logging.getLogger("lightning_fabric").setLevel(logging.WARNING)  # it announces what the configuration says already
    if started_outside():
        return _together((job, precision, arguments))[0]
    if devices == 1:
        fabric = Fabric(accelerator="auto", devices=1, precision=FABRIC[precision])
        return job(fabric, *arguments)
    if torch.cuda.is_available() and torch.cuda.device_count() < devices:
        raise UserError(f"--devices {devices}: this machine has {torch.cuda.device_count()} GPU(s)")
    if not torch.cuda.is_available() and devices > (os.cpu_count() or 1):
        raise UserError(f"--devices {devices}: this machine has {os.cpu_count()} processor cores")
    strategy = DDPStrategy(start_method="spawn", broadcast_buffers=False)
    fabric = Fabric(accelerator="auto", devices=devices, strategy=strategy, precision=FABRIC[precision])
    child: Any = _in_child
    try:
        result = fabric.launch(child, job, os.getpid(), max(1, torch.get_num_threads() // devices), *arguments)
    except KeyboardInterrupt:
        raise _stopped_children(signal.SIGINT) from None
    if isinstance(result, BaseException):
        raise result
    return result


def started_outside() -> int:
    """How many processes `torchrun` started on all nodes; 0 where it did not."""
    return int(os.environ["WORLD_SIZE"]) if "TORCHELASTIC_RUN_ID" in os.environ else 0


def follows() -> bool:
    """Whether `torchrun` started this process beside the one that reads the user's words."""
    return bool(started_outside()) and os.environ["RANK"] != "0"


def follow() -> tuple[Any, ...]:
    """Does the work that the first process gives to `run` or `dismiss`, together with it, and gives back its arguments."""
    return _together(None)[1]


def dismiss(*arguments: Any) -> None:
    """Tells the processes that `follow` that there is nothing to do."""
    if started_outside():
        _together((_nothing, "fp32", arguments))


def _nothing(fabric: Fabric, *arguments: Any) -> None:
    pass


def _together(work: tuple[Callable[..., Any], str, tuple[Any, ...]] | None) -> tuple[Any, tuple[Any, ...]]:
    """What the first process's work gives in this one, and its arguments."""
    here, everywhere = int(os.environ["LOCAL_WORLD_SIZE"]), started_outside()
    if torch.cuda.is_available():
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
    dist.init_process_group("nccl" if torch.cuda.is_available() else "gloo")
    try:
        box: list[Any] = [work]
        dist.broadcast_object_list(box, src=0)
        job, precision, arguments = box[0]
        strategy = DDPStrategy(broadcast_buffers=False)
        fabric = Fabric(
            accelerator="auto", devices=here, num_nodes=everywhere // here, strategy=strategy, precision=FABRIC[precision]
        )
        fabric.launch()
        return job(fabric, *arguments), arguments
    finally:
        dist.destroy_process_group()


def _in_child(fabric: Fabric, job: Callable[..., Any], parent: int, threads: int, *arguments: Any) -> Any:
    threading.Thread(target=_end_with, args=(parent,), daemon=True).start()
    if fabric.device.type == "cpu":
        torch.set_num_threads(threads)
    try:
        return job(fabric, *arguments)
    except (UserError, Interrupted) as e:
        return e


def _end_with(parent: int) -> None:
    """Ends this process when the one that started it is gone, however it went."""
    while os.getppid() == parent:
        time.sleep(0.5)
    os._exit(1)


def _stopped_children(number: int) -> Interrupted:
    """Passes a signal on to the training processes and waits until they have saved."""
    children = multiprocessing.active_children()
    for child in children:
        if child.pid:
            os.kill(child.pid, number)
    for child in children:
        child.join(60)
    return Interrupted(128 + number)
