"""Learning without augmenting: frame projections."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ipse.distributed import world_size
from ipse.losses.contrastive import nt_xent
from ipse.models import BatchNorm, Encoder, mlp
from ipse.models.wavelet import Morlet, spectrum
from ipse.training import Batch, Method, Recipe, Step
from ipse.transforms import Original


class FrameProjections(Method):
    """Contrasts a series with its Fourier and its wavelet transform, each in an encoder of its own, instead of with changed copies.

        L = NTX(t, W) + NTX(t, F) + NTX(W, F) + predictive / B * (|P_F(z_t) - z_F| + |P_W(z_t) - z_W|) + L_map
        L_map = |M_F(sg(h_t)) - sg(h_F)| + |M_W(sg(h_t)) - sg(h_W)|

    with h the outputs of the encoders of the series (t), of its spectrum (F) and of its wavelet magnitudes (W), z their
    projections on the unit sphere, | | the mean over all values and B the size of the batch, as in the authors' code. P and M
    are small convolutions along the features. L_map moves the mappers M alone: the paper fits them afterwards, to features that
    stand still, here they follow the features and end where these do.

    The series' encoder is the one that is kept; `features` joins to its output what the mappers tell of the other two.

    ETH SIPLAB, 2025, arXiv:2510.22655
    """

    sees = Original()
    recipe = Recipe(lr=1e-3, weight_decay=1e-6)
    modalities = ("series",)

    def __init__(self, encoder: Encoder, *, temperature: float = 0.15, predictive: float = 1.0, width: int = 128):
        super().__init__(encoder)
        channels, dim = encoder.form["channels"], encoder.dim
        self.morlet = Morlet(encoder.form["length"])
        self.spectral, self.wavelet = _Spectral(channels, dim), _Wavelet(channels, dim)
        self.projectors = nn.ModuleList(mlp(dim, dim, width) for _ in range(3))
        self.predictors, self.mappers = (nn.ModuleList(_Along(n) for _ in range(2)) for n in (64, 1))
        self.temperature, self.predictive = temperature, predictive

    def loss(self, batch: Batch) -> Step:
        (x,) = batch
        h = [self.encoder(x), self.spectral(*spectrum(x)), self.wavelet(self.morlet(x))]
        t, f, w = (F.normalize(projector(each).float(), dim=1) for projector, each in zip(self.projectors, h, strict=True))
        contrast = torch.stack([nt_xent(a, b, self.temperature) for a, b in ((t, w), (t, f), (w, f))]).sum()
        predicted = _missed(self.predictors, t, (f, w))
        mapped = _missed(self.mappers, h[0].detach(), [each.detach() for each in h[1:]])
        loss = contrast + self.predictive / (len(x) * world_size()) * predicted + mapped
        terms = {"contrast": contrast, "predictive": predicted, "mapping": mapped}
        return Step(loss, z=(t, f, w), h=h[:1], terms=terms)

    def features(self, x: Tensor) -> Tensor:
        """M_F(h_t), h_t and M_W(h_t), side by side: series (B, C, T) to (B, 3 dim)."""
        h = self.encoder(x)
        spectral, wavelet = (mapper(h) for mapper in self.mappers)
        return torch.cat([spectral, h, wavelet], dim=1)


class _Along(nn.Module):
    """A convolution along the features that halves their number and one that doubles it: (B, D) to the same."""

    def __init__(self, hidden: int):
        super().__init__()
        self.down = nn.Conv1d(1, hidden, 3, stride=2, padding=1)
        self.up = nn.ConvTranspose1d(hidden, 1, 3, stride=2, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.up(F.relu(self.down(x[:, None])), output_size=[x.shape[1]])
        return out[:, 0]


class _Spectral(nn.Module):
    """Convolutions along the frequencies, of the amplitude and of the phase (B, C, T // 2 + 1): to (B, dim).

    Which frequency it is stays known, in eighths of the spectrum.
    """

    def __init__(self, channels: int, dim: int, width: int = 32):
        super().__init__()
        self.amplitude, self.phase = (
            nn.Sequential(
                *(nn.Conv1d(channels, width, 5, 2, 2, bias=False), BatchNorm(width), nn.ReLU()),
                *(nn.Conv1d(width, 2 * width, 5, 2, 2, bias=False), BatchNorm(2 * width), nn.ReLU()),
                *(nn.AdaptiveAvgPool1d(8), nn.Flatten()),
            )
            for _ in range(2)
        )
        self.merge = nn.Linear(2 * 8 * 2 * width, dim)

    def forward(self, amplitude: Tensor, phase: Tensor) -> Tensor:
        out: Tensor = self.merge(torch.cat([self.amplitude(amplitude), self.phase(phase)], dim=1))
        return out


class _Wavelet(nn.Sequential):
    """Convolutions over scales and time (B, C, scales, T), and the mean over time: to (B, dim).

    Which scale it is stays known, in sixths of all scales.
    """

    def __init__(self, channels: int, dim: int, width: int = 16):
        super().__init__(
            *(nn.Conv2d(channels, width, 5, 2, 2, bias=False), BatchNorm(width), nn.ReLU()),
            *(nn.Conv2d(width, 2 * width, 3, 2, 1, bias=False), BatchNorm(2 * width), nn.ReLU()),
            *(nn.Conv2d(2 * width, 4 * width, 3, 2, 1, bias=False), BatchNorm(4 * width), nn.ReLU()),
            *(nn.AdaptiveAvgPool2d((6, 1)), nn.Flatten(), nn.Linear(6 * 4 * width, dim)),
        )


def _missed(maps: nn.ModuleList, source: Tensor, targets: Sequence[Tensor]) -> Tensor:
    """The sum over the maps of how far, in the mean over values, what they make of the source is from its target."""
    return torch.stack([(m(source).float() - t.float()).abs().mean() for m, t in zip(maps, targets, strict=True)]).sum()
