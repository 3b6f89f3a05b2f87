"""Normalised knowledge distillation, and the same without a teacher."""

from __future__ import annotations

from torch import nn
from torch.nn import functional as F

from ipse.data import Samples
from ipse.errors import UserError
from ipse.losses.distillation import normalized_distillation, others_cross_entropy, self_target, zipf_labels
from ipse.models import Classifier
from ipse.models.middle import Middle
from ipse.training import Batch, Recipe, Step, Taught
from ipse.transforms import Weak, viewer


class NKD(Taught):
    """Gives the teacher's probability of the right class and, as a distribution of its own, those of the others.

        L = CE(y, s)  -  T_t log S_t  -  gamma temperature^2 sum over i != t of  T'_i log S'_i

    with the probabilities T and S of teacher and student, t the label's class, and T', S' those of the other classes alone, softened.
    The authors take gamma 1.5 and temperature 1 on ImageNet.

    Yang et al., ICCV 2023, arXiv:2303.13005
    """

    sees = Weak(labelled=1.0)
    recipe = Recipe("sgd", lr=0.1, weight_decay=1e-4)
    needs_labels = True
    terms = ("task", "distillation")

    def __init__(self, model: Classifier, teacher: nn.Module, *, gamma: float = 1.5, temperature: float = 1.0):
        super().__init__(model)
        self.teacher, self.gamma, self.temperature = teacher, gamma, temperature

    def loss(self, batch: Batch) -> Step:
        (x,) = batch
        scores = self.model(x)
        task = F.cross_entropy(scores.float(), batch.y)
        distillation = normalized_distillation(scores, self.teacher(x), batch.y, self.gamma, self.temperature)
        return Step(task + distillation, logits=scores, terms={"task": task, "distillation": distillation})


class USKD(Taught):
    """Makes soft labels of its own: surer samples count more, and the other classes follow Zipf's law by their rank.

        L = CE(y, s)  -  alpha P log S_t  -  beta sum over i != t of  Z_i log S'_i  +  mu CE(smoothed y, w)
        P = S_t^2 + 1 - mean over the batch of S_t^2,    Z_i in proportion to 1 / rank of  W_i / (1 - W_t) + S_i / (1 - S_t)

    w are the scores of a weak head, linear on features from the middle of the encoder (stage 3 of a ResNet, the mean over the places), with
    labels smoothed by 0.1; it is not kept. The defaults are those of ImageNet; on CIFAR-100 the authors take 0.1 for all three.
    Views here have one label each, so the paper's labels for mixtures of two samples do not come up.

    Yang et al., ICCV 2023, arXiv:2303.13005
    """

    sees = Weak(labelled=1.0)
    recipe = Recipe("sgd", lr=0.1, weight_decay=1e-4)
    needs_labels = True
    needs_teacher = False
    terms = ("task", "distillation")
    middle: Middle
    weak: nn.Linear

    def __init__(self, model: Classifier, *, alpha: float = 1.0, beta: float = 0.1, mu: float = 0.005):
        super().__init__(model)
        self.alpha, self.beta, self.mu = alpha, beta, mu

    def prepare(self, samples: Samples) -> None:
        if len(self.model.classes) < 2:
            raise UserError("uskd ranks the classes other than the label's, and there are none: label another class too")
        x = viewer(self.model.form).original(samples.read([0, len(samples) - 1])).x
        self.middle = Middle(self.encoder, x)
        self.weak = nn.Linear(self.middle.width, len(self.model.classes))

    def loss(self, batch: Batch) -> Step:
        (x,) = batch
        scores = self.model(x)
        guess = self.weak(self.middle.features(len(x)))
        labels = zipf_labels(scores, guess, batch.y)
        task = F.cross_entropy(scores.float(), batch.y)
        target = self.alpha * self_target(scores, batch.y)
        rest = self.beta * others_cross_entropy(scores, batch.y, labels)
        weak = self.mu * F.cross_entropy(guess.float(), batch.y, label_smoothing=0.1)
        distillation = target + rest + weak
        return Step(task + distillation, logits=scores, terms={"task": task, "distillation": distillation})
