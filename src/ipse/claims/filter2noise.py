"""Two learned bilateral filters take correlated noise away from a single picture."""

from __future__ import annotations

from ipse.claims import Claim

CLAIM = Claim(
    statement="From one picture with correlated noise, filter2noise restores 1 dB more than zero-shot Noise2Noise.",
    setting=(
        "Grey crops of two photos (scikit-learn's china and flower), 96 x 96, Gaussian noise of sigma 0.1 averaged over 3 x 3 pixels; filter2noise "
        "as published, 500 steps; Noise2Noise between the diagonals with three convolutions of width 48, 500 steps at lr 1e-3"
    ),
    measure="PSNR",
    unit="dB",
    bound=1.0,
    seeds=3,
    long_seeds=5,
    tried=(
        "On one crop of china, 128 x 128, sigma 0.1, 500 steps: the authors' code and ours, white noise 19.8 and 19.9 dB from 20.0, "
        "correlated noise 19.7 dB by theirs from 19.8. Then this claim at seed 0 with 400 steps: "
        "20.4 and 20.3 dB, 25.8 dB with a tenth of the weight of the edge term, which is shown; what is tested are the defaults."
    ),
)


def run(seed: int, long: bool) -> dict[str, float]:
    import torch
    from torch import Tensor, nn

    from ipse import randomness
    from ipse.claims.harness.halves import halves, mean, psnr, taught
    from ipse.losses.restoration_pixels import symmetric_halves
    from ipse.methods.restore.kept import build
    from ipse.training import seeded
    from ipse.transforms.noise import correlated_gaussian
    from ipse.transforms.subsample import diagonals

    truths = halves(96, seed)[1]
    chance = torch.Generator().manual_seed(randomness.key(seed, "noise"))
    noisy = [correlated_gaussian(x, 0.1, chance) for x in truths]

    def filtered(y: Tensor, **words: object) -> Tensor:
        method = build("filter2noise", 1, words, seed)
        method.fit([y], seed=seed, steps=2000 if long else None)
        return method.restore(y)

    def zero_shot(y: Tensor) -> Tensor:
        with seeded(seed):
            net = nn.Sequential(
                nn.Conv2d(1, 48, 3, padding=1),
                nn.LeakyReLU(0.2),
                nn.Conv2d(48, 48, 3, padding=1),
                nn.LeakyReLU(0.2),
                nn.Conv2d(48, 1, 1),
            )

        def clean(x: Tensor) -> Tensor:
            return x - net(x)  # type: ignore[no-any-return]

        def loss(step: int) -> Tensor:
            first, second = diagonals(y)
            return symmetric_halves(first, second, (clean(first), clean(second)), diagonals(clean(y)))

        taught(net, loss, steps=2000 if long else 500, lr=1e-3, seed=seed)
        with torch.no_grad():
            return clean(y)

    def judged(pictures: list[Tensor]) -> float:
        return mean([psnr(y, x) for y, x in zip(pictures, truths, strict=True)])

    return {
        "filter2noise": judged([filtered(y) for y in noisy]),
        "zero-shot Noise2Noise": judged([zero_shot(y) for y in noisy]),
        "filter2noise, edges=35": judged([filtered(y, edges=35.0) for y in noisy]),
        "noisy": judged(noisy),
    }
