"""Recurrent encoders of recordings, which see the past only."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn
from torch.nn import functional as F

from ipse.data import Form
from ipse.models.mel import Mel, frames_valid, sound_length
from ipse.models.speech import FrameEncoder, centred


class Recurrent(FrameEncoder):
    """Recurrent layers over frames: a frame of `dense` has seen none behind it."""

    recurrent: nn.ModuleList

    def frames(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """What the first layer is given: (B, N, C), 0 behind the sound, and which frames are of sound, bool (B, N)."""
        raise NotImplementedError

    def context(self, frames: Tensor, valid: Tensor) -> list[Tensor]:
        """What each layer knows after each frame: depth times (B, N, width)."""
        states: list[Tensor] = []
        for layer in self.recurrent:
            frames = self.step(layer, frames)
            states.append(frames.masked_fill(~valid[..., None], 0))
        return states

    def step(self, layer: nn.Module, h: Tensor) -> Tensor:
        """What a layer hands to the next: (B, N, C) to (B, N, width)."""
        out: Tensor = layer(h)[0]
        return out

    def layers(self, x: Tensor) -> list[Tensor]:
        return self.context(*self.frames(x))

    def dense(self, x: Tensor) -> Tensor:
        return self.layers(x)[-1]


class MelGRU(Recurrent):
    """Recurrent layers over log-mel frames, 100 a second, each but the first added to what it is given: (B, T) to (B, width).

    The sizes of APC and VQ-APC are depth=3, width=512.

    Chung et al., Interspeech 2019, arXiv:1904.03240; Chung, Tang & Glass, Interspeech 2020, arXiv:2005.08392
    """

    name = "mel_gru"

    def __init__(self, form: Form, width: int = 256, depth: int = 3, n_mels: int = 80, standardize: bool = False):
        super().__init__()
        self.form, self.dim, self.depth = form, width, depth
        self.mel = Mel(n_mels, form["rate"], standardize)
        self.stride = self.mel.hop
        self.recurrent = nn.ModuleList(nn.GRU(width if i else n_mels, width, batch_first=True) for i in range(depth))

    def frames(self, x: Tensor) -> tuple[Tensor, Tensor]:
        mel, valid = self.mel(x)
        return mel.transpose(1, 2), valid

    def step(self, layer: nn.Module, h: Tensor) -> Tensor:
        out = super().step(layer, h)
        return out if layer is self.recurrent[0] else out + h

    def options(self) -> dict[str, Any]:
        return {"width": self.dim, "depth": self.depth, "n_mels": self.mel.n_mels, "standardize": self.mel.standardize}


class WaveLSTM(Recurrent):
    """Strided convolutions on the wave, 10 ms apart, and an LSTM over what they give: (B, T) to (B, width).

    After each convolution the channels of a frame are normalised among themselves. The sizes of CPC as it is used for speech
    are conv=256, width=256, depth=1, those of aligned CPC have depth=2.

    Rivière et al., ICASSP 2020, arXiv:2002.02848; Chorowski et al., Interspeech 2021, arXiv:2104.11946
    """

    name = "wave_lstm"
    stride, window = 160, 465

    def __init__(self, form: Form, conv: int = 128, width: int = 256, depth: int = 2):
        super().__init__()
        self.form, self.conv, self.dim, self.depth = form, conv, width, depth
        self.convolutions = nn.ModuleList(
            nn.Conv1d(conv if i else 1, conv, kernel, stride) for i, (kernel, stride) in enumerate(_LAYERS)
        )
        self.norms = nn.ModuleList(nn.LayerNorm(conv) for _ in _LAYERS)
        self.recurrent = nn.ModuleList(nn.LSTM(width if i else conv, width, batch_first=True) for i in range(depth))

    def frames(self, x: Tensor) -> tuple[Tensor, Tensor]:
        h = F.pad(centred(x), (0, max(0, self.window - x.shape[1])))[:, None]
        for convolution, norm in zip(self.convolutions, self.norms, strict=True):
            h = F.relu(norm(convolution(h).transpose(1, 2))).transpose(1, 2)
        valid = frames_valid(sound_length(x), h.shape[2], self.window, self.stride)
        return h.transpose(1, 2) * valid[..., None], valid

    def options(self) -> dict[str, Any]:
        return {"conv": self.conv, "width": self.dim, "depth": self.depth}


_LAYERS = ((10, 5), (8, 4), (4, 2), (4, 2), (4, 2))  # kernels and strides
