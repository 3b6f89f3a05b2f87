"""The rank of embeddings foretells the probe."""

from __future__ import annotations

from ipse.claims import Claim, pictures, pretrained, probe

CLAIM = Claim(
    statement="Among SimCLR runs of different temperatures and learning rates, RankMe orders them as the linear probe does: Spearman's rho over 0.5.",
    setting="Fashion-MNIST, 3,000 pictures to learn from, 1,500 to test; small_conv, batch 128, eight settings of 40 steps each",
    measure="Spearman's rank correlation of RankMe and linear probe accuracy",
    kind="at_least",
    bound=0.5,
    seeds=3,
    tried="RankMe is taken on the representation, as `ipse evaluate` does; temperatures 0.05 to 0.5, learning rates 5e-5 and 1e-3.",
)


def run(seed: int, long: bool) -> dict[str, float]:
    from scipy.stats import spearmanr

    data = pictures("fashion-mnist", 3000, 1500, seed)
    found = [
        probe(
            pretrained(data, seed, method="simclr", set={"temperature": t}, lr=lr, batch_size=128, steps=600 if long else 40),
            data,
            "rankme",
            "linear",
        )
        for t in (0.05, 0.1, 0.2, 0.5)
        for lr in (5e-5, 1e-3)
    ]
    rank, accuracy = ([f[name] for f in found] for name in ("rankme", "linear"))
    chosen = accuracy[max(range(len(rank)), key=rank.__getitem__)]
    return {
        "Spearman's rho": float(spearmanr(rank, accuracy).statistic),
        "probe of the run RankMe chooses": chosen,
        "best probe": max(accuracy),
    }
