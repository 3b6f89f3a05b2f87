"""The door to timm: every model name there is an encoder here."""

from __future__ import annotations

from functools import cache
from typing import Any

import timm
import torch
from torch import Tensor, nn

from ipse.errors import UserError
from ipse.models.encoder import Encoder


@cache
def timm_names() -> frozenset[str]:
    """The architectures that timm knows."""
    return frozenset(timm.list_models())


class TimmEncoder(Encoder):
    """A timm model without its classifier: (B, C, S, S) in [-1, 1] to (B, dim), normalised as the model's weights expect."""

    def __init__(self, name: str, channels: int = 3, size: int = 224, pretrained: bool = False):
        super().__init__()
        self.name, self.channels, self.size = name, channels, size
        try:
            self.model = self._build(name, channels, size, pretrained)
        except Exception as e:
            raise UserError(f"timm cannot build encoder {name!r} for {size} px: {str(e).splitlines()[0][:160]}") from e
        self.dim = int(self.model.num_features)
        if hasattr(self.model, "head_hidden_size") and not hasattr(self.model, "patch_embed"):
            self.dim = int(self.model.head_hidden_size)
        config = self.model.pretrained_cfg
        mean, std = (torch.tensor(config.get(k) or v) for k, v in (("mean", (0.5,) * 3), ("std", (0.5,) * 3)))
        if channels != 3:
            mean, std = mean.mean().expand(channels), std.mean().expand(channels)
        self.register_buffer("scale", (0.5 / std).view(-1, 1, 1).clone(), persistent=False)
        self.register_buffer("offset", ((0.5 - mean) / std).view(-1, 1, 1).clone(), persistent=False)

    @staticmethod
    def _build(name: str, channels: int, size: int, pretrained: bool) -> nn.Module:
        arguments: dict[str, Any] = {"pretrained": pretrained, "in_chans": channels, "num_classes": 0}
        try:
            model: nn.Module = timm.create_model(name, img_size=size, **arguments)
        except TypeError:  # convolutional models take any size and no img_size
            model = timm.create_model(name, **arguments)
        return model

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.model(self._normalise(x))
        return out

    def dense(self, x: Tensor) -> Tensor:
        y: Tensor = self.model.forward_features(self._normalise(x))  # type: ignore[operator]
        if y.dim() == 4:
            channels_last = y.shape[-1] == self.model.num_features and y.shape[1] != self.model.num_features
            return y.flatten(1, 2) if channels_last else y.flatten(2).transpose(1, 2)
        return y[:, int(getattr(self.model, "num_prefix_tokens", 0)) :]

    def tokens(self, x: Tensor) -> Tensor:
        if not self.has_tokens:
            return super().tokens(x)
        m: Any = self.model
        patches = m.patch_embed(self._normalise(x))
        prefix = int(m.num_prefix_tokens)
        if m.no_embed_class or m.pos_embed.shape[1] == patches.shape[1]:
            return patches + m.pos_embed
        return patches + m.pos_embed[:, prefix:]

    def blocks(self, tokens: Tensor) -> Tensor:
        m: Any = self.model
        if m.cls_token is not None:
            first = m.cls_token if m.no_embed_class else m.cls_token + m.pos_embed[:, :1]
            tokens = torch.cat([first.expand(len(tokens), -1, -1), tokens], dim=1)
        out: Tensor = m.norm(m.blocks(m.norm_pre(tokens)))
        return out[:, 1:] if m.cls_token is not None else out

    def patches(self, x: Tensor) -> Tensor:
        """The pixels of each patch: (B, C, S, S) to (B, N, C * patch * patch)."""
        p = self.model.patch_embed.patch_size[0]  # type: ignore[union-attr, index]
        b, c, h, w = x.shape
        return x.reshape(b, c, h // p, p, w // p, p).permute(0, 2, 4, 1, 3, 5).reshape(b, (h // p) * (w // p), -1)

    @property
    def has_tokens(self) -> bool:
        from timm.models.vision_transformer import VisionTransformer

        return isinstance(self.model, VisionTransformer)

    def _normalise(self, x: Tensor) -> Tensor:
        return torch.addcmul(self.offset, x, self.scale)  # type: ignore[arg-type]


def default_size(name: str) -> int:
    """The picture size a timm model was designed for."""
    config = timm.get_pretrained_cfg(name)
    return int(config.input_size[-1]) if config else 224
