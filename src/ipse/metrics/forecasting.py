"""How well the future of series can be read from a frozen encoder's representation of their past."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from ipse.data import Samples
from ipse.errors import UserError
from ipse.metrics.forecast import mae, mse
from ipse.models import Encoder
from ipse.models.patch_transformer import PatchTransformer
from ipse.models.revin import denormalise, statistics
from ipse.transforms import viewer

STRENGTHS = tuple(10.0**power for power in range(-6, 3))
_WINDOWS, _NUMBERS, _PIECE = 8192, 1 << 23, 256  # how many are looked at; numbers that a regression is fitted to; at a time
_FLOOR = 1e-2  # of a window's variance: on one that hardly moves, the future would be divided by next to nothing

Numbers = dict[str, dict[str, float]]
Features = Callable[[Tensor], Tensor]


def forecast_probe(
    encoder: Encoder, train: Samples, test: Samples, horizon: int | None = None, season: int | None = None
) -> Numbers:
    """The error of ridge regression from the past of each window to its last `horizon` values, and that of plain forecasts.

    {"encoder": {"mse", "mae"}, "linear": ..., "last": ..., "season": ...}, in the units of the standardised data, over the known
    values of the test windows. The encoder sees the past, the future hidden from it as if it were missing. What it makes of the
    past's patches, of each channel by itself where it keeps channels apart (PatchTST), or else of the last step, is the input;
    the target is the future normalised by the mean and scale of the past, undone on what is forecast. The penalty, out of 1e-6
    .. 1e2 times the variance of the input, is the best for the last fifth of the training windows of a fit to the others.
    "linear" is the same regression from the normalised past, with one map for all channels; "last" repeats the last known
    value, "season" the last season: `season` steps, by default the lag at which the training windows resemble themselves most.

    horizon: by default a quarter of the window. Windows whose future is not wholly known are not fitted to. Raises UserError if
    the horizon leaves no past or no window can be fitted to.

    Nie et al., ICLR 2023, arXiv:2211.14730; Zeng et al., AAAI 2023, arXiv:2205.13504 (the linear forecast)
    """
    length = encoder.form["length"]
    horizon = max(1, length // 4) if horizon is None else horizon
    if not 0 < horizon < length:
        raise UserError(f"a forecast of {horizon} steps does not fit into windows of {length}: take 1 to {length - 1}")
    fit, held = (_windows(encoder, samples) for samples in (train, test))
    past = length - horizon
    season = min(season or _season(fit[..., :past]), past)
    future = held[..., past:]
    forecasts = {
        "encoder": _regressed(_represented(encoder), fit, held, past),
        "linear": _regressed(_scaled_past, fit, held, past),
        "last": _repeated(held[..., :past], 1, horizon),
        "season": _repeated(held[..., :past], season, horizon),
    }
    return {name: {"mse": mse(forecast, future), "mae": mae(forecast, future)} for name, forecast in forecasts.items()}


def ridge(x: Tensor, y: Tensor, penalties: tuple[float, ...]) -> list[Tensor]:
    """The maps W (D, K) that minimise |x W - y|^2 / N + penalty |W|^2, one for each penalty: x (N, D), y (N, K).

    >>> ridge(torch.tensor([[1.0], [3.0]]), torch.tensor([[2.0], [6.0]]), (0.0, 5.0))  # 10 / (5 + penalty)
    [tensor([[2.]]), tensor([[1.]])]
    """
    n, d = x.shape
    # The smaller of the two products gives the same answer: (X'X + c)^-1 X' = X' (XX' + c)^-1.
    values, vectors = torch.linalg.eigh((x.T @ x if d <= n else x @ x.T) / n)
    seen = vectors.T @ (x.T @ y if d <= n else y) / n
    tiny = torch.finfo(x.dtype).tiny
    maps = [vectors @ (seen / (values.clamp_min(0) + penalty).clamp_min(tiny)[:, None]) for penalty in penalties]
    return maps if d <= n else [x.T @ w for w in maps]


def _windows(encoder: Encoder, samples: Samples) -> Tensor:
    """The windows as the encoder is given them (N, C, T), of more than 8192 that many, evenly spread."""
    eye, spread = viewer(encoder.form), torch.from_numpy(samples.spread(_WINDOWS))
    return torch.cat([eye.original(samples.read(index)).x for index in spread.split(_PIECE)])


def _scaled_past(x: Tensor) -> Tensor:
    """Each channel by itself, normalised, 0 where nothing is known: (B, C, T) to (B, C, T)."""
    mean, scale = statistics(x, _FLOOR)
    return ((x - mean) / scale).nan_to_num(0.0)


def _represented(encoder: Encoder) -> Features:
    """What an encoder makes of the past: (B, C, past) to (B, C, D), or (B, 1, D) where it mixes channels."""
    device, length = next(encoder.parameters()).device, encoder.form["length"]

    @torch.no_grad()
    def features(x: Tensor) -> Tensor:
        hidden = F.pad(x, (0, length - x.shape[2]), value=torch.nan).to(device)
        training = encoder.training
        encoder.eval()
        places = encoder.dense(hidden).float().cpu()
        encoder.train(training)
        if isinstance(encoder, PatchTransformer):
            past = math.ceil(x.shape[2] / encoder.stride)
            patches: Tensor = places.unflatten(1, (encoder.groups, -1))[:, :, :past]
            return patches.flatten(2)
        if places.shape[1] != length:
            return places.flatten(1)[:, None]
        last = (torch.arange(x.shape[2]) * ~x.isnan().all(dim=1)).amax(dim=1)
        return places[torch.arange(len(x)), last][:, None]

    return features


def _regressed(features: Features, fit: Tensor, held: Tensor, past: int) -> Tensor:
    """The forecast (M, C, H) for the windows `held` (M, C, T), by ridge regression on the windows `fit`."""
    width = features(fit[:1, :, :past])[0].numel()
    fit = fit[torch.linspace(0, len(fit) - 1, min(len(fit), max(_PIECE, _NUMBERS // width))).long()]
    x = torch.cat([features(part[..., :past]) for part in fit.split(_PIECE)]).double()
    mean, scale = statistics(fit[..., :past], _FLOOR)
    y = ((fit[..., past:] - mean) / scale).double().reshape(*x.shape[:2], -1)
    unit = scale.double().expand(-1, -1, fit.shape[2] - past).reshape(y.shape)
    known = ~y.isnan().any(dim=2)
    if known.sum() < 2:
        raise UserError(f"a forecast of {fit.shape[2] - past} steps needs windows that are known to their end: there are none")
    x, y, unit = (t[known] for t in (x, y, unit))
    first = max(1, len(x) * 4 // 5)
    tried = Ridge(x[:first], y[:first], STRENGTHS)
    errors = torch.stack([((tried(x[first:], i) - y[first:]) * unit[first:]).square().mean() for i in range(len(STRENGTHS))])
    final = Ridge(x, y, (STRENGTHS[int(errors.argmin())],))

    def forecast(part: Tensor) -> Tensor:
        given = part[..., :past]
        out = final(features(given).double(), 0).float().reshape(*given.shape[:2], -1)
        return denormalise(out, *statistics(given, _FLOOR))

    return torch.cat([forecast(part) for part in held.split(_PIECE)])


class Ridge:
    """Ridge regressions of y (N, K) on x (N, D), standardised, one for each penalty."""

    def __init__(self, x: Tensor, y: Tensor, penalties: tuple[float, ...]):
        self.mean, self.middle = x.mean(dim=0), y.mean(dim=0)
        deviation = x.std(dim=0, correction=0)
        self.scale = torch.where(deviation > 1e-6, deviation, 1.0)
        self.maps = ridge((x - self.mean) / self.scale, y - self.middle, penalties)

    def __call__(self, x: Tensor, penalty: int) -> Tensor:
        return (x - self.mean) / self.scale @ self.maps[penalty] + self.middle


def _repeated(past: Tensor, season: int, horizon: int) -> Tensor:
    """The last known value of each step of the season: (B, C, T) to (B, C, horizon), that of any step where none is known, or 0."""
    seasons = F.pad(past, (-past.shape[2] % season, 0), value=torch.nan).unflatten(2, (-1, season))
    latest = (~seasons.isnan() * torch.arange(1, seasons.shape[2] + 1)[:, None]).argmax(dim=2, keepdim=True)
    value = seasons.gather(2, latest)[:, :, 0]
    value = value.nan_to_num(0.0) if season == 1 else torch.where(value.isnan(), _repeated(past, 1, 1), value)
    return value[..., torch.arange(horizon) % season]


def _season(past: Tensor) -> int:
    """The lag, of at least 2 steps and at most half of them, with the highest peak of the mean autocorrelation; 1 without a peak."""
    x = _scaled_past(past)
    power = torch.fft.rfft(x, n=2 * x.shape[2]).abs().square().mean(dim=(0, 1))
    similar = torch.fft.irfft(power)[: x.shape[2] // 2 + 2]
    peak = (similar[1:-1] > similar[:-2]) & (similar[1:-1] >= similar[2:])
    return int(similar[1:-1].masked_fill(~peak, -torch.inf).argmax()) + 1 if peak.any() else 1
