"""Dynamic corrective self-distillation."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ipse.data import Samples
from ipse.errors import UserError
from ipse.losses.distillation import softened_kl
from ipse.losses.means import mean_where
from ipse.models import Classifier
from ipse.training import Batch, Recipe, Step, Taught
from ipse.training.method import Data
from ipse.transforms import Weak


class DCS(Taught):
    """Learns from labels and a teacher of its own kind, and harder from the samples on which the two disagree, as boosting does.

        L = mean over the batch of  n w_i [ (1 - imitation) CE(y_i, s_i) + imitation T^2 KL(softmax(t_i / T) || softmax(s_i / T)) ]

    with the temperature T and weights w that begin at 1 / n for n samples and are set anew (`reweighted`) before each of the `rounds`
    but the first, by whether student and teacher name the same class. Teacher and student begin with the same pre-trained
    encoder; the teacher has learned the labels. Samples without a label have the second term alone.

    Amara, Jain, Chadha, 2023, arXiv:2312.07028. The paper has no code and was known from its abstract: how weights are updated
    is reconstructed after AdaBoost for several classes (SAMME), and so are `imitation`, `temperature`, `shrinkage` and `cap`.
    """

    sees = Weak()
    recipe = Recipe(lr=1e-3, weight_decay=0.01)
    terms = ("task", "distillation")
    weights: Tensor

    def __init__(
        self,
        model: Classifier,
        teacher: nn.Module,
        *,
        imitation: float = 0.5,
        temperature: float = 2.0,
        rounds: int = 5,
        shrinkage: float = 1.0,
        cap: float = 20.0,
    ):
        super().__init__(model)
        if not (rounds >= 1 and 0 <= shrinkage <= 1 and cap >= 1):
            raise UserError(
                f"dcs-finetuning needs rounds and cap of at least 1 and shrinkage from 0 to 1, given {rounds}, {cap} and {shrinkage}"
            )
        self.teacher, self.imitation, self.temperature = teacher, imitation, temperature
        self.rounds, self.shrinkage, self.cap = rounds, shrinkage, cap

    def prepare(self, samples: Samples) -> None:
        self.register_buffer("weights", torch.full((len(samples),), 1 / len(samples)))

    @torch.no_grad()
    def before_round(self, round: int, data: Data) -> None:
        if round == 0:
            return
        training = self.training
        self.eval()
        discordant = torch.zeros_like(self.weights, dtype=torch.bool)
        for index, x in data.everything():
            discordant[index] = self.model(x).argmax(1) != self.teacher(x).argmax(1)
        self.train(training)
        self.weights.copy_(reweighted(self.weights, discordant, len(self.model.classes), self.shrinkage, self.cap))

    def loss(self, batch: Batch) -> Step:
        (x,) = batch
        scores, weight = self.model(x), len(self.weights) * self.weights[batch.index]
        each = F.cross_entropy(scores.float(), batch.y.clamp_min(0), reduction="none")
        task = (1 - self.imitation) * mean_where(weight * each, batch.y >= 0)
        distillation = self.imitation * softened_kl(scores, self.teacher(x), self.temperature, weight)
        return Step(task + distillation, logits=scores, terms={"task": task, "distillation": distillation})


def reweighted(weights: Tensor, discordant: Tensor, classes: int, shrinkage: float = 1.0, cap: float = math.inf) -> Tensor:
    """The weights (n,), which add up to 1, after those of the discordant samples (n,) bool have grown.

        w_i <- w_i exp(shrinkage beta) where discordant,    beta = log((1 - e) / e) + log(K - 1),    e = sum of w_i where discordant

    with K `classes`. Nothing changes where none is discordant, or as many as by chance (e >= 1 - 1 / K). The largest is at most `cap` times the smallest.

    Zhu et al., Statistics and Its Interface 2009 (SAMME)

    >>> [round(w, 4) for w in reweighted(torch.full((4,), 0.25), torch.tensor([True, False, False, False]), classes=2).tolist()]
    [0.5, 0.1667, 0.1667, 0.1667]
    """
    error = weights[discordant].double().sum().item()
    if not 0 < error < 1 - 1 / classes:
        return weights
    beta = math.log((1 - error) / max(error, 1e-6)) + math.log(classes - 1)
    grown = torch.where(discordant, weights * math.exp(shrinkage * beta), weights)
    grown = grown.clamp_max(cap * grown.min())
    return grown / grown.sum()
