"""What an encoder is."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from ipse.data import Form
from ipse.errors import UserError


class Encoder(nn.Module):
    """Turns a batch of samples of one form into embeddings.

    form: what the samples are (`ipse.data.form`): pictures, audio, series or rows of a table; x is NaN where nothing is known of a
    sample, which only pictures never have.  forward: x (B, ...) to (B, dim). Encoders with places (of a grid, frames, patches,
    columns) also have `dense`: to (B, N, width), in their order, where width is dim unless the model (of timm's) has a hidden
    layer behind its pooling; transformers also `tokens`: to (B, N, width), position included, and `blocks`: (B, any N, width) to
    the same shape, so that a part of the tokens can be left out. blocks(tokens(x)) is dense(x).
    """

    name: str
    dim: int
    form: Form

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
        """What `create` needs, beside the name and the form, to build this encoder again."""
        return {}
