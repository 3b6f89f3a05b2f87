"""The window that fills the gaps of another best is of the same kind."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ipse.claims import Claim, exercises, linear, pretrained, taught

if TYPE_CHECKING:
    from ipse.data import Data
    from ipse.methods.pretrain.rebar import Rebar

CLAIM = Claim(
    statement=(
        "Of other windows of one person, the one that REBAR's reconstructor fills gaps from best is of the same exercise "
        "more often than the one nearest in squared error."
    ),
    setting=(
        "Smartwatch recordings of 7 exercises, 6 people to learn from, 4 others to test; windows of 4 s, batch 6, 10 "
        "candidates, 400 steps, half of them for the reconstructor (width 64)"
    ),
    measure="share of positives of the anchor's own exercise, 200 anchors of the people to test, 10 candidates each",
    unit="%",
    seeds=3,
    tried=(
        "The same anchors and candidates for all distances; the gaps are a random half of the steps. An untrained "
        "reconstructor is shown beside."
    ),
)
OPTIONS: dict[str, Any] = {"hidden": 32}


def run(seed: int, long: bool) -> dict[str, float]:
    data = exercises(seed, by="person")
    words = {"encoder": "dilated_conv", "batch_size": 6, "steps": 6000 if long else 400, "lr": 1e-3}
    settings = {"candidates": 10, "width": 64}
    learned = pretrained(data, seed, options=OPTIONS, method="rebar", set=settings, **words)
    words = {"encoder": "dilated_conv", "batch_size": 32, "steps": 3000 if long else 150, "lr": 1e-3}
    simclr = pretrained(data, seed, options=OPTIONS, method="simclr", **words)
    method: Rebar = taught(learned, data)  # type: ignore[assignment]
    return {
        **_right(method, data, seed),
        "linear probe, REBAR": linear(learned, data),
        "linear probe, SimCLR": linear(simclr, data),
    }


def _right(method: Rebar, data: Data, seed: int) -> dict[str, float]:
    """How often each distance picks a candidate of the anchor's class, and how many candidates are of it."""
    import numpy as np
    import torch

    from ipse.methods.pretrain.rebar import Reconstructor

    test = data.test
    assert test is not None
    assert test.group is not None
    chance = np.random.default_rng(seed)
    anchors = chance.permutation(len(test))[:200]
    others = np.stack(
        [chance.choice(np.flatnonzero((test.group == test.group[a]) & (np.arange(len(test)) != a)), 10) for a in anchors]
    )
    x = test.read(anchors)["x"]
    hidden = torch.rand(len(x), x.shape[2], generator=torch.Generator().manual_seed(seed)) < 0.5
    torch.manual_seed(seed)
    untrained = Reconstructor(x.shape[1], 64).eval()
    candidates = [test.read(column)["x"] for column in others.T]
    same = torch.as_tensor(test.y[others] == test.y[anchors][:, None])
    far = {
        "REBAR's distance": [method.reconstructor.distance(x, c, hidden) for c in candidates],
        "squared error": [(x - c).square().nanmean(dim=(1, 2)) for c in candidates],
        "an untrained reconstructor's": [untrained.distance(x, c, hidden) for c in candidates],
    }
    picked = {name: torch.stack(each, dim=1).argmin(dim=1, keepdim=True) for name, each in far.items()}
    right = {name: same.gather(1, place).float().mean().item() for name, place in picked.items()}
    return {**right, "any candidate": same.float().mean().item()}
