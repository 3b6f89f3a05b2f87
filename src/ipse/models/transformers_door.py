"""The door to transformers: its speech models that read waves are encoders here."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ipse.data import Form
from ipse.errors import UserError, first_line, requires
from ipse.models.mel import Mel, frames_valid, sound_length
from ipse.models.speech import ClipNorm, Passed, TokenEncoder, centred
from ipse.models.tokens import visible

SPEECH = ("data2vec-audio", "hubert", "unispeech", "unispeech-sat", "wav2vec2", "wavlm")


class TransformersEncoder(TokenEncoder):
    """A speech model of transformers, by the folder it was saved to or its name on the hub: waves (B, T) to (B, hidden size).

    Waves are given mean 0 and variance 1, as these models expect. Nothing but dropout is left to chance: no frames are hidden
    and no layers skipped. config: that of the model, for which neither folder nor hub is then needed. Raises UserError for
    models of other kinds and weights that are not safetensors.
    """

    def __init__(self, name: str, form: Form, pretrained: bool = False, config: Mapping[str, Any] | None = None):
        super().__init__()
        self.name, self.form = name, form
        self.model, self.settings = _built(name, pretrained, config)
        self.model.train()
        self.model.masked_spec_embed = None  # methods bring their own
        self.dim = int(self.settings.hidden_size)
        self.mel = Mel(80, form["rate"])
        self.window, self.stride = _reach(self.settings.conv_kernel, self.settings.conv_stride)
        # Positions are told outside of the model, so that frames can be left out behind them.
        self.position, self.model.encoder.pos_conv_embed = self.model.encoder.pos_conv_embed, _Nowhere()
        if isinstance(self._first_norm, nn.GroupNorm):
            self._first_norm.__class__ = _ToldNorm

    @property
    def _first_norm(self) -> Any:
        return getattr(self.model.feature_extractor.conv_layers[0], "layer_norm", None)

    def features(self, x: Tensor) -> tuple[Tensor, Tensor]:
        samples = sound_length(x)
        wave = centred(x)
        wave = wave * (wave.square().sum(dim=1, keepdim=True) / samples[:, None].clamp_min(1) + 1e-7).rsqrt()
        wave = nn.functional.pad(wave, (0, max(0, self.window - x.shape[1])))
        if isinstance(self._first_norm, _ToldNorm):
            kernel, stride = self.settings.conv_kernel[0], self.settings.conv_stride[0]
            n = (wave.shape[1] - kernel) // stride + 1
            self._first_norm.valid = frames_valid(samples.clamp(min=self.window), n, kernel, stride)
        h = self.model.feature_extractor(wave).transpose(1, 2)
        return h, frames_valid(samples, h.shape[1], self.window, self.stride)

    def projected(self, features: Tensor) -> Tensor:
        out = self.model.feature_projection(features)
        h: Tensor = out[0] if isinstance(out, tuple) else out
        return h

    def positioned(self, frames: Tensor, valid: Tensor) -> Tensor:
        h = frames.masked_fill(~valid[..., None], 0)
        if not hasattr(self.position, "layers"):
            place: Tensor = self.position(h)
            return frames + place
        h = h.transpose(1, 2)
        for layer in self.position.layers:  # data2vec's are several, and what lies behind the sound must not come back in
            h = layer(h) * valid[:, None]
        return frames + h.transpose(1, 2)

    def passed(self, tokens: Tensor, valid: Tensor | None = None) -> Passed:
        known = ~tokens.isnan().any(dim=-1)
        valid = known if valid is None else known & valid
        encoder = self.model.encoder
        with (
            _given([layer.feed_forward for layer in encoder.layers]) as (_, perceptrons),
            _given(encoder.layers) as (came, went),
        ):
            last = encoder(tokens.masked_fill(~valid[..., None], 0), attention_mask=visible(valid)).last_hidden_state
        states = [*came[:1], *went[:-1], last]
        return Passed(*([h.masked_fill(~valid[..., None], 0) for h in each] for each in (states, perceptrons)))

    def options(self) -> dict[str, Any]:
        return {"config": self.settings.to_diff_dict() | {"model_type": self.settings.model_type}}


def _built(name: str, pretrained: bool, config: Mapping[str, Any] | None) -> tuple[Any, Any]:
    """A model of transformers and its settings."""
    try:
        from transformers import AutoConfig, AutoModel
    except ImportError as e:
        raise requires("audio", f"encoder {name!r}") from e
    where: dict[str, Any] = {"local_files_only": Path(name).is_dir(), "trust_remote_code": False}
    try:
        settings = AutoConfig.for_model(**config) if config else AutoConfig.from_pretrained(name, **where)
        if settings.model_type not in SPEECH:
            raise UserError(f"it is a {settings.model_type} model; of speech there are {', '.join(SPEECH)}")
        settings.layerdrop, settings.add_adapter = 0.0, False
        if pretrained:
            return AutoModel.from_pretrained(name, config=settings, use_safetensors=True, **where), settings
        return AutoModel.from_config(settings), settings
    except Exception as e:
        raise UserError(f"transformers cannot build encoder {name!r}: {first_line(e)}") from e


class _Nowhere(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return torch.zeros_like(x)


class _ToldNorm(ClipNorm):
    """Knows what is sound before it is called, where no second argument comes through."""

    valid: Tensor

    def forward(self, x: Tensor) -> Tensor:  # type: ignore[override]
        return super().forward(x, self.valid)


@contextmanager
def _given(modules: Any) -> Iterator[tuple[list[Tensor], list[Tensor]]]:
    """Lists that fill, in order, with the first argument and the first result of each module."""
    came: list[Tensor] = []
    went: list[Tensor] = []

    def note(_: nn.Module, arguments: tuple[Tensor, ...], result: Any) -> None:
        came.append(arguments[0])
        went.append(result[0] if isinstance(result, tuple) else result)

    hooks = [module.register_forward_hook(note) for module in modules]
    try:
        yield came, went
    finally:
        for hook in hooks:
            hook.remove()


def _reach(kernels: list[int], strides: list[int]) -> tuple[int, int]:
    """How many samples a frame is of, and how many lie between two."""
    window = 1
    for kernel, stride in zip(reversed(kernels), reversed(strides), strict=True):
        window = (window - 1) * stride + kernel
    return window, math.prod(strides)
