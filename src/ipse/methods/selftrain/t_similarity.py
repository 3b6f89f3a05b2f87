"""Self-training with the agreement of diverse heads."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ipse.losses.agreement import classwise_t_similarity, t_similarity
from ipse.losses.means import mean_where
from ipse.losses.pseudo_labels import labelled
from ipse.methods.selftrain.policies import above, least_error, surest
from ipse.methods.selftrain.rounds import InRounds, predicted
from ipse.models import Classifier
from ipse.training import Batch, Recipe, Step
from ipse.training.method import Data
from ipse.transforms import Original


class TSimilarity(InRounds):
    """Labels the samples on which heads agree that were taught to disagree where there are no labels.

        L = CE(y, h) + mean over heads of CE(y, h_i) + gamma * mean over unlabelled u of s(u)

    h is the classifier's head; the M heads h_i read the same features, and their losses do not reach the encoder. s is their
    T-similarity (`ipse.losses.agreement`). After each round the samples that the policy takes are labelled by h and count as labelled
    from then on, and everything is learned anew; `relabellings` times at most.

    confidence: what the policy goes by, the T-similarity or the usual greatest probability of h ("softmax", the paper's baseline).
    policy: "threshold" takes those above `threshold`; "curriculum" the surest `growth`, 2 `growth`, ... of those left;
    "bound" those above thresholds that minimise a bound on their errors (`methods.selftrain.policies`).

    Odonnat, Feofanov, Redko, AISTATS 2024, arXiv:2310.14814
    """

    sees = Original(labelled=0.5)
    recipe = Recipe(lr=4e-3, weight_decay=0.0, warmup=0.0)  # 1e-3 at 32 labelled and 32 unlabelled samples

    def __init__(
        self,
        model: Classifier,
        *,
        heads: int = 5,
        gamma: float = 1.0,
        confidence: Literal["t-similarity", "softmax"] = "t-similarity",
        policy: Literal["threshold", "curriculum", "bound"] = "curriculum",
        threshold: float = 0.8,
        growth: float = 0.2,
        relabellings: int = 5,
    ):
        super().__init__(model)
        self.gamma, self.by, self.policy = gamma, confidence, policy
        self.threshold, self.growth = threshold, growth
        self.heads = nn.ModuleList(nn.Linear(model.encoder.dim, len(model.classes)) for _ in range(heads))
        self.rounds = 1 + relabellings

    def loss(self, batch: Batch) -> Step:
        (x,) = batch
        f = self.model.features(x)
        scores, votes, has = self.model.head(f), self.votes(f), batch.y >= 0
        own = labelled(scores, batch.y, has)
        theirs = torch.stack([labelled(vote, batch.y, has) for vote in votes]).mean()
        agreement = mean_where(t_similarity(votes), ~has)
        terms = {"classes": own, "heads": theirs, "agreement": agreement}
        return Step(own + theirs + self.gamma * agreement, h=(f,), logits=scores, terms=terms)

    def votes(self, features: Tensor) -> Tensor:
        """The scores of every head, (M, B, K), of features (B, dim) that are not told."""
        return torch.stack([head(features.detach()) for head in self.heads])

    @torch.no_grad()
    def confidence(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """The label (B,) that h gives to samples x (B, ...), and how much the heads agree, from 0 to 1, (B,)."""
        f = self.model.features(x)
        return self.model.head(f).argmax(1), t_similarity(self.votes(f))

    def relabel(self, round: int, data: Data) -> None:
        left = (self.labels < 0).cpu()
        if not left.any():
            return
        every = predicted(_AllScores(self), data)[left].movedim(1, 0)
        scores, votes = every[0], every[1:]
        label = scores.argmax(1)
        by_class = classwise_t_similarity(votes) if self.by == "t-similarity" else F.softmax(scores, 1)
        sureness = by_class.sum(1) if self.by == "t-similarity" else by_class.max(1).values
        if self.policy == "bound":
            taken = least_error(by_class, label)
        elif self.policy == "curriculum":
            taken = surest(sureness, self.growth * round)
        else:
            taken = above(sureness, self.threshold)
        places = left.nonzero()[:, 0][taken]
        self.labels[places.to(self.labels.device)] = label[taken].to(self.labels.device)


class _AllScores(nn.Module):
    """The scores of the classifier's head and, after it, of the others: x to (B, 1 + M, K)."""

    def __init__(self, method: TSimilarity):
        super().__init__()
        self.method = method

    def forward(self, x: Tensor) -> Tensor:
        f = self.method.model.features(x)
        return torch.stack([self.method.model.head(f), *self.method.votes(f)], dim=1)
