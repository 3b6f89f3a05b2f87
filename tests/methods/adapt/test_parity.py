"""The same numbers as the authors' and the field's code.

The expected values come from running, once, on `small.Net` and the formula pictures: the methods Tent, RPL and RMT of
github.com/mariodoebler/test-time-adaptation (methods/*.py, Adam at 1e-2, three batches of 6; RMT: teacher momentum 0.9, projector
of width 5 filled by `small.fill`, two warm-up batches of 4, its random view replaced by `small.mirrored`, no replay), and the image
operations of github.com/devavratTomar/TeSLA (networks/augmentation, random flips off, the rotation's range from 0).
"""

from __future__ import annotations

import pytest
import torch
from tests.methods.adapt.small import Net, fill, mirrored, pictures
from torch import Tensor

from ipse.methods.adapt import Adapter
from ipse.methods.adapt import rmt as rmt_module
from ipse.methods.adapt.rmt import RMT
from ipse.methods.adapt.rpl import RPL
from ipse.methods.adapt.tent import Tent
from ipse.transforms import differentiable


def after_three(adapter: Adapter) -> tuple[list[float], float]:
    for i in range(3):
        out = adapter(pictures(6, 10 * i))
    return out[:2].flatten().tolist(), float(out.abs().sum())


def test_tent() -> None:
    first, total = after_three(Tent(Net(), lr=1e-2))
    assert first == pytest.approx([1.634913, 0.915199, 0.523409, 0.639485, 1.662247, 0.913279, 0.494111, 0.611421], abs=2e-5)
    assert total == pytest.approx(21.680557, abs=2e-4)


def test_rpl() -> None:
    adapter = RPL(Net())
    adapter.moves(dict(adapter.model.named_parameters()), torch.optim.Adam)  # their optimizer, in place of the paper's
    for name, p in adapter.model.named_parameters():
        p.requires_grad_("encoder.1" in name or "encoder.4" in name)
    adapter.lr = 1e-2 * 96 / 6
    first, total = after_three(adapter)
    assert first == pytest.approx([1.635649, 0.915094, 0.522565, 0.638727, 1.661903, 0.91131, 0.49244, 0.61168], abs=2e-5)
    assert total == pytest.approx(21.679928, abs=2e-4)


def test_rmt(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rmt_module, "jittered_view", lambda x, *_: mirrored(x))
    monkeypatch.setattr(torch, "randperm", lambda n, **_: torch.arange(n))
    sequential = torch.nn.Sequential
    monkeypatch.setattr(rmt_module.nn, "Sequential", lambda *layers: fill(sequential(*layers)))
    adapter = RMT(Net(), lr=1e-2, decay=0.9, width=5, warmup=8, warmup_batch=4)
    adapter.prepare(pictures(8, 50), torch.tensor([0, 1, 2, 3] * 2))
    assert adapter.prototypes.flatten()[:4].tolist() == pytest.approx([1.171884, 1.241015, 0.850966, 1.014341], abs=1e-5)
    first, total = after_three(adapter)
    assert first == pytest.approx([4.143826, 1.598732, 0.333931, 0.403691, 4.062665, 1.549474, 0.356786, 0.483833], abs=2e-4)
    assert total == pytest.approx(38.382172, abs=2e-3)


OPERATIONS: dict[str, tuple[float, list[float], float]] = {
    "shear_x": (0.12169, [1.23186, 0.15802], 226.3439),
    "shear_y": (-0.04535, [1.86170, 0.02111], 193.1682),
    "translate_x": (0.38551, [-0.26926, -0.22949], 224.4908),
    "translate_y": (0.15434, [-0.26416, 0.09061], 189.5580),
    "contrast": (0.43782, [-0.47870, 0.25901], 160.4062),
    "colour": (0.38285, [0.52107, 1.83494], 170.0797),
    "brightness": (-0.00921, [0.11027, 0.86662], 192.3079),
    "sharpness": (0.40584, [0.16853, -0.57319], 180.9097),
    "rotate": (-0.75687, [-2.31472, -2.00862], 172.3657),
    "auto_contrast": (0.32051, [-1.49379, -0.45629], 241.3993),
    "invert": (0.41273, [0.64259, 0.09080], 244.8339),
    "equalize": (0.30582, [-1.40117, -0.84884], 234.4745),
    "solarize": (0.76305, [0.64259, 0.09080], 259.1960),
    "posterize": (0.24556, [1.58692, 0.86199], 227.0395),
}


@pytest.mark.parametrize("name", differentiable.NAMES)
def test_operations_on_pictures(name: str) -> None:
    x = ((pictures(2) + 1) / 2).requires_grad_()
    strength = torch.tensor([0.3, 0.8], requires_grad=True)
    out = differentiable.apply(x, name, strength, torch.ones(2))
    total: Tensor = (out * torch.cos(torch.arange(out.numel()).float()).view_as(out)).sum()
    total.backward()
    value, by_strength, by_picture = OPERATIONS[name]
    assert strength.grad is not None
    assert x.grad is not None
    assert float(total.detach()) == pytest.approx(value, abs=5e-3)  # the weights of grey differ in their fourth digit
    if name != "auto_contrast":  # theirs loses the gradient of the brightest and darkest pixels to rounding
        assert strength.grad.tolist() == pytest.approx(by_strength, abs=5e-3)
    if name not in ("auto_contrast", "equalize", "posterize", "solarize"):
        assert float(x.grad.abs().sum()) == pytest.approx(by_picture, rel=1e-3)
