from __future__ import annotations

import math

import pytest
import torch
from tests.methods.series import batch, learns
from torch import Tensor, nn

from ipse.losses import nt_xent
from ipse.methods.pretrain.frame_projections import FrameProjections, _Along
from ipse.models.dilated_conv import DilatedConv
from ipse.models.patch_transformer import PatchTransformer


def form(channels: int = 2, length: int = 40) -> dict[str, object]:
    return {"modality": "series", "channels": channels, "length": length}


def method(channels: int = 2, length: int = 40) -> FrameProjections:
    torch.manual_seed(0)
    return FrameProjections(DilatedConv(form(channels, length), dim=16, hidden=8), width=16).train()


def series(batch: int = 8, channels: int = 2, length: int = 40) -> Tensor:
    return torch.randn(batch, channels, length, generator=torch.Generator().manual_seed(0))


class TestCard:
    def test_a_the_fourier_frame_is_orthonormal(self) -> None:
        x = series().double()
        transformed = torch.fft.rfft(x, norm="ortho")
        torch.testing.assert_close(torch.fft.irfft(transformed, n=40, norm="ortho"), x, rtol=0, atol=1e-6)
        twice = torch.full((21,), 2.0).double()
        twice[0] = twice[-1] = 1
        torch.testing.assert_close((transformed.abs().square() * twice).sum(-1), x.square().sum(-1))

    def test_b_the_contrast_is_symmetric(self) -> None:
        a, b = series(8, 1, 16)[:, 0], torch.randn(8, 16)
        torch.testing.assert_close(nt_xent(a, b, 0.15), nt_xent(b, a, 0.15))

    def test_c_only_the_encoder_of_the_series_is_asked_for_features(self) -> None:
        learner, x = method().eval(), series()
        before = learner.features(x)
        assert before.shape == (8, 48)
        with torch.no_grad():
            for module in (learner.spectral, learner.wavelet, learner.projectors):
                for p in module.parameters():
                    p.zero_()
        assert torch.equal(learner.features(x), before)
        torch.testing.assert_close(before[:, 16:32], learner.encoder(x))

    def test_d_contrast_of_equal_orthonormal_projections(self) -> None:
        learner = method()
        for place in range(3):
            learner.projectors[place] = _Answer(torch.eye(16)[:8])
        expected = math.log(1 + 14 * math.exp(-1 / 0.15))
        assert learner.loss(batch(series())).terms["contrast"].item() == pytest.approx(3 * expected, rel=1e-4)


class _Answer(nn.Module):
    def __init__(self, answer: Tensor):
        super().__init__()
        self.answer = answer

    def forward(self, x: Tensor) -> Tensor:
        return self.answer


def test_the_predictive_term_is_weighed_by_one_over_the_batch() -> None:
    learner = method()
    step = learner.loss(batch(series()))
    contrast, predicted, mapped = (step.terms[k] for k in ("contrast", "predictive", "mapping"))
    torch.testing.assert_close(step.loss, contrast + predicted / 8 + mapped)


def test_mappers_move_nothing_else_and_nothing_else_moves_them() -> None:
    learner = method()
    step = learner.loss(batch(series()))
    step.terms["mapping"].backward(retain_graph=True)
    assert {n.split(".")[0] for n, p in learner.named_parameters() if p.grad is not None} == {"mappers"}
    learner.zero_grad()
    (step.loss - step.terms["mapping"]).backward()
    assert all(p.grad is None or not p.grad.any() for p in learner.mappers.parameters())


@pytest.mark.parametrize("width", [1, 2, 7, 16, 128])
def test_maps_keep_the_width(width: int) -> None:
    assert _Along(3)(torch.randn(4, width)).shape == (4, width)


@pytest.mark.parametrize(("channels", "length"), [(1, 8), (2, 40), (3, 129)])
def test_learns_from_gappy_series_in_both_precisions(channels: int, length: int) -> None:
    learner, x = method(channels, length), series(8, channels, length)
    x[0, :, 5:] = x[1] = x[2, 0, 3:6] = torch.nan
    learns(learner, x)


def test_takes_a_transformer_too() -> None:
    learner = FrameProjections(PatchTransformer(form(), width=16, depth=1, heads=2), width=16)
    assert learner.loss(batch(series())).loss.isfinite()
