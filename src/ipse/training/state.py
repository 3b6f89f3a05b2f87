"""The state of a run: copied in memory now and then, written whole or not at all, read without running code."""

from __future__ import annotations

import errno
import hashlib
import json
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from torch import Tensor, nn
from torch.optim import Optimizer

from ipse.errors import UserError
from ipse.models import write_tensors


@dataclass
class State:
    """Everything the next step depends on: the tensors of the method and its optimizer, and plain facts (step, guard, identity of the run)."""

    tensors: dict[str, Tensor] = field(default_factory=dict)
    facts: dict[str, Any] = field(default_factory=dict)


def take(method: nn.Module, optimizer: Optimizer, **facts: Any) -> State:
    """A copy of the present state."""
    tensors = {f"method.{k}": v.detach().clone() for k, v in method.state_dict().items()}
    for i, slots in optimizer.state_dict()["state"].items():
        tensors |= {f"optimizer.{i}.{k}": torch.as_tensor(v).detach().clone() for k, v in slots.items() if v is not None}
    return State(tensors, facts)


def restore(state: State, method: nn.Module, optimizer: Optimizer) -> None:
    """Puts a state back; raises UserError when it belongs to another method or encoder."""
    weights = {k.removeprefix("method."): v for k, v in state.tensors.items() if k.startswith("method.")}
    try:
        method.load_state_dict(weights)
    except RuntimeError as e:
        raise UserError("the saved state belongs to another method or encoder than this run's") from e
    parameters = [p for group in optimizer.param_groups for p in group["params"]]
    slots: dict[int, dict[str, Tensor]] = {}
    for key, value in state.tensors.items():
        if key.startswith("optimizer."):
            _, i, name = key.split(".", 2)
            like = parameters[int(i)] if value.shape == parameters[int(i)].shape else value
            slots.setdefault(int(i), {})[name] = torch.empty_like(like, dtype=value.dtype).copy_(
                value
            )  # with the weights' memory format
    optimizer.load_state_dict({"state": slots, "param_groups": optimizer.state_dict()["param_groups"]})


def write(state: State, path: Path) -> None:
    """Writes a state to one file that appears whole or not at all; raises UserError when the disk is full."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(f".part{os.getpid()}")
    tensors = {k: v.cpu().contiguous() for k, v in state.tensors.items()}
    try:
        write_tensors(tensors, temporary, {"facts": json.dumps(state.facts), "digest": _digest(tensors)})
        with open(temporary, "rb+") as file:
            os.fsync(file.fileno())
        temporary.replace(path)
    except Exception as e:
        temporary.unlink(missing_ok=True)
        if getattr(e, "errno", None) == errno.ENOSPC or "No space left" in str(e):
            raise UserError(
                f"no space left to save the run in {path.parent}; the last saved state is kept: free some and use --resume"
            ) from e
        raise


def read(path: Path) -> State:
    """Reads a state; raises UserError when it is missing, cut short or altered."""
    if not path.exists():
        raise UserError(f"nothing to resume: {path} does not exist")
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            tensors = {k: file.get_tensor(k) for k in file.keys()}  # noqa: SIM118
        facts = json.loads(metadata["facts"])
        intact = metadata["digest"] == _digest(tensors)
    except Exception as e:
        raise UserError(
            f"the saved state {path} is damaged ({str(e).splitlines()[0][:100]}); start again without --resume"
        ) from e
    if not intact:
        raise UserError(f"the saved state {path} was altered (its checksum does not match); start again without --resume")
    return State(tensors, facts)


def _digest(tensors: dict[str, Tensor]) -> str:
    digest = hashlib.blake2b(digest_size=16)
    for key in sorted(tensors):
        digest.update(f"{key} {tuple(tensors[key].shape)} {tensors[key].dtype};".encode())
        digest.update(tensors[key].contiguous().view(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()
