"""Test-time self-learning with adversarial augmentation."""

from __future__ import annotations

from itertools import combinations

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim import Adam

from ipse import losses, randomness
from ipse.methods.adapt.adapter import Adapter
from ipse.methods.adapt.parts import features_and_logits, head_of, norm_inputs, use_batch_statistics
from ipse.models import EMA
from ipse.transforms import differentiable
from ipse.transforms.jitter import weak_view


class TeSLA(Adapter):
    """Learns from its average's soft labels while an augmentation learns what that average is unsure of.

    For each batch x, with y the mean of the teacher's probabilities over `views` weak views:

        L = -mean_b sum_k p_bk log y_bk  +  sum_k m_k log m_k          p = student(weak view), m = its mean over the batch
            + hard KL(y || student(x_hard))
        teacher <- decay teacher + (1 - decay) student

    x_hard: each picture under one of 91 pairs of operations (`transforms.differentiable`), drawn from softmax(choice), with strengths
    sigmoid(strength). Before that, pairs drawn evenly teach both by Adam at `policy_lr`:

        J_b = -H(teacher(augmented x_b)) + norm mean over normalisations of |mean of the activations, augmented - plain|^2 / channels
        strength: down the gradient of mean_b J_b;      choice: down that of mean_b stopped(J_b) log softmax(choice)_b

    The layer at the end stands still, all else moves; batch normalisation sees the batch's statistics. The answer is the teacher's
    of the plain picture, after the step. neighbours, queue: with a queue of 256 per class, y is the mean of the probabilities of the
    nearest features in it, which the paper leaves off for small pictures in one pass.

    The choice is reset with the adapter. For online use; the paper's many epochs take decay 0.999 and the queue.

    Tomar, Vray, Bozorgtabar, Thiran; CVPR 2023, arXiv:2303.09870
    """

    modalities = ("image",)
    kept: Tensor
    kept_features: Tensor
    kept_labels: Tensor
    resets = "segment"

    def __init__(
        self,
        model: nn.Module,
        *,
        lr: float = 1e-3,
        decay: float = 0.99,
        views: int = 4,
        hard: float = 1.0,
        norm: float = 1.0,
        policy_lr: float = 0.1,
        queue: int = 0,
        neighbours: int = 1,
    ):
        super().__init__(model)
        use_batch_statistics(self.model)
        self.teacher = EMA(self.model)
        self.decay, self.views, self.hard, self.norm = decay, views, hard, norm
        self.queue, self.neighbours = queue, neighbours
        self.pairs = list(combinations(differentiable.NAMES, 2))
        self.choice = nn.Parameter(torch.zeros(len(self.pairs)))
        self.strength = nn.Parameter(torch.zeros(len(self.pairs), 2))
        still = {id(p) for p in head_of(self.model).parameters()}
        self.moves({n: p for n, p in self.model.named_parameters() if id(p) not in still}, Adam, lr=lr)
        self.moves({"choice": self.choice, "strength": self.strength}, Adam, "policy", lr=policy_lr)
        if queue:
            width, classes = head_of(self.model).in_features, head_of(self.model).out_features
            self.register_buffer("kept_features", torch.zeros(classes, queue, width))
            self.register_buffer("kept_labels", torch.zeros(classes, queue, classes))
            self.register_buffer("kept", torch.zeros(classes, dtype=torch.int64))

    def adapt(self, x: Tensor) -> Tensor:
        key, position = randomness.key(self.seed, "tesla"), self.position(x)
        x_hard = self._adversarial(x, key, position) if self.hard else x
        weak = [weak_view(x, "image", randomness.key(key, i), position) for i in range(self.views)]
        y = self._labels(weak)
        p = self.model(weak[int(randomness.bits(randomness.key(key, "which"), self.seen[None], 1)) % self.views])
        loss = losses.reversed_cross_entropy(p, y) + losses.negative_marginal_entropy(p)
        if self.hard:
            loss = loss + self.hard * (F.cross_entropy(self.model(x_hard).float(), y) - _entropy(y).mean())
        self.step(loss)
        self.teacher.update(self.model, self.decay)
        return self.teacher(x)  # type: ignore[no-any-return]

    def _labels(self, weak: list[Tensor]) -> Tensor:
        """The teacher's soft labels (B, K)."""
        with torch.no_grad():
            pairs = [features_and_logits(self.teacher.teacher, view) for view in weak]
        y = torch.stack([logits.float().softmax(1) for _, logits in pairs]).mean(0)
        return self._refined(torch.stack([f.float() for f, _ in pairs]).mean(0), y) if self.queue else y

    @torch.no_grad()
    def _refined(self, features: Tensor, y: Tensor) -> Tensor:
        """Puts features and labels into the queues of their classes, and gives the mean label of the nearest ones there."""
        for f, label in zip(features, y, strict=True):
            c = int(label.argmax())
            place = int(self.kept[c]) % self.queue
            self.kept_features[c, place], self.kept_labels[c, place] = f, label
            self.kept[c] += 1
        filled = torch.arange(self.queue, device=y.device) < self.kept[:, None]
        similarity = F.normalize(features, dim=1) @ F.normalize(self.kept_features[filled], dim=1).T
        nearest = similarity.topk(min(self.neighbours, similarity.shape[1]), dim=1).indices
        return self.kept_labels[filled][nearest].mean(1)

    def _adversarial(self, x: Tensor, key: int, position: Tensor) -> Tensor:
        """Teaches the augmentation, and gives the pictures that it then makes."""
        even = randomness.uniform(randomness.key(key, "even"), position, 1)[:, 0]
        with torch.no_grad(), norm_inputs(self.teacher.teacher) as plain:
            self.teacher.teacher(x)
        pair = (even * len(self.pairs)).long()
        with norm_inputs(self.teacher.teacher) as seen:
            unsure = _entropy(self.teacher.teacher(self._augmented(x, pair, randomness.key(key, "sign"), position)).softmax(1))
        moved = [(_places(a) - _places(b)).square().mean(1) for a, b in zip(seen, plain, strict=True)]
        cost = -unsure + self.norm * (torch.stack(moved).mean(0) if moved else 0.0)
        chosen = self.choice.log_softmax(0)[pair]
        self.step(cost.mean() + (cost.detach() * chosen).mean(), "policy")
        with torch.no_grad():
            u = randomness.uniform(randomness.key(key, "choice"), position, 1)[:, 0]
            pair = torch.searchsorted(self.choice.softmax(0).cumsum(0), u).clamp(max=len(self.pairs) - 1)
            return self._augmented(x, pair, randomness.key(key, "hard sign"), position)

    def _augmented(self, x: Tensor, pair: Tensor, key: int, position: Tensor) -> Tensor:
        """Each picture under its pair of operations, in [-1, 1] as x."""
        y, strength = (x + 1) / 2, self.strength.sigmoid()[pair]
        sign = 2.0 * (randomness.uniform(key, position, 2) < 0.5) - 1
        for turn in range(2):
            name = [self.pairs[p][turn] for p in pair.tolist()]
            parts = torch.zeros_like(y)
            for each in sorted(set(name)):
                rows = torch.tensor([i for i, n in enumerate(name) if n == each], device=x.device)
                made = differentiable.apply(y[rows], each, strength[rows, turn], sign[rows, turn])
                parts = parts.index_copy(0, rows, made.to(y.dtype))
            y = parts
        return 2 * y - 1

    def predict(self, x: Tensor) -> Tensor:
        return self.teacher(x)  # type: ignore[no-any-return]


def _entropy(p: Tensor) -> Tensor:
    """Of each row of probabilities, (B,)."""
    return -(p * (p + 1e-8).log()).sum(1)


def _places(x: Tensor) -> Tensor:
    """The mean over places of what a normalisation reads: (B, C) of (B, C, H, W) or, of tokens (B, N, C), over those."""
    if x.dim() == 4:
        return x.mean((2, 3))
    return x.mean(1) if x.dim() == 3 else x
