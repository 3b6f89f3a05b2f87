from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from ipse.errors import UserError
from ipse.losses.reconstruction import complex_l1, normalized_l1_l2
from ipse.methods.restore.noise2recon import Noise2Recon
from ipse.transforms.kspace import (
    acquired,
    add_noise,
    cartesian_mask,
    combine,
    fft,
    ifft,
    measure,
    sensitivities,
    split,
)


def chance(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def random(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, dtype=torch.complex64, generator=chance(seed))


def scans(n: int = 3, size: int = 24, coils: int = 1, acceleration: float = 3) -> list[Tensor]:
    """Under-sampled scans (1, 2 coils, size, size) of smooth pictures."""
    place = torch.linspace(-1, 1, size)
    found = []
    for i in range(n):
        x = torch.exp(-((place[:, None] - 0.2 * i) ** 2 + place**2) * 6).to(torch.complex64)
        maps = torch.stack([1 + 0.3 * c * place.expand(size, size) + 0.2j * c * place[:, None] for c in range(coils)])[None]
        mask = cartesian_mask((size, size), acceleration, middle=0.2, generator=chance(i))
        found.append(torch.view_as_real(measure(x[None], mask, maps)).movedim(-1, 2).flatten(1, 2))
    return found


def small(coils: int = 1, **words: object) -> Noise2Recon:
    torch.manual_seed(0)
    return Noise2Recon(coils, **{"unrolls": 2, "blocks": 1, "hidden": 4, "calibration": 6, "batch": 2, **words})  # type: ignore[arg-type]


def test_extra_noise_is_zero_where_nothing_was_acquired() -> None:
    mask = cartesian_mask((16, 16), 4, generator=chance())
    y = mask * random(2, 3, 16, 16)
    noisy = add_noise(y, mask.expand(2, -1, -1, -1), torch.tensor([0.5, 0.5]), chance())
    assert (noisy - y)[..., mask[0, 0] == 0].abs().max() == 0
    assert (noisy - y)[..., mask[0, 0] == 1].abs().min() > 0


def test_variance_of_the_extra_noise_is_twice_sigma_squared() -> None:
    y = torch.zeros(2, 1, 200, 200, dtype=torch.complex64)
    noisy = add_noise(y, torch.ones(2, 1, 200, 200), torch.tensor([0.3, 0.7]), chance())
    assert noisy.abs().square().mean((1, 2, 3)).tolist() == pytest.approx([2 * 0.09, 2 * 0.49], rel=0.03)


def test_no_gradient_through_the_target() -> None:
    method = small()
    for parameter in method.parameters():
        torch.nn.init.normal_(parameter, std=0.2, generator=chance(1))
    scan = method.scan(scans(1)[0])
    loss = method.consistency(scan, chance(5))
    with torch.no_grad():
        target = method.image(scan)
    fresh = chance(5)
    sigma = 0.2 + 0.3 * torch.rand(1, generator=fresh)
    same = complex_l1(method.image(scan._replace(y=add_noise(scan.y, scan.mask, sigma, fresh))), target)
    assert loss.item() == same.item()
    ours, expected = (torch.autograd.grad(each, list(method.parameters())) for each in (loss, same))
    for a, b in zip(ours, expected, strict=True):
        torch.testing.assert_close(a, b)


@pytest.mark.parametrize("net", ["unrolled", "unet"])
def test_without_noise_the_consistency_is_zero(net: str) -> None:
    method = small(sigma=(0, 0), net=net).eval()
    assert method.consistency(method.scan(scans(1)[0]), chance()).item() == 0


def test_split_parts_are_disjoint_and_together_all_that_was_acquired() -> None:
    mask = torch.cat([cartesian_mask((64, 64), 2, generator=chance(i)) for i in range(3)])
    theta, held = split(mask, 0.4, chance())
    assert torch.equal(theta + held, mask)
    assert (theta * held).sum() == 0
    assert (held.sum() / mask.sum()).item() == pytest.approx(0.4, abs=0.02)
    assert theta[..., 30:34, 30:34].eq(mask[..., 30:34, 30:34]).all()


def test_the_transform_is_orthonormal_and_centred() -> None:
    x = random(2, 7, 8)
    torch.testing.assert_close(ifft(fft(x)), x)
    assert fft(x).abs().square().sum().item() == pytest.approx(x.abs().square().sum().item(), rel=1e-5)
    assert fft(torch.ones(6, 8, dtype=torch.complex64))[3, 4].real.item() == pytest.approx(math.sqrt(48))


def test_adjoint() -> None:
    x, y, maps = random(2, 9, 10), random(2, 3, 9, 10, seed=1), random(2, 3, 9, 10, seed=2)
    mask = (torch.rand(2, 1, 9, 10, generator=chance()) < 0.5).float()
    left = (measure(x, mask, maps).conj() * y).sum()
    right = (x.conj() * combine(y, mask, maps)).sum()
    torch.testing.assert_close(left, right)


def test_forward_model_equals_deepinvs() -> None:
    physics = pytest.importorskip("deepinv").physics
    x, maps = random(2, 12, 10), random(2, 3, 12, 10, seed=2)
    mask = cartesian_mask((12, 10), 2, generator=chance())
    peer = physics.MultiCoilMRI(mask=mask[0, 0], coil_maps=maps, img_size=(2, 12, 10))
    given = torch.view_as_real(x).permute(0, 3, 1, 2)
    theirs = peer.A(given)  # (B, 2, coils, H, W)
    ours = torch.view_as_real(measure(x, mask, maps)).permute(0, 4, 1, 2, 3)
    torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=1e-4)
    back = torch.view_as_real(combine(measure(x, mask, maps), mask, maps)).permute(0, 3, 1, 2)
    torch.testing.assert_close(back, peer.A_adjoint(theirs), atol=1e-5, rtol=1e-4)


