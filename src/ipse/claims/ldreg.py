"""Local dimensionality goes up when it is asked for."""

from __future__ import annotations

from ipse.claims import Claim, pictures, pretrained, probe

CLAIM = Claim(
    statement="SimCLR with LDReg at the paper's weight has representations of higher local intrinsic dimensionality.",
    setting="CIFAR-10, 5,000 pictures to learn from, 2,000 to test; small_conv, batch 256, 80 steps, k = 64",
    measure="geometric mean of the local intrinsic dimensionality (MLE, k = 20) of test pictures",
    seeds=3,
    tried="The paper's weight 0.01 for SimCLR; the baseline is the same run without it.",
)


def run(seed: int, long: bool) -> dict[str, float]:
    from ipse.metrics.dimension import geometric_mean_lid
    from ipse.metrics.embedding import embeddings

    data = pictures("cifar10", 5000, 2000, seed)
    test = data.test
    assert test is not None

    def learned(*plus: str) -> tuple[float, float]:
        learned = pretrained(data, seed, method="simclr", plus=plus, steps=1500 if long else 80)
        encoder = learned.encoder
        return geometric_mean_lid(embeddings(encoder, test)), probe(encoder, data, "knn")["knn"]

    (ours, knn), (without, knn_without) = learned("ldreg"), learned()
    return {"with LDReg": ours, "without": without, "kNN with LDReg": knn, "kNN without": knn_without}
