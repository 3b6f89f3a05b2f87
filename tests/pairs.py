"""Two processes in which a test does what it did in one."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from lightning_fabric import Fabric
from lightning_fabric.strategies.ddp import DDPStrategy


def one() -> Fabric:
    return Fabric(accelerator="cpu", devices=1)


def in_two(job: Callable[..., Any], *arguments: Any) -> Any:
    """What job(fabric, *arguments) gives in the first of two processes, which know what this one has imported."""
    logging.getLogger("lightning_fabric").setLevel(logging.WARNING)
    strategy = DDPStrategy(start_method="fork", broadcast_buffers=False)
    return Fabric(accelerator="cpu", devices=2, strategy=strategy).launch(job, *arguments)
