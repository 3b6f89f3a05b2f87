"""Trained restorers, kept in the cache and used again: safetensors, no code."""

from __future__ import annotations

import hashlib
import inspect
import json
import logging
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from safetensors.torch import load_file
from torch import Tensor

from ipse import papers
from ipse.data.cache import cache_folder
from ipse.methods.restore import Restorer
from ipse.models.disk import write_tensors
from ipse.training import Observer, seeded


def build(key: str, channels: int, settings: Mapping[str, Any], seed: int = 0) -> Restorer:
    """The method of that key, untrained, at the start that the seed gives; raises UserError when there is none."""
    method: type[Restorer] = papers.load(key, "restore method")
    with seeded(seed):
        built = method(channels, **settings)
    return built.eval()


def trained(
    key: str,
    channels: int,
    settings: Mapping[str, Any],
    *,
    signals: Sequence[Tensor] = (),
    like: Sequence[Tensor] = (),
    seed: int = 0,
    steps: int | None = None,
    observer: Observer | None = None,
) -> tuple[Restorer, bool]:
    """The method, trained on the signals, or as it was kept when it learned from the same before; and whether it was.

    The same are: the method, its code and that of its nets, settings, seed, steps and every value of the signals.
    """
    method = build(key, channels, settings, seed)
    if method.fits == "nothing":
        return method, False
    signals = () if method.fits == "noise" else signals
    path = _path(key, method, settings, signals, like, seed, steps)
    if path.is_file():
        try:
            method.load_state_dict(load_file(path))
        except Exception as error:  # a damaged file is as good as none
            logging.getLogger(__name__).info("%s is damaged: %s", path, error)
            method = build(key, channels, settings, seed)
        else:
            return method, True
    method.fit(signals, like=like, seed=seed, steps=steps, observer=observer)
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        write_tensors({k: v.detach().cpu().contiguous() for k, v in method.state_dict().items()}, draft, {"format": "pt"})
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)
    return method, False


def _path(
    key: str,
    method: Restorer,
    settings: Mapping[str, Any],
    signals: Sequence[Tensor],
    like: Sequence[Tensor],
    seed: int,
    steps: int | None,
) -> Path:
    parameters = inspect.signature(type(method).__init__).parameters.values()
    defaults = {p.name: p.default for p in parameters if p.kind is p.KEYWORD_ONLY}
    parts = {type(part) for part in method.modules() if not type(part).__module__.startswith("torch.")}
    facts = {
        "code": sorted({inspect.getsource(inspect.getmodule(part) or part) for part in parts}),
        "method": key,
        "channels": method.channels,
        "settings": {name: value for name, value in {**defaults, **settings}.items() if name not in method.later},
        "seed": seed,
        "steps": method.steps if steps is None else steps,
    }
    digest = hashlib.blake2b(json.dumps(facts, sort_keys=True, default=str).encode(), digest_size=16)
    for group in (signals, like):
        digest.update(b"\0group")
        for i in range(len(group)):
            x = group[i].detach().cpu().contiguous()
            digest.update(f"{x.dtype}{tuple(x.shape)}".encode())
            digest.update(x.numpy().data)
    return cache_folder() / "restorers" / f"{key}-{digest.hexdigest()}.safetensors"
