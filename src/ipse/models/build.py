"""Encoders by name."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from ipse.errors import UserError, unknown
from ipse.models.conv import SmallConv
from ipse.models.encoder import Encoder
from ipse.models.vit import SmallViT

_OWN: dict[str, Callable[..., Encoder]] = {
    "small_conv": SmallConv,
    "small_vit": SmallViT,
    "tiny_vit": partial(SmallViT, width=96, depth=4, heads=3),
}


def known() -> list[str]:
    """The names of our own encoders; every model name of timm is one too."""
    return sorted(_OWN)


def create(name: str, channels: int = 3, size: int = 32, pretrained: bool = False, **options: Any) -> Encoder:
    """Builds an encoder by name: one of our own, or any of timm's (`resnet18`, `vit_tiny_patch16_224`).

    pretrained loads timm's weights, from a local file or its hub. Raises UserError for names that nobody knows and sizes that
    the model does not take.
    """
    if name in _OWN:
        if pretrained:
            raise UserError(f"encoder {name!r} has no pretrained weights; give a run folder or a timm model name")
        return _OWN[name](channels=channels, size=size, **options)
    from ipse.models.timm_door import TimmEncoder, timm_names

    if name.split(".")[0] not in timm_names():
        raise unknown("encoder", name, [*_OWN, *timm_names()])
    return TimmEncoder(name, channels=channels, size=size, pretrained=pretrained, **options)


def usual_size(name: str) -> int | None:
    """The picture size that a timm model was designed for; None for our own encoders, which follow the data.

    Raises UserError for names that nobody knows.
    """
    if name in _OWN:
        return None
    from ipse.models.timm_door import default_size, timm_names

    if name.split(".")[0] not in timm_names():
        raise unknown("encoder", name, [*_OWN, *timm_names()])
    return default_size(name)
