from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from tests.methods.restore.pictures import clean, psnr

from ipse.errors import UserError
from ipse.methods.restore import sigma_maps
from ipse.methods.restore.filter2noise import Filter2Noise, one_cycle
from ipse.training import seeded
from ipse.transforms import noise


def small(**settings: object) -> Filter2Noise:
    with seeded(0):
        return Filter2Noise(1, **settings)  # type: ignore[arg-type]


def noisy(size: int = 48) -> torch.Tensor:
    return noise.gaussian(clean(size), 0.1, torch.Generator().manual_seed(0))


def test_takes_noise_away() -> None:
    y = noisy()
    method = small(lr=1e-2)
    method.fit([y], steps=60)
    assert psnr(method.restore(y), clean(48)) > psnr(y, clean(48)) + 3


def test_large_pictures_are_learned_in_parts_and_odd_ones_continued() -> None:
    for size in (37, 80):
        y = noisy(size)
        method = small(crop=48)
        method.fit([y], steps=2)
        assert method.multiple == 16


@pytest.mark.parametrize("ending", [".npy", ".png"])
def test_widths_are_kept_edited_and_given_back(tmp_path: Path, ending: str) -> None:
    y = noisy()
    method = small(keep=str(tmp_path / f"sigmas{ending}"))
    method.fit([y], steps=3)
    restored = method.restore(y)
    file = tmp_path / f"sigmas{ending}"
    again = small(sigmas=str(file))
    again.fit([y], steps=3)
    torch.testing.assert_close(again.restore(y), restored, atol=1e-3, rtol=1e-3)
    if ending == ".npy":
        maps = np.load(file)
        assert maps.shape == (2, 3, 6, 6)
        maps[:, :2, :3] = 0  # the upper half is not to be blurred
        np.save(file, maps)
    else:
        grey = np.array(Image.open(file))
        assert grey.shape == (12, 18)
        grey[:3, :12] = grey[6:9, :12] = 0
        Image.fromarray(grey).save(file)
    edited = small(sigmas=str(file)).restore(y)
    torch.testing.assert_close(edited[..., :24, :], y[..., :24, :])
    torch.testing.assert_close(edited[..., 30:, :], restored[..., 30:, :], atol=1e-2, rtol=0)


def test_smoother() -> None:
    y = noisy()
    outputs = []
    for smoother in (0.2, 1.0, 5.0):
        method = small(smoother=smoother)
        method.fit([y], steps=2)
        outputs.append(float(method.restore(y).diff(dim=-1).square().mean()))
    assert outputs == sorted(outputs, reverse=True)


def test_maps_of_another_picture_and_broken_files_are_said(tmp_path: Path) -> None:
    sigma_maps.write(np.ones((2, 3, 4, 4), np.float32), tmp_path / "other.npy", 6.0)
    with pytest.raises(UserError, match=r"widths of \(6, 6\)"):
        small(sigmas=str(tmp_path / "other.npy")).restore(noisy())
    np.save(tmp_path / "wrong.npy", np.ones((3, 4, 4)))
    (tmp_path / "text.png").write_text("no picture")
    for name, words in (("wrong.npy", "must be numbers"), ("text.png", "no widths"), ("none.npy", "no widths")):
        with pytest.raises(UserError, match=words):
            small(sigmas=str(tmp_path / name))
    with pytest.raises(UserError, match="kept in a .npy or a .png"):
        small(keep="sigmas.txt")
    with pytest.raises(UserError, match="smoother"):
        small(smoother=0.0)


def test_the_schedule_is_pytorchs_one_cycle() -> None:
    parameter = torch.nn.Parameter(torch.zeros(1))
    optimizer = torch.optim.SGD([parameter], lr=1.0)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 1.0, total_steps=100, cycle_momentum=False)
    theirs = []
    for _ in range(100):
        theirs.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        schedule.step()
    ours = [one_cycle(step / 99) for step in range(100)]
    assert ours == pytest.approx(theirs, abs=0.03)
    assert ours[0] == pytest.approx(theirs[0])
    assert ours[-1] == pytest.approx(theirs[-1])
