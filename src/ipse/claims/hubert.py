"""Units of what a model of units learned are closer to the sounds of speech than those it was taught with."""

from __future__ import annotations

from ipse.claims import Claim, pretrained, taught
from ipse.claims.harness.speech import frames, small_transformer, syllables

CLAIM = Claim(
    statement=(
        "Clusters of HuBERT's middle layer after one round tell more of the sound than as many clusters of MFCCs, "
        "which it was taught with."
    ),
    setting=(
        "Mandarin syllables, 1,400 clips of two speakers to learn from, 800 others to count; mel_transformer (width "
        "96, depth 4), 50 units, batch 32, 250 steps at lr 1e-3"
    ),
    measure="PNMI of the frames' units with the final of their syllable",
    unit="%",
    seeds=3,
    tried=(
        "The finals take the place of phones, which nobody has aligned here. Both sides are clustered by the same "
        "k-means of the same frames."
    ),
)


def run(seed: int, long: bool) -> dict[str, float]:
    from ipse import randomness
    from ipse.metrics.units import phone_purity, pnmi
    from ipse.models.kmeans import assign, kmeans

    (data,) = syllables(seed, "final", train=1400, test=800)
    assert data.test is not None
    words = small_transformer("hubert", depth=4, clusters=[50], span=5)
    run = pretrained(data, seed, **words, steps=4000 if long else 250)
    method = taught(run, data)
    kinds = {"HuBERT": lambda x: method.encoder.layers(x)[2], "MFCC": lambda x: method.mfcc(x)[0]}
    nmi, purity = {}, {}
    for name, of in kinds.items():
        centers = kmeans(frames(run.encoder, data.train, of)[0], 50, key=randomness.key("claim", seed))
        h, labels = frames(run.encoder, data.test, of)
        units = assign(h, centers)
        nmi[name], purity[f"purity, {name}"] = pnmi(units, labels), phone_purity(units, labels)
    return nmi | purity
