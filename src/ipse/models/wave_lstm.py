"""A recurrent encoder of waves."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn
from torch.nn import functional as F

from ipse.data import Form
from ipse.models.mel import frames_valid, sound_length
from ipse.models.speech import FrameEncoder, centred


class WaveLSTM(FrameEncoder):
    """Strided convolutions on the wave, 10 ms apart, and an LSTM over what they give: (B, T) to (B, width).

    A frame of `dense` has seen none behind it. After each convolution the channels of a frame are normalised among themselves.
    The sizes of CPC as it is used for speech are conv=256, width=256, depth=1, those of aligned CPC have depth=2.

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
        """The latents: (B, N, conv), 0 behind the sound, and which frames are of sound, bool (B, N)."""
        h = F.pad(centred(x), (0, max(0, self.window - x.shape[1])))[:, None]
        for convolution, norm in zip(self.convolutions, self.norms, strict=True):
            h = F.relu(norm(convolution(h).transpose(1, 2))).transpose(1, 2)
        valid = frames_valid(sound_length(x), h.shape[2], self.window, self.stride)
        return h.transpose(1, 2) * valid[..., None], valid

    def context(self, frames: Tensor, valid: Tensor) -> list[Tensor]:
        """What each recurrent layer knows after each frame: depth times (B, N, width)."""
        states: list[Tensor] = []
        for layer in self.recurrent:
            frames = layer(frames)[0]
            states.append(frames.masked_fill(~valid[..., None], 0))
        return states

    def layers(self, x: Tensor) -> list[Tensor]:
        return self.context(*self.frames(x))

    def dense(self, x: Tensor) -> Tensor:
        return self.layers(x)[-1]

    def options(self) -> dict[str, Any]:
        return {"conv": self.conv, "width": self.dim, "depth": self.depth}


_LAYERS = ((10, 5), (8, 4), (4, 2), (4, 2), (4, 2))  # kernels and strides
