"""Asking for the same image after more noise makes an MRI reconstruction from few references stand noisy scans."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ipse.claims import Claim

CLAIM = Claim(
    statement=(
        "With 5 references and 50 under-sampled scans without, the consistency term restores noisy scans better than the "
        "references alone with the same noise added, for the same multiply-adds."
    ),
    setting=(
        "64 x 64 crops of scikit-learn's two photos as scans of one coil, a quarter of the columns; 5 fully sampled, 50 not, 20 to test from "
        "the other half of each photo; unrolled net of 3 steps and 16 channels at lr 3e-3; 300 steps with the consistency term at weight 3, "
        "700 with the references alone, which cost as much (3,000 and 7,000 in the long run)"
    ),
    measure="PSNR to the true image of scans with noise of sigma 0.3",
    unit="dB",
    seeds=4,
    long_seeds=5,
    tried=(
        "Two other draws, 300 steps unless said. On the first, noisy and clean scans: Noise2Recon with the published weight 0.1 reached "
        "21.1 and 35.7 dB at lr 1e-3, 22.2 and 36.4 dB at 3e-3; with weight 1 24.1 and 33.7 dB, with weight 3 24.6 and 30.1 dB. The "
        "references with noise on every sample reached 23.3 and 32.3 dB at 1e-3, 23.4 and 31.8 dB at 3e-3; on every second one 22.1 and "
        "34.3 dB; the references as they are 13.3 and 36.6 dB. So the rule of an earlier version, 2 dB above the references as they are, "
        "said nothing about the 50 scans. On the second draw weights 1 and 3 reached 23.2 and 24.3 dB on noisy scans, the references "
        "with noise 24.4 dB, and 24.7 dB after 700 steps. Each arm takes what was best on noisy scans: weight 3, and noise always. A "
        "step of the consistency term counts as 7 passes through the net, one without as 3, a backward pass as two."
    ),
)


def run(seed: int, long: bool) -> dict[str, float]:
    import torch
    from torch import Tensor

    from ipse import randomness
    from ipse.losses.reconstruction import complex_l1
    from ipse.methods.restore.kept import build
    from ipse.methods.restore.noise2recon import Noise2Recon
    from ipse.training import Player, descend
    from ipse.transforms.kspace import add_noise

    steps, equal = (3000, 7000) if long else (300, 700)
    chance = np.random.default_rng(seed)
    truth = _crops(20, 1, chance)
    references = [_signal(_kspace(x)) for x in _crops(5, 0, chance)]
    scans = [_signal(_kspace(x) * _mask(chance)) for x in _crops(50, 0, chance)]
    masks = [_mask(chance) for _ in truth]
    clean = [_kspace(x) * mask for x, mask in zip(truth, masks, strict=True)]
    noise = [0.3 * (chance.normal(size=x.shape) + 1j * chance.normal(size=x.shape)) for x in truth]
    quiet = [_signal(y) for y in clean]
    noisy = [_signal(y + n * mask) for y, n, mask in zip(clean, noise, masks, strict=True)]

    def net() -> Noise2Recon:
        words = {"unrolls": 3, "blocks": 1, "hidden": 16, "weight": 3.0, "lr": 3e-3}
        method = build("noise2recon", 1, words, seed)
        assert isinstance(method, Noise2Recon)
        return method

    def with_noise() -> Noise2Recon:
        """From the references alone, under the masks of the scans, with the noise of the consistency term."""
        method = net()

        def loss(step: int) -> Tensor:
            draw = torch.Generator().manual_seed(randomness.key(seed, "references", step))
            some, others = (torch.randint(n, (method.batch,), generator=draw).tolist() for n in (len(references), len(scans)))
            under = method.scan(torch.cat([scans[i] for i in others]))
            known, target = method.undersampled(torch.cat([references[i] for i in some]), under.mask, draw)
            low, high = method.sigma
            sigma = low + (high - low) * torch.rand(method.batch, generator=draw)
            return complex_l1(method.image(known._replace(y=add_noise(known.y, known.mask, sigma, draw))), target)

        descend(method, Player(method.parameters(), loss, lr=3e-3), steps=equal, seed=seed)
        return method

    def judged(method: Noise2Recon, measured: list[Tensor]) -> float:
        errors = [np.mean((method.restore(y)[0, 0].numpy() - x) ** 2) for y, x in zip(measured, truth, strict=True)]
        return float(np.mean([-10 * np.log10(e) for e in errors]))

    ours, noised = net(), with_noise()
    ours.fit(scans, like=references, seed=seed, steps=steps)
    return {
        "Noise2Recon": judged(ours, noisy),
        "references with noise": judged(noised, noisy),
        "scans without extra noise, Noise2Recon": judged(ours, quiet),
        "scans without extra noise, references with noise": judged(noised, quiet),
    }


def _crops(n: int, half: int, chance: np.random.Generator) -> list[NDArray[np.float64]]:
    """Grey crops from the left or the right half of the photos."""
    from sklearn.datasets import load_sample_images

    photos = [p.mean(2)[:, half * 320 : half * 320 + 320] / 255 for p in load_sample_images().images]
    places = [(i % 2, chance.integers(427 - 64), chance.integers(320 - 64)) for i in range(n)]
    return [photos[k][i : i + 64, j : j + 64] for k, i, j in places]


def _kspace(x: NDArray[Any]) -> NDArray[np.complex128]:
    return np.fft.fftshift(np.fft.fft2(np.fft.ifftshift(x), norm="ortho"))


def _mask(chance: np.random.Generator) -> NDArray[np.float64]:
    """16 of 64 columns: the 6 in the middle and others at random."""
    outside = [j for j in range(64) if not 29 <= j < 35]
    columns = np.zeros(64)
    columns[29:35] = 1
    columns[chance.choice(outside, 10, replace=False)] = 1
    return columns[None]


def _signal(y: NDArray[Any]) -> Any:
    """A scan of one coil as the method takes it, (1, 2, H, W)."""
    import torch

    return torch.from_numpy(np.stack([y.real, y.imag])[None].astype(np.float32))
