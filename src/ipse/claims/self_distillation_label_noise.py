"""Where half of the labels are wrong, a student does best that listens to its teacher more than wholly."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ipse.claims import Claim, pictures

if TYPE_CHECKING:
    from torch import Tensor

    from ipse.data import Samples

CLAIM = Claim(
    statement=(
        "With half of the labels wrong, a student with a weight of 1.2 on its teacher, and -0.2 on the labels, is right more often "
        "than one that learns from its teacher alone."
    ),
    setting="Linear classifiers of the pixels of Fashion-MNIST, 1,000 pictures to learn from, 5,000 to test; weight decay 4e-3 for ours, 6e-3 for the other",
    measure="accuracy on clean labels",
    unit="%",
    seeds=5,
    tried=(
        "Each arm has the weight decay, of teacher and student alike, that was the best of 1e-3, 2e-3, 4e-3, 6e-3, 1e-2, 2e-2 and 4e-2 for it on another "
        "draw of the data (seed 100: weight 1.2 reached 70.9 %, 1.5 70.7 %, 1 70.7 %, 0.5 70.3 %, a teacher alone 70.3 %). At a decay of 1e-3, which "
        "is too small for all of them, more weight was better all the way to 1.8 (63.9 % with weight 1, 67.1 % with 1.8): shown beside."
    ),
)


def run(seed: int, long: bool) -> dict[str, float]:
    from ipse.studies.self_distillation_label_noise import probes

    data = pictures("fashion-mnist", 5000 if long else 1000, 5000, seed)
    assert data.test is not None
    train, test = _features(data.train), _features(data.test)
    _, (more,) = probes(train, test, (1.2,), 0.5, 4e-3, seed)
    _, (alone,) = probes(train, test, (1.0,), 0.5, 6e-3, seed)
    teacher, _ = probes(train, test, (), 0.5, 2e-2, seed)
    _, small = probes(train, test, (1.0, 1.5), 0.5, 1e-3, seed)
    return {
        "weight 1.2": more,
        "weight 1": alone,
        "teacher, decay 2e-2": teacher,
        "weight 1.5, decay 1e-3": small[1],
        "weight 1, decay 1e-3": small[0],
    }


def _features(samples: Samples) -> tuple[Tensor, Tensor]:
    """Every second pixel each way from 0 to 1 and a constant (N, D), and labels (N,)."""
    import torch

    pixels = samples.read(range(len(samples)))["x"][..., ::2, ::2].flatten(1).double() / 255
    return torch.cat([pixels, torch.ones_like(pixels[:, :1])], dim=1), torch.from_numpy(samples.y)
