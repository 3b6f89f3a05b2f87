"""A net that is blind on sub-pictures and open on the whole takes away noise that plain blind-spot nets keep."""

from __future__ import annotations

from ipse.claims import Claim

CLAIM = Claim(
    statement="On noise that is correlated between neighbours, the conditional blind-spot net restores 2 dB more than a plain blind-spot net.",
    setting=(
        "Two photos (scikit-learn's china and flower, grey crops of 120 x 120) to learn from and to restore; Gaussian noise of sigma "
        "25/255 averaged over 3 x 3 pixels; width 24, 2 modules, patches of 40, batch 4; 500 steps of ours and 1,040 of the plain "
        "net, which are as many multiply-adds, at lr 3e-4, halved every fifth of them"
    ),
    measure="PSNR",
    unit="dB",
    bound=2.0,
    seeds=3,
    long_seeds=5,
    tried=(
        "Another draw (seed 100, noisy 20.1 dB). Ours, 500 steps: 23.3 dB at lr 3e-4, 23.2 dB at 1e-3. The plain net learns to repeat "
        "the noise: at lr 1e-3 it has 20.7 dB after 60 steps, 20.1 after 200, 20.0 after 500; at 3e-4 20.2 dB after 500. So it is "
        "shown beside as it is after 60 steps at 1e-3, which nobody could choose without the truth. The plain net is the same one, "
        "without sub-pictures, invariance and open mode. Our own net, blind on the whole picture: 23.4 dB at 3e-4, 20.0 at 1e-3."
    ),
)


def run(seed: int, long: bool) -> dict[str, float]:
    import torch
    from torch import Tensor

    from ipse import randomness
    from ipse.claims.harness.halves import halves, mean, psnr
    from ipse.methods.restore.cbsn import CBSN
    from ipse.methods.restore.kept import build
    from ipse.training import Player, descend, patches
    from ipse.transforms.noise import correlated_gaussian

    steps = 5000 if long else 500
    truths = halves(120, seed)[1]
    chance = torch.Generator().manual_seed(randomness.key(seed, "noise"))
    noisy = [correlated_gaussian(x, 25 / 255, chance) for x in truths]

    def net() -> CBSN:
        method = build("cbsn-downsampled-invariance", 1, {"width": 24, "modules": 2, "patch": 40, "lr": 3e-4}, seed)
        assert isinstance(method, CBSN)
        return method

    def standard(x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        mean, std = x.mean((2, 3), keepdim=True), x.std((2, 3), keepdim=True, correction=0)
        return (x - mean) / std, mean, std

    def taught(steps: int, lr: float) -> CBSN:
        method = net()

        def blind(step: int) -> Tensor:
            x = standard(patches(noisy, 40, 4, seed=seed, step=step, flips=True))[0]
            loss: Tensor = (method.net(x, blind=True) - x).abs().mean()
            return loss

        player = Player(method.parameters(), blind, lr=lr, schedule=lambda step: 0.5 ** (5 * step // steps))
        descend(method, player, steps=steps, seed=seed)
        return method

    conditional = net()
    conditional.fit(noisy, seed=seed, steps=steps)
    # Ours goes twice forwards and back and once forwards over a quarter of the pixels, the plain net once forwards and back.
    plain, stopped = taught(round(steps * 6.25 / 3), 3e-4), taught(60, 1e-3)

    @torch.no_grad()
    def blindly(method: CBSN, y: Tensor) -> Tensor:
        x, mean, std = standard(y)
        restored: Tensor = method.net(x, blind=True) * std + mean
        return restored

    def judged(pictures: list[Tensor]) -> float:
        return mean([psnr(y, x) for y, x in zip(pictures, truths, strict=True)])

    return {
        "conditional": judged([conditional.restore(y) for y in noisy]),
        "plain blind spot": judged([blindly(plain, y) for y in noisy]),
        "plain blind spot, 60 steps": judged([blindly(stopped, y) for y in noisy]),
        "conditional, blind": judged([blindly(conditional, y) for y in noisy]),
        "noisy": judged(noisy),
    }
