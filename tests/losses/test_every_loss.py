"""What holds for every loss and regularizer: precision, gradients, order of the batch, number of processes."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor

import ipse.errors
from ipse import losses
from ipse.regularizers.ldreg import LDReg
from ipse.regularizers.t_regs import TREG

BATCH, DIM = 12, 4
ORDER = torch.tensor([3, 7, 0, 11, 5, 1, 9, 2, 10, 4, 8, 6])
MASK = torch.tensor([[1, 0, 1], [0, 0, 1], [1, 1, 1], [0, 1, 0]] * 3).bool()  # more hidden in some rows than in others
SHUFFLED = torch.tensor([[0, 1, 2, 3], [3, 2, 1, 0], [2, 0, 3, 1]])  # other embeddings made of the same values


def rows(x: Tensor, y: Tensor) -> slice:
    """Which samples of the global batch a process holds."""
    from ipse.distributed import rank

    return slice(rank() * len(x), (rank() + 1) * len(x))


def frames(x: Tensor) -> Tensor:
    """Three frames of every sample: (B, 3, D)."""
    return x[:, torch.tensor([[0, 1, 2, 3], [3, 2, 1, 0], [3, 0, 1, 2]])]


def labels(x: Tensor, y: Tensor) -> Tensor:
    """The classes of the samples that a process holds."""
    return torch.arange(BATCH)[rows(x, y)] % DIM


OTHERS = torch.tensor([[1, 2], [0, 2], [1, 0]]).expand(BATCH, -1, -1)  # of each of three frames

# Functions of two views (B, D), each a mean over the batch.
LOSSES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "nt_xent": losses.nt_xent,
    "decoupled": losses.decoupled,
    "decoupled, weighted": lambda x, y: losses.decoupled(x, y, sigma=0.5),
    "info_nce": losses.info_nce,
    "barlow_twins": lambda x, y: losses.barlow_twins(x, y, redundancy=0.1),
    "w_mse": lambda x, y: losses.w_mse([x, y], size=6, permutation=ORDER),
    "w_mse, plain": lambda x, y: losses.w_mse([x, y], size=12, eps=0.1, normalize=False),
    "byol": lambda x, y: losses.byol(x, y),
    "moco_contrast": lambda x, y: losses.moco_contrast(x, y),
    "index_cross_entropy": lambda x, y: losses.index_cross_entropy(x, torch.arange(BATCH)[rows(x, y)] % DIM),
    "masked_mse": lambda x, y: losses.masked_mse(x[:, None].expand(-1, 3, -1), y[:, None].expand(-1, 3, -1), MASK[rows(x, y)]),
    "masked_series_mse": lambda x, y: losses.masked_series_mse(x, y, MASK[rows(x, y)][:, :1]),
    "hierarchical_contrast": lambda x, y: losses.hierarchical_contrast(x.reshape(-1, 2, 2), y.reshape(-1, 2, 2)),
    "hierarchical_contrast, valid": lambda x, y: losses.hierarchical_contrast(
        x.reshape(-1, 2, 2), y.reshape(-1, 2, 2), MASK[rows(x, y)][:, :2]
    ),
    "candidate_contrast": lambda x, y: losses.candidate_contrast(x, y[:, SHUFFLED], torch.arange(BATCH)[rows(x, y)] % 3),
    "instance_contrast": lambda x, y: losses.instance_contrast(x, y),
    "multi_device_contrast": lambda x, y: losses.multi_device_contrast(
        x, y[None], y[:, SHUFFLED[1:]].transpose(0, 1), negative_weights=torch.tensor([0.5, 2.0]), temperature=0.5
    ),
    "koleo": lambda x, y: losses.koleo(x) + losses.koleo(y),
    "sdsc_loss": lambda x, y: losses.sdsc_loss(x, y, sharpness=1.0, mse_weight=1.0),
    "additive_margin_nt_xent": lambda x, y: losses.additive_margin_nt_xent(x, y),
    "additive_margin_nt_xent, one way": lambda x, y: losses.additive_margin_nt_xent(x, y, symmetric=False),
    "codeword_cross_entropy": lambda x, y: losses.codeword_cross_entropy(
        frames(x), torch.eye(DIM).to(x), torch.arange(3).expand(len(x), -1), MASK[rows(x, y)]
    ),
    "diversity": lambda x, y: losses.diversity(frames(x).unflatten(-1, (2, 2)).abs() / 8, MASK[rows(x, y)]),
    "sampled_info_nce": lambda x, y: losses.sampled_info_nce(
        frames(x), frames(y), OTHERS[rows(x, y)], 0.5, OTHERS[rows(x, y)] == 0, valid=MASK[rows(x, y)]
    ),
    "frame_contrast": lambda x, y: losses.frame_contrast(frames(x), frames(y), MASK[rows(x, y)], OTHERS[rows(x, y)], 0.5),
    "same_utterance": lambda x, y: losses.same_utterance(
        x, y, torch.stack([ORDER, ORDER.flip(0)], 1)[rows(x, y)], MASK[rows(x, y)][:, :2], 0.5
    ),
    "future_l1": lambda x, y: losses.future_l1(frames(x), frames(y), 1, MASK[rows(x, y)] | MASK[rows(x, y)].flip(1)),
    "aligned_prediction": lambda x, y: losses.aligned_prediction(frames(x)[..., :2], y[:, :2], 0.5),
    "softened_kl": losses.softened_kl,
    "normalized_distillation": lambda x, y: losses.normalized_distillation(x, y, labels(x, y), temperature=2.0),
    "self_target": lambda x, y: losses.self_target(x, labels(x, y)),
    "others_cross_entropy": lambda x, y: losses.others_cross_entropy(
        x, labels(x, y), losses.zipf_labels(x, y, labels(x, y)).detach()
    ),
    "binary_kl": losses.binary_kl,
    "labelled": lambda x, y: losses.labelled(x, labels(x, y), MASK[rows(x, y)][:, 0], smoothing=0.1),
    "confident_consistency": lambda x, y: sum(
        losses.confident_consistency(*pair, MASK[rows(x, y)][:, 0], 0.4) for pair in ((x, y), (y, x))
    ),
    "sharpened_consistency": lambda x, y: sum(
        losses.sharpened_consistency(*pair, MASK[rows(x, y)][:, 0], 0.7, 0.4) for pair in ((x, y), (y, x))
    ),
    "doubly_robust": lambda x, y: losses.doubly_robust(x[:, 0], y[:, 0], MASK[rows(x, y)][:, 0], 0.7),
    "t_similarity": lambda x, y: sum(losses.t_similarity(z.unflatten(1, (2, 2)).movedim(1, 0)).mean() for z in (x, y)),
    "t-regs": TREG(),
    "ldreg": LDReg(k=6),
    "ldreg, mle": LDReg(k=6, estimator="mle"),
}
DETACHED = {
    "confident_consistency",
    "sharpened_consistency",
    "softened_kl",
    "normalized_distillation",
    "self_target",
    "binary_kl",
    "byol",
    "moco_contrast",
    "decoupled, weighted",
    "ldreg",
    "ldreg, mle",
}  # not the gradient of their value
ORDERED = {
    "labelled",
    "confident_consistency",
    "sharpened_consistency",
    "doubly_robust",
    "normalized_distillation",
    "self_target",
    "others_cross_entropy",
    "w_mse",
    "index_cross_entropy",
    "masked_mse",
    "masked_series_mse",
    "hierarchical_contrast, valid",
    "candidate_contrast",
    "codeword_cross_entropy",
    "diversity",
    "sampled_info_nce",
    "frame_contrast",
    "same_utterance",
    "future_l1",
}  # look at the position of a sample
each = pytest.mark.parametrize("name", LOSSES)


def views() -> tuple[Tensor, Tensor]:
    z = torch.randn(2, BATCH, DIM, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    return z[0], z[0] + 0.5 * z[1]


@each
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_promoted(name: str, dtype: torch.dtype) -> None:
    x, y = (z.to(dtype).requires_grad_() for z in views())
    with torch.autocast("cpu", torch.bfloat16):
        loss = LOSSES[name](x, y)
    assert loss.dtype == torch.float32
    loss.backward()
    assert x.grad is not None
    assert x.grad.dtype == dtype
    assert x.grad.isfinite().all()
    torch.testing.assert_close(loss, LOSSES[name](x.detach().float(), y.detach().float()))


@pytest.mark.parametrize("name", sorted(LOSSES.keys() - DETACHED))
def test_gradient(name: str) -> None:
    x, y = (z.requires_grad_() for z in views())
    assert torch.autograd.gradcheck(LOSSES[name], (x, y), atol=1e-6, fast_mode=True)


@pytest.mark.parametrize("name", sorted(LOSSES.keys() - ORDERED))
def test_order_of_the_batch_does_not_matter(name: str) -> None:
    x, y = views()
    torch.testing.assert_close(LOSSES[name](x[ORDER], y[ORDER]), LOSSES[name](x, y))


@each
def test_wildly_scaled_embeddings_stay_finite(name: str) -> None:
    x, y = (1e4 * z.float().requires_grad_() for z in views())
    loss = LOSSES[name](x, y)
    loss.backward()
    assert loss.isfinite()


def test_two_processes_equal_one(tmp_path: Path) -> None:
    """The mean over processes of the losses and, as data-parallel training takes it, of the gradients."""
    source = str(Path(ipse.errors.__file__).parents[1])
    environment = os.environ | {"PYTHONPATH": source, "OMP_NUM_THREADS": "1"}
    command = [sys.executable, __file__, str(tmp_path)]
    processes = [subprocess.Popen([*command, str(rank)], env=environment) for rank in range(2)]
    try:
        assert [process.wait(180) for process in processes] == [0, 0]
    finally:
        for process in processes:
            process.kill()
    halves = [torch.load(tmp_path / f"{rank}.pt") for rank in range(2)]
    for name, expected in run(*views()).items():
        loss, *gradients = (torch.stack([half[name][i] for half in halves]) for i in range(3))
        torch.testing.assert_close(loss.mean(0), expected[0], msg=lambda text, name=name: f"{name}: {text}")
        for gradient, right in zip(gradients, expected[1:], strict=True):
            torch.testing.assert_close(gradient.flatten(0, 1) / 2, right, msg=lambda text, name=name: f"{name}: {text}")
    q = torch.stack([half["coupling"] for half in halves])
    torch.testing.assert_close(torch.cat([q[:, :6].flatten(), q[:, 6:].flatten()]), losses.coupling(*views()))


def run(x: Tensor, y: Tensor) -> dict[str, tuple[Tensor, Tensor, Tensor]]:
    """Loss and gradients by name."""
    results = {}
    for name, function in LOSSES.items():
        a, b = x.clone().requires_grad_(), y.clone().requires_grad_()
        loss = function(a, b)
        loss.backward()
        results[name] = (loss.detach(), a.grad, torch.zeros_like(b) if b.grad is None else b.grad)
    return results


def main(folder: Path, rank: int) -> None:
    import torch.distributed as dist

    dist.init_process_group("gloo", init_method=f"file://{folder}/store", rank=rank, world_size=2)
    x, y = (z.chunk(2)[rank] for z in views())
    torch.save(run(x, y) | {"coupling": losses.coupling(x, y)}, folder / f"{rank}.pt")
    dist.barrier()
    dist.destroy_process_group()


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
