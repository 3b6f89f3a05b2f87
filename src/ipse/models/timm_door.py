"""The door to timm: every model name there is an encoder here."""

from __future__ import annotations

from functools import cache
from typing import Any

import timm
import torch
from timm.data.imagenet_info import ImageNetInfo
from torch import Tensor, nn

from ipse.data import Form
from ipse.data.form import image
from ipse.errors import UserError, first_line, unknown
from ipse.models.encoder import Encoder


@cache
def timm_names() -> frozenset[str]:
    """The architectures that timm knows."""
    return frozenset(timm.list_models())


class TimmEncoder(Encoder):
    """A timm model without its classifier: (B, C, S, S) in [-1, 1] to (B, dim), normalised as the model's weights expect."""

    model: Any
    scale: Tensor
    offset: Tensor

    def __init__(self, name: str, form: Form, pretrained: bool = False):
        super().__init__()
        self.name, self.form = name, form
        channels, size = form["channels"], form["size"]
        try:
            self.model = self._build(name, channels, size, pretrained)
            # The one sure way to the width of the output, and to whether the model takes this size at all.
            with torch.no_grad():
                self.dim = int(self.model.eval()(torch.zeros(1, channels, size, size)).shape[1])
        except Exception as e:
            raise UserError(f"timm cannot build encoder {name!r} for {size} px: {first_line(e)}") from e
        self.model.train()
        mean, std = (torch.tensor(self.model.pretrained_cfg.get(k) or (0.5,) * 3) for k in ("mean", "std"))
        if channels != 3:
            mean, std = mean.mean().expand(channels), std.mean().expand(channels)
        self.register_buffer("scale", (0.5 / std).view(-1, 1, 1).clone(), persistent=False)
        self.register_buffer("offset", ((0.5 - mean) / std).view(-1, 1, 1).clone(), persistent=False)

    @staticmethod
    def _build(name: str, channels: int, size: int, pretrained: bool) -> Any:
        arguments: dict[str, Any] = {"pretrained": pretrained, "in_chans": channels, "num_classes": 0}
        try:
            return timm.create_model(name, img_size=size, **arguments)
        except TypeError:  # convolutional models take any size and no img_size
            return timm.create_model(name, **arguments)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.model(self._normalise(x))
        return out

    def dense(self, x: Tensor) -> Tensor:
        y = self.model.forward_features(self._normalise(x))
        if not isinstance(y, Tensor):
            return super().dense(x)
        if y.dim() == 4:
            channels_last = y.shape[-1] == self.model.num_features and y.shape[1] != self.model.num_features
            return y.flatten(1, 2) if channels_last else y.flatten(2).transpose(1, 2)
        return y[:, getattr(self.model, "num_prefix_tokens", 0) :]

    def tokens(self, x: Tensor) -> Tensor:
        if not self.has_tokens:
            return super().tokens(x)
        tokens: Tensor = self.model.patch_embed(self._normalise(x))
        if tokens.dim() == 4:
            tokens = tokens.flatten(1, 2)
        positions = self.model.pos_embed
        return tokens if positions is None else torch.add(tokens, positions[:, -tokens.shape[1] :])

    def blocks(self, tokens: Tensor) -> Tensor:
        if not self.has_tokens:
            return super().blocks(tokens)
        model = self.model
        own = [token for name in ("cls_token", "dist_token", "reg_token") if (token := getattr(model, name, None)) is not None]
        n = sum(token.shape[1] for token in own)  # they stand for no place
        if own:
            prefix = torch.cat(own, dim=1)
            if model.pos_embed is not None and not model.no_embed_class:
                prefix = prefix + model.pos_embed[:, :n]
            tokens = torch.cat([prefix.expand(len(tokens), -1, -1), tokens], dim=1)
        out: Tensor = model.norm(model.blocks(model.norm_pre(tokens)))
        return out[:, n:]

    def patches(self, x: Tensor) -> Tensor:
        """The pixels of each patch: (B, C, S, S) to (B, N, C * patch * patch); a margin too small for a patch is left out."""
        p: int = self.model.patch_embed.patch_size[0]
        b, c, n = len(x), x.shape[1], x.shape[2] // p
        x = x[:, :, : n * p, : n * p]
        return x.reshape(b, c, n, p, n, p).permute(0, 2, 4, 1, 3, 5).reshape(b, n * n, c * p * p)

    @property
    def has_tokens(self) -> bool:
        from timm.layers.patch_embed import PatchEmbed
        from timm.models.vision_transformer import VisionTransformer

        return isinstance(self.model, VisionTransformer) and type(self.model.patch_embed) is PatchEmbed

    def _normalise(self, x: Tensor) -> Tensor:
        return torch.addcmul(self.offset, x, self.scale)


class TimmClassifier(nn.Module):
    """A timm model with its own classes: (B, 3, S, S) in [-1, 1] to scores (B, K), normalised as its weights expect.

    classes: the names of ImageNet's, where it was trained on those, else numbers. Raises UserError for names that nobody knows
    and where the weights cannot be had.
    """

    model: Any
    scale: Tensor
    offset: Tensor

    def __init__(self, name: str, pretrained: bool = True):
        super().__init__()
        if name.split(".")[0] not in timm_names():
            raise unknown("model", name, timm_names())
        self.form = image(3, default_size(name))
        try:
            self.model = timm.create_model(name, pretrained=pretrained)
        except Exception as e:
            raise UserError(f"timm cannot build {name!r}: {first_line(e)}") from e
        mean, std = (torch.tensor(self.model.pretrained_cfg.get(k) or (0.5,) * 3) for k in ("mean", "std"))
        self.register_buffer("scale", (0.5 / std).view(-1, 1, 1).clone(), persistent=False)
        self.register_buffer("offset", ((0.5 - mean) / std).view(-1, 1, 1).clone(), persistent=False)
        info = ImageNetInfo() if self.model.num_classes == 1000 else None
        names = info.label_descriptions() if info else range(self.model.num_classes)
        self.classes = tuple(str(name) for name in names)

    def forward(self, x: Tensor) -> Tensor:
        scores: Tensor = self.model(torch.addcmul(self.offset, x, self.scale))
        return scores


def default_size(name: str) -> int:
    """The picture size a timm model was designed for; raises UserError for weights of it that nobody knows."""
    try:
        config = timm.get_pretrained_cfg(name)
    except RuntimeError as e:
        raise unknown("encoder", name, timm.list_pretrained(f"{name.split('.')[0]}.*")) from e
    return int(config.input_size[-1]) if config else 224