def test_cartesian_masks() -> None:
    mask = cartesian_mask((10, 100), 4, middle=0.08, generator=chance())
    assert mask.shape == (1, 1, 10, 100)
    assert mask[0, 0, 0].sum() == 25
    assert mask[0, 0, :, 46:54].all()
    with pytest.raises(UserError, match="acceleration 20 leaves 5 of 100 columns"):
        cartesian_mask((10, 100), 20, generator=chance())


def test_coil_maps() -> None:
    one = random(1, 1, 8, 8)
    assert sensitivities(one).eq(1).all()
    place = torch.linspace(-1, 1, 32)
    truth = torch.stack([1 + 0.5 * place.expand(32, 32), 1 - 0.5 * place.expand(32, 32)])[None].to(torch.complex64)
    truth = truth / truth.abs().square().sum(1, keepdim=True).sqrt()
    x = torch.exp(-(place[:, None] ** 2 + place**2)).to(torch.complex64)[None]
    found = sensitivities(fft(truth * x[:, None]), 12)
    torch.testing.assert_close(found.abs().square().sum(1), torch.ones(1, 32, 32))
    assert (found.abs() - truth.abs())[..., 6:-6, 6:-6].abs().max() < 0.05


def test_ssdu_loss_by_hand() -> None:
    y = torch.tensor([[3j, 0j], [1 + 0j, 0j]])
    target = torch.tensor([[0j, 4 + 0j], [1 + 0j, 0j]])
    assert normalized_l1_l2(y, target).item() == pytest.approx((7 / 4 + 5 / 4) / 2 / 2)
    assert normalized_l1_l2(y, torch.zeros_like(y)).item() == 0


def test_units_of_the_file() -> None:
    method = small().eval()
    x = scans(1)[0]
    torch.testing.assert_close(method.restore(1000 * x), 1000 * method.restore(x), rtol=1e-4, atol=1e-3)


def test_starts_as_the_zero_filled_image() -> None:
    method = small(coils=2).eval()
    scan = method.scan(torch.cat(scans(2, coils=2)))
    expected = combine(scan.y, scan.mask, scan.maps)
    # A A^H y = y where one step has put the measurements right, coils or not, only with maps whose squares add up to 1 everywhere.
    image = method.image(scan)
    assert image.shape == expected.shape
    assert (image - expected).abs().mean() < 0.2 * expected.abs().mean()


def test_undersampled_references_keep_their_true_image() -> None:
    method = small()
    full = torch.view_as_real(fft(random(1, 1, 24, 24))).movedim(-1, 2).flatten(1, 2)
    known, target = method.undersampled(full, method.scan(scans(1)[0]).mask, chance())
    assert torch.equal(known.mask, acquired(torch.view_as_complex(scans(1)[0].permute(0, 2, 3, 1).contiguous())[:, None]))
    torch.testing.assert_close(target * known.scale[:, None, None], random(1, 1, 24, 24)[:, 0])
    other, _ = method.undersampled(full[..., :20, :20], known.mask, chance())
    assert other.mask[0, 0, 0].sum() == 5


@pytest.mark.parametrize("net", ["unrolled", "unet"])
@pytest.mark.parametrize("labelled", [False, True])
def test_learns(net: str, labelled: bool) -> None:
    data = scans(3)
    full = scans(2, acceleration=1) if labelled else []
    method, again = small(net=net, depth=2), small(net=net, depth=2)
    before = method.restore(data[0])
    method.fit(data, like=full, seed=3, steps=4)
    again.fit(data, like=full, seed=3, steps=4)
    after = method.restore(data[0])
    assert after.shape == (1, 1, 24, 24)
    assert after.isfinite().all()
    assert not torch.equal(after, before)
    assert torch.equal(after, again.restore(data[0]))


@pytest.mark.slow
def test_self_supervision_alone_fills_in_what_is_missing() -> None:
    """One coil, smooth pictures of one kind: the reconstruction gets nearer to the true picture than the zero-filled one."""
    data, truth = scans(6), scans(6, acceleration=1)
    method = small(hidden=16, lr=3e-3)
    method.fit(data, steps=200)

    def error(images: Tensor) -> float:
        true = torch.cat([method.scan(x).scale * Noise2Recon.image(small().eval(), method.scan(x)).abs() for x in truth])
        return (images[:, 0] - true).square().mean().item()

    filled = torch.cat([small().eval().restore(x) for x in data])
    assert error(torch.cat([method.restore(x) for x in data])) < 0.7 * error(filled)


def test_mistakes() -> None:
    with pytest.raises(UserError, match="sigma is a range"):
        Noise2Recon(sigma=(0.5, 0.2))
    with pytest.raises(UserError, match="held is a share"):
        Noise2Recon(held=1.0)
    with pytest.raises(UserError, match="net is unrolled or unet"):
        Noise2Recon(net="resnet")  # type: ignore[arg-type]
    with pytest.raises(UserError, match="give it some"):
        small().fit([], steps=1)
    with pytest.raises(UserError, match=r"of 2 coils \(B, 4, H, W\), not \(1, 2, 8, 8\)"):
        small(2).restore(torch.zeros(1, 2, 8, 8))


def test_an_empty_scan_gives_an_empty_image() -> None:
    result = small().eval().restore(torch.zeros(1, 2, 12, 12))
    assert np.isfinite(result.numpy()).all()
