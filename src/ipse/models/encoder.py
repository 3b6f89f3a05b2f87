"""What an encoder is, where encoders come from, and how they are kept on disk."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from ipse.errors import UserError, unknown


class Encoder(nn.Module):
    """Turns a batch of pictures into embeddings.

    forward: (B, channels, size, size) in [-1, 1] to (B, dim). Encoders with places also have `dense`: to (B, N, width) of the
    last grid, row by row, where width is dim unless the model (of timm's) has a hidden layer behind its pooling; transformers
    also `tokens`: to (B, N, width), position included, and `blocks`: (B, any N, width) to the same shape, so that a part of the
    tokens can be left out. blocks(tokens(x)) is dense(x).
    """

    name: str
    dim: int
    channels: int
    size: int

    def dense(self, x: Tensor) -> Tensor:
        raise UserError(f"encoder {self.name!r} has no dense features; take one that has, for example small_conv or small_vit")

    def tokens(self, x: Tensor) -> Tensor:
        raise UserError(
            f"encoder {self.name!r} has no tokens; take one that has, for example small_vit or vit_tiny_patch16_224"
        )

    def blocks(self, tokens: Tensor) -> Tensor:
        raise UserError(f"encoder {self.name!r} has no transformer blocks; take one that has, for example small_vit")

    @property
    def has_tokens(self) -> bool:
        return type(self).tokens is not Encoder.tokens

    def options(self) -> dict[str, Any]:
        """What `create` needs, beside the name, to build this encoder again."""
        return {"channels": self.channels, "size": self.size}


def _own() -> dict[str, Callable[..., Encoder]]:
    from ipse.models.conv import SmallConv
    from ipse.models.vit import SmallViT

    return {"small_conv": SmallConv, "small_vit": SmallViT, "tiny_vit": partial(SmallViT, width=96, depth=4, heads=3)}


def known() -> list[str]:
    """The names of our own encoders; every model name of timm is one too."""
    return sorted(_own())


def create(name: str, channels: int = 3, size: int = 32, pretrained: bool = False, **options: Any) -> Encoder:
    """Builds an encoder by name: one of our own, or any of timm's (`resnet18`, `vit_tiny_patch16_224`).

    pretrained loads timm's weights, from a local file or its hub. Raises UserError for names that nobody knows and sizes that
    the model does not take.
    """
    if name in (own := _own()):
        if pretrained:
            raise UserError(f"encoder {name!r} has no pretrained weights; give a run folder or a timm model name")
        return own[name](channels=channels, size=size, **options)
    from ipse.models.timm_door import TimmEncoder, timm_names

    if name.split(".")[0] not in timm_names():
        raise unknown("encoder", name, [*own, *timm_names()])
    return TimmEncoder(name, channels=channels, size=size, pretrained=pretrained, **options)


def usual_size(name: str) -> int | None:
    """The picture size that a timm model was designed for; None for our own encoders, which follow the data.

    Raises UserError for names that nobody knows.
    """
    if name in (own := _own()):
        return None
    from ipse.models.timm_door import default_size, timm_names

    if name.split(".")[0] not in timm_names():
        raise unknown("encoder", name, [*own, *timm_names()])
    return default_size(name)


def save(encoder: Encoder, folder: Path) -> None:
    """Writes encoder.safetensors and encoder.json, each whole or not at all."""
    description = {"name": encoder.name, "dim": encoder.dim, **encoder.options()}
    weights, text = folder / "encoder.safetensors", folder / "encoder.json"
    tensors = {k: v.detach().cpu().contiguous() for k, v in encoder.state_dict().items()}
    write_tensors(tensors, temporary := weights.with_suffix(".part"), {"format": "pt"})
    temporary.replace(weights)
    (temporary := text.with_suffix(".part")).write_text(json.dumps(description, indent=2) + "\n")
    temporary.replace(text)


def write_tensors(tensors: dict[str, Tensor], path: Path, metadata: dict[str, str]) -> None:
    """Writes a safetensors file with the permissions of any new file; the library's own are its owner's alone."""
    path.touch()
    mode = path.stat().st_mode
    save_file(tensors, path, metadata=metadata)
    path.chmod(mode)


def load(folder: Path) -> Encoder:
    """Opens the encoder of a run folder, in evaluation mode; raises UserError where there is none or it is damaged."""
    try:
        description = json.loads((folder / "encoder.json").read_text())
        name, dim = description.pop("name"), description.pop("dim")
        with torch.random.fork_rng(devices=[]):  # its start, which is overwritten, takes no random numbers from the caller
            encoder = create(name, pretrained=False, **description)
        encoder.load_state_dict(load_file(folder / "encoder.safetensors"))
        if encoder.dim != dim:
            raise ValueError(f"dim is {dim}, but the weights give {encoder.dim}")
    except FileNotFoundError as e:
        missing = next((n for n in ("encoder.json", "encoder.safetensors") if not (folder / n).exists()), "encoder.json")
        raise UserError(f"{folder} holds no finished run: {missing} is missing") from e
    except UserError as e:
        raise UserError(f"the encoder in {folder} cannot be built: {e}") from e
    except Exception as e:
        raise UserError(f"the encoder in {folder} is damaged ({first_line(e)})") from e
    return encoder.eval()


def first_line(error: Exception) -> str:
    """What went wrong, in one short line."""
    return next(iter(str(error).splitlines()), type(error).__name__)[:120]


@torch.no_grad()
def count_parameters(module: nn.Module) -> int:
    """The number of weights of a module."""
    return sum(p.numel() for p in module.parameters())
