"""A long minimum spanning tree keeps embeddings from collapsing."""

from __future__ import annotations

from ipse.claims import Claim, pictures, pretrained, probe

CLAIM = Claim(
    statement="Added to an objective that only asks for invariance, T-REGS raises the effective rank of the representation.",
    setting="Fashion-MNIST, 5,000 pictures to learn from, 2,000 to test; Barlow Twins with redundancy 0, projector 256-256-256, batch 256, 80 steps",
    measure="RankMe of the representation",
    seeds=3,
    tried="Weight 1 for T-REGS (gamma 1, sphere 1); the baseline is the same run without it. The paper's own weights are not known.",
)


def run(seed: int, long: bool) -> dict[str, float]:
    data = pictures("fashion-mnist", 5000, 2000, seed)

    def learned(*plus: str) -> dict[str, float]:
        words = {"set": {"redundancy": 0.0, "widths": [256, 256, 256]}, "steps": 1000 if long else 80}
        return probe(pretrained(data, seed, method="barlow-twins", plus=plus, **words), data, "rankme", "linear")

    ours, alone = learned("t-regs=1"), learned()
    return {
        "with T-REGS": ours["rankme"],
        "without": alone["rankme"],
        "linear probe with T-REGS": ours["linear"],
        "linear probe without": alone["linear"],
    }
