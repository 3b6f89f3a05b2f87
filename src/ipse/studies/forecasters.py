"""Small models that forecast series from what they make of its last step."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from ipse.data import form as forms
from ipse.models.dilated_conv import DilatedConv

BACKBONES = ("tcn", "lstm", "transformer")


class Forecaster(nn.Module):
    """A backbone that gives one vector per step, and a linear map of the last one to the steps that follow."""

    def __init__(self, backbone: str, channels: int, length: int, horizon: int, width: int):
        super().__init__()
        kinds: dict[str, Callable[[], nn.Module]] = {
            "tcn": lambda: TCN(channels, length, width),
            "lstm": lambda: LSTM(channels, width),
            "transformer": lambda: Transformer(channels, length, width),
        }
        self.backbone = kinds[backbone]()
        self.head = nn.Linear(width, channels * horizon)
        self.shape = (channels, horizon)

    def forward(self, x: Tensor) -> Tensor:
        return self.read(self.backbone(x))

    def read(self, h: Tensor) -> Tensor:
        out: Tensor = self.head(h[:, -1])
        return out.reshape(-1, *self.shape)


class TCN(nn.Module):
    """Causal dilated convolutions: (B, C, T) to (B, T, width); `hidden`: bool (B, T), steps that enter as zeros."""

    def __init__(self, channels: int, length: int, width: int, depth: int | None = None):
        super().__init__()
        self.conv = DilatedConv(forms.series(channels, length), width, width, depth, causal=True)

    def forward(self, x: Tensor, hidden: Tensor | None = None) -> Tensor:
        return self.conv.dense(x, hidden)


class LSTM(nn.Module):
    """Two recurrent layers: (B, C, T) to (B, T, width); `hidden`: bool (B, T), steps that enter as zeros."""

    def __init__(self, channels: int, width: int):
        super().__init__()
        self.embedding, self.lstm = nn.Linear(channels, width), nn.LSTM(width, width, num_layers=2, batch_first=True)

    def forward(self, x: Tensor, hidden: Tensor | None = None) -> Tensor:
        out: Tensor = self.lstm(_shown(self.embedding(x.transpose(1, 2)), hidden))[0]
        return out


class Transformer(nn.Module):
    """Two layers of attention among all steps: (B, C, T) to (B, T, width); `hidden`: bool (B, T), steps that enter as zeros."""

    def __init__(self, channels: int, length: int, width: int, heads: int = 4):
        super().__init__()
        self.embedding = nn.Linear(channels, width)
        self.position = nn.Parameter(0.02 * torch.randn(length, width))
        self.layers = nn.ModuleList(
            nn.TransformerEncoderLayer(width, heads, 2 * width, 0.0, "gelu", batch_first=True, norm_first=True)
            for _ in range(2)
        )

    def forward(self, x: Tensor, hidden: Tensor | None = None) -> Tensor:
        h = _shown(self.embedding(x.transpose(1, 2)), hidden) + self.position
        for layer in self.layers:
            h = layer(h)
        return h


def _shown(h: Tensor, hidden: Tensor | None) -> Tensor:
    return h if hidden is None else h.masked_fill(hidden[..., None], 0)
