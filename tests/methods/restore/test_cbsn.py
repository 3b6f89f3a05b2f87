from __future__ import annotations

import pytest
import torch
from tests.methods.restore.pictures import clean, psnr
from torch import Tensor

from ipse.errors import UserError
from ipse.methods.restore import Tile
from ipse.methods.restore.cbsn import CBSN
from ipse.methods.restore.tiles import restore_tiled
from ipse.training import seeded
from ipse.transforms import noise


def small(**settings: object) -> CBSN:
    with seeded(0):
        return CBSN(1, **{"width": 8, "modules": 1, "patch": 40, "batch": 2, "lr": 3e-3} | settings)  # type: ignore[arg-type]


def noisy(size: int = 80) -> Tensor:
    return noise.correlated_gaussian(clean(size), 0.1, torch.Generator().manual_seed(0))


def test_takes_correlated_noise_away() -> None:
    x, y = clean(80), noisy()
    method = small(ramp=0.3)
    method.fit([y], steps=150)
    assert psnr(method.restore(y), x) > psnr(y, x) + 1


def test_no_gradient_flows_through_the_target() -> None:
    method = small()
    x = noisy(40)
    terms = method.terms(x, key=0)
    terms.invariance.backward()
    blind_only = [p.grad.clone() for p in method.parameters() if p.grad is not None]
    method.zero_grad()
    seen = method.net(x)
    from ipse.transforms.subsample import pick, random_cells

    cells = random_cells(tuple(x.shape), 2, 0)
    target = method.net(pick(x, cells, 2), blind=True).detach()
    (pick(seen, cells, 2) - target).abs().mean().backward()
    for a, p in zip(blind_only, method.parameters(), strict=True):
        torch.testing.assert_close(a, p.grad)


def test_the_blind_term_does_not_see_its_target() -> None:
    """The blind output at a pixel of the whole does not change with it."""
    from ipse.transforms.subsample import batch_to_space, space_to_batch

    method, x = small(), noisy(40)
    with torch.no_grad():
        before = batch_to_space(method.net(space_to_batch(x, 5), blind=True), 5)
        for row, column in ((0, 0), (17, 23), (39, 5)):
            other = x.clone()
            other[..., row, column] += 1
            after = batch_to_space(method.net(space_to_batch(other, 5), blind=True), 5)
            assert after[0, 0, row, column] == before[0, 0, row, column]
            assert not torch.equal(after, before)


def test_light_and_contrast_of_the_picture_come_through() -> None:
    y = noisy(40)
    method = small()
    method.fit([y], steps=3)
    torch.testing.assert_close(method.restore(0.3 * y + 0.2), 0.3 * method.restore(y) + 0.2, atol=1e-4, rtol=1e-3)


def test_tiles_show_no_seam() -> None:
    y = noisy(96)
    method = small()
    method.fit([y], steps=2)
    assert method.halo == 5
    whole, tiled = method.restore(y), torch.zeros_like(y)

    def put(rows: slice, columns: slice, part: Tensor) -> None:
        tiled[..., rows, columns] = part

    restore_tiled(method, (96, 96), lambda rows, columns: y[..., rows, columns], put, 40)
    torch.testing.assert_close(tiled, whole, atol=1e-5, rtol=1e-4)


def test_the_survey_is_that_of_the_whole() -> None:
    y = noisy(40)
    method = small()
    tiles = [Tile(y[..., :20, :]), Tile(y[..., 18:, :], rows=slice(2, 22))]
    mean, std = method.survey(tiles)
    assert mean.item() == pytest.approx(y.mean().item(), abs=1e-6)
    assert std.item() == pytest.approx(y.std(correction=0).item(), rel=1e-5)


def test_flat_and_tiny_pictures_stay_finite() -> None:
    method = small()
    method.fit([torch.full((1, 1, 9, 7), 0.5)], steps=2)
    for x in (torch.zeros(1, 1, 1, 1), torch.ones(1, 1, 3, 50)):
        assert method.restore(x).isfinite().all()


@pytest.mark.parametrize(
    ("settings", "words"),
    [({"patch": 42}, "multiple of 10"), ({"stride": 0}, "strides"), ({"ramp": 2.0}, "share of the steps")],
)
def test_mistakes_are_said(settings: dict[str, object], words: str) -> None:
    with pytest.raises(UserError, match=words):
        small(**settings)
