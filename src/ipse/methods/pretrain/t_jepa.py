"""Joint-embedding prediction for tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ipse import randomness
from ipse.errors import UserError
from ipse.models import EMA, Encoder
from ipse.models.ema import risen
from ipse.models.tokens import Block, positions, tokens_at
from ipse.training import Batch, Method, Recipe, Step
from ipse.transforms import Original


class TJEPA(Method):
    """Predicts a teacher's representation of some columns of a row from the other columns, without any augmentation.

        L = mean over rows, `targets` sets of columns, and features of  (predictor(encoder(context), columns) - teacher(row))^2

    context, target: how many columns are seen, and predicted, as shares (from, to) of all; both numbers are drawn once for a
    batch, the columns for each row: context and targets never overlap, targets may. The encoder's register token is always seen
    and never predicted (the released code lets it be either and never uses the last column). The teacher sees the whole row; its
    decay rises from `decay` to 1 in a line, and its weights are what is left in the encoder at the end of a run. The paper's
    features of a row are `encoder.dense(x).flatten(1)`; `encoder(x)` is their mean over columns. The term `variance`, of the
    teacher's features over rows, tells of a collapse: it goes to 0.

    Thimonier et al., ICLR 2025, arXiv:2410.05016
    """

    sees = Original()
    recipe = Recipe(lr=4e-4, weight_decay=0.0, warmup=0.05)
    modalities = ("table",)
    needs_tokens = True
    usual_encoder = "ft_transformer"
    encoder_options: ClassVar[Mapping[str, Any]] = {"pool": "register"}
    place: Tensor

    def __init__(
        self,
        encoder: Encoder,
        *,
        context: Sequence[float] = (0.14, 0.37),
        target: Sequence[float] = (0.16, 0.62),
        targets: int = 4,
        decay: float = 0.996,
        width: int = 64,
        depth: int = 4,
        heads: int = 4,
    ):
        super().__init__(encoder)
        columns = len(encoder.form["columns"])
        if columns < 2:
            raise UserError("t-jepa predicts columns from other columns: the table needs 2 or more, it has 1")
        self.teacher = EMA(encoder)
        self.adapt, self.restore = nn.Linear(encoder.dim, width), nn.Linear(width, encoder.dim)
        self.hidden_token = nn.Parameter(torch.empty(1, 1, width).normal_(std=0.02))
        self.register_buffer("place", positions(encoder.form, columns, width), persistent=False)
        self.predictor = nn.Sequential(*(Block(width, heads) for _ in range(depth)), nn.LayerNorm(width))
        self.context, self.target, self.targets, self.decay = bounds(context, columns), bounds(target, columns), targets, decay

    def sizes(self, batch: Batch) -> tuple[int, int]:
        """How many columns are seen and how many predicted, in one batch on all processes."""
        n = len(self.encoder.form["columns"])
        u = randomness.uniform(randomness.key(batch.seed, "sizes"), torch.tensor([batch.step]), 64)[0].view(-1, 2)
        for pair in u.tolist():
            seen, predicted = (
                low + round((high - low) * share) for (low, high), share in zip((self.context, self.target), pair, strict=True)
            )
            if seen + predicted <= n:
                return seen, predicted
        seen = min(self.context[0], n - 1)
        return seen, min(self.target[0], n - seen)

    def masks(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """The columns that are seen, (B, n), and those that are predicted, (targets, B, m), of each row."""
        seen, predicted = self.sizes(batch)
        order = batch.uniform("columns", len(self.encoder.form["columns"])).argsort(dim=1)
        rest = order[:, seen:]
        picked = [batch.uniform(f"target {i}", rest.shape[1]).argsort(dim=1)[:, :predicted] for i in range(self.targets)]
        return order[:, :seen], torch.stack([rest.gather(1, p) for p in picked])

    def loss(self, batch: Batch) -> Step:
        (x,) = batch
        seen, hidden = self.masks(batch)
        with torch.no_grad():
            whole: Tensor = self.teacher.teacher.dense(x)  # type: ignore[operator]
        h = self.encoder.blocks(tokens_at(self.encoder.tokens(x), seen))
        known = self.adapt(h) + self.place[seen]
        asked = (self.hidden_token + self.place[hidden]).to(known.dtype).flatten(0, 1)  # (targets * B, m, width)
        both = self.predictor(torch.cat([known.repeat(self.targets, 1, 1), asked], dim=1))
        prediction = self.restore(both[:, seen.shape[1] :])
        answer = torch.cat([tokens_at(whole, columns) for columns in hidden])
        pooled = h.mean(dim=1)
        variance = whole.float().var(dim=0, correction=0).mean()
        return Step(F.mse_loss(prediction.float(), answer.float()), z=(pooled,), h=(pooled,), terms={"variance": variance})

    def after_step(self, batch: Batch) -> None:
        self.teacher.update(self.encoder, risen(self.decay, 1.0, batch.progress))
        if batch.step + 1 == batch.steps:
            self.teacher.hand_over(self.encoder)


def bounds(shares: Sequence[float], columns: int) -> tuple[int, int]:
    """The least and the largest number of columns for two shares of them, at least 1; raises UserError for other shares."""
    if len(shares) != 2 or not 0 <= shares[0] <= shares[1] < 1:
        raise UserError(f"t-jepa takes two shares of the columns, for example [0.14, 0.37], not {list(shares)}")
    low, high = (min(max(1, round(share * columns)), columns - 1) for share in shares)
    return low, high
