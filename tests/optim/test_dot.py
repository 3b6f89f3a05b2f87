from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import Parameter

from ipse.errors import UserError
from ipse.optim.dot import DOT


def stream(n: int) -> list[dict[str, Tensor]]:
    generator = torch.Generator().manual_seed(0)
    return [{term: torch.randn(3, 2, generator=generator, dtype=torch.float64) for term in DOT.terms} for _ in range(n)]


def parameter() -> Parameter:
    return Parameter(torch.ones(3, 2, dtype=torch.float64))


def test_without_an_offset_it_is_sgd_on_the_sum() -> None:
    ours, theirs = parameter(), parameter()
    dot = DOT([ours], lr=0.1, momentum=0.9, offset=0.0, weight_decay=0.01)
    sgd = torch.optim.SGD([theirs], lr=0.1, momentum=0.9, weight_decay=0.01)
    for gradients in stream(30):
        dot.gradients = {ours: gradients}
        theirs.grad = sum(gradients.values(), torch.zeros(3, 2, dtype=torch.float64))
        dot.step()
        sgd.step()
        torch.testing.assert_close(ours, theirs, rtol=1e-12, atol=1e-12)


def test_constant_gradients_end_at_what_their_momenta_say() -> None:
    p = parameter()
    dot = DOT([p], lr=0.0)
    constant = stream(1)[0]
    for _ in range(2000):
        dot.gradients = {p: constant}
        dot.step()
    torch.testing.assert_close(dot.state[p]["distillation"], 40 * constant["distillation"])
    torch.testing.assert_close(dot.state[p]["task"], constant["task"] / 0.175)


@pytest.mark.parametrize("term", DOT.terms)
def test_what_one_loss_alone_reaches_has_the_plain_momentum_and_decays(term: str) -> None:
    ours, theirs, both = parameter(), parameter(), parameter()
    dot = DOT([ours, both], lr=0.1, weight_decay=0.01)
    sgd = torch.optim.SGD([theirs], lr=0.1, momentum=0.9, weight_decay=0.01)
    for gradients in stream(10):
        dot.gradients = {ours: {term: gradients[term]}, both: gradients}
        theirs.grad = gradients[term].clone()
        dot.step()
        sgd.step()
    torch.testing.assert_close(ours, theirs)


def test_where_nobody_fills_the_gradients_it_is_sgd() -> None:
    ours, theirs = parameter(), parameter()
    dot, sgd = DOT([ours], lr=0.1, weight_decay=0.1), torch.optim.SGD([theirs], lr=0.1, momentum=0.9, weight_decay=0.1)
    for gradients in stream(5):
        ours.grad, theirs.grad = gradients["task"].clone(), gradients["task"].clone()
        dot.step()
        sgd.step()
    torch.testing.assert_close(ours, theirs)
    untouched = parameter()
    DOT([untouched]).step()
    assert torch.equal(untouched, parameter())


def test_it_takes_the_steps_of_the_authors() -> None:
    """The reference written out: two buffers, the first step without momentum, the decay on the side of the task."""
    p, x, v = parameter(), torch.ones(3, 2, dtype=torch.float64), dict[str, Any]()
    dot = DOT([p], lr=0.05, momentum=0.9, offset=0.075, weight_decay=5e-4)
    for gradients in stream(20):
        dot.gradients = {p: gradients}
        dot.step()
        task = gradients["task"] + 5e-4 * x
        v["task"] = task if "task" not in v else 0.825 * v["task"] + task
        v["kd"] = gradients["distillation"] if "kd" not in v else 0.975 * v["kd"] + gradients["distillation"]
        x = x - 0.05 * v["task"] - 0.05 * v["kd"]
    torch.testing.assert_close(p.detach(), x)


def test_the_gradients_of_one_step_do_not_enter_the_next() -> None:
    p = parameter()
    dot = DOT([p], lr=0.1)
    dot.gradients = {p: stream(1)[0]}
    dot.step()
    before = p.detach().clone()
    dot.step()
    assert torch.equal(p, before)


def test_momenta_of_one_and_more_are_refused() -> None:
    with pytest.raises(UserError, match="dot needs both momenta, 0.9 plus and minus 0.1"):
        DOT([parameter()], momentum=0.9, offset=0.1)
    DOT([parameter()], momentum=0.9, offset=-0.05)


def test_groups_have_their_own_decay() -> None:
    model = nn.Linear(2, 1)
    dot = DOT([{"params": [model.weight], "weight_decay": 0.5}, {"params": [model.bias], "weight_decay": 0.0}], lr=0.1)
    before = model.weight.detach().clone()
    dot.gradients = {p: {term: torch.zeros_like(p) for term in DOT.terms} for p in model.parameters()}
    dot.step()
    torch.testing.assert_close(model.weight.detach(), before * 0.95)
