"""Encoders by name."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from ipse.data import Form
from ipse.errors import UserError, unknown
from ipse.models.conv import SmallConv
from ipse.models.dilated_conv import DilatedConv
from ipse.models.encoder import Encoder
from ipse.models.patch_transformer import PatchTransformer
from ipse.models.recurrent import MelGRU, WaveLSTM
from ipse.models.speech import MelConv, MelTransformer, WaveTransformer
from ipse.models.tabular import FTTransformer, TableMLP
from ipse.models.unet_encoder import UNetEncoder
from ipse.models.vit import SmallViT


class _Own(NamedTuple):
    modality: str
    build: Callable[..., Encoder]


_OWN = {
    "small_conv": _Own("image", SmallConv),
    "small_vit": _Own("image", SmallViT),
    "tiny_vit": _Own("image", partial(SmallViT, width=96, depth=4, heads=3)),
    "unet": _Own("image", UNetEncoder),
    "mel_conv": _Own("audio", MelConv),
    "mel_transformer": _Own("audio", MelTransformer),
    "mel_gru": _Own("audio", MelGRU),
    "wave_lstm": _Own("audio", WaveLSTM),
    "wave_transformer": _Own("audio", WaveTransformer),
    "dilated_conv": _Own("series", DilatedConv),
    "patch_transformer": _Own("series", PatchTransformer),
    "table_mlp": _Own("table", TableMLP),
    "ft_transformer": _Own("table", FTTransformer),
}
_USUAL = {  # of each modality, and where a transformer is wanted
    "image": ("small_conv", "small_vit"),
    "audio": ("mel_conv", "mel_transformer"),
    "series": ("dilated_conv", "patch_transformer"),
    "table": ("table_mlp", "ft_transformer"),
}


def known(modality: str | None = None) -> list[str]:
    """The names of our own encoders, of one modality or all; every model name of timm is one of pictures too."""
    return sorted(name for name, own in _OWN.items() if modality in (None, own.modality))


def usual(modality: str, *, transformer: bool = False) -> str:
    """The encoder that is taken for a modality when none is named."""
    return _USUAL[modality][transformer]


def create(name: str, form: Form, pretrained: bool = False, **options: Any) -> Encoder:
    """Builds an encoder for samples of a form, by name: one of our own, or any of timm's (`resnet18`, `vit_tiny_patch16_224`).

    pretrained loads timm's weights, from a local file or its hub. Raises UserError for names that nobody knows, encoders of
    another modality, and sizes that the model does not take.
    """
    modality = form["modality"]
    if name in _OWN:
        if pretrained:
            raise UserError(f"encoder {name!r} has no pretrained weights; give a run folder or a timm model name")
        if _OWN[name].modality != modality:
            raise UserError(
                f"encoder {name!r} is for {_OWN[name].modality} data; for {modality} there are {', '.join(known(modality))}"
            )
        return _OWN[name].build(form, **options)
    if modality == "audio" and ("/" in name or Path(name).is_dir() or "config" in options):
        from ipse.models.transformers_door import TransformersEncoder

        return TransformersEncoder(name, form, pretrained=pretrained, **options)
    if modality != "image":
        raise unknown(f"encoder for {modality} data", name, known(modality))
    _check_known_to_timm(name)
    from ipse.models.timm_door import TimmEncoder

    return TimmEncoder(name, form, pretrained=pretrained, **options)


def usual_size(name: str) -> int | None:
    """The picture size that a timm model was designed for; None for our own encoders and speech models, which follow the data.

    Raises UserError for names that nobody knows.
    """
    if name in _OWN or "/" in name or (name and Path(name).is_dir()):
        return None
    _check_known_to_timm(name)
    from ipse.models.timm_door import default_size

    return default_size(name)


def _check_known_to_timm(name: str) -> None:
    from ipse.models.timm_door import timm_names

    if name.split(".")[0] not in timm_names():
        raise unknown("encoder", name, [*_OWN, *timm_names()])
