"""T-JEPA: the checks of its card."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from ipse.data import form
from ipse.errors import UserError
from ipse.methods.pretrain.t_jepa import TJEPA, bounds
from ipse.models.tabular import FTTransformer
from ipse.training import Batch
from ipse.transforms import View

FORM = form.table([{"name": f"n{i}", "categories": None} for i in range(8)] + [{"name": "c", "categories": ["a", "b"]}])


def small(**settings: object) -> TJEPA:
    torch.manual_seed(0)
    encoder = FTTransformer(FORM, width=16, depth=2, heads=4, pool="register")
    return TJEPA(encoder, **{"width": 16, "depth": 1, "heads": 2, **settings})


def rows(n: int = 6) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(n, 9, generator=generator)
    x[:, 8] = torch.randint(2, (n,), generator=generator)
    x[0, 3], x[1, 8] = torch.nan, torch.nan
    return x


def batch(x: Tensor, step: int = 0, steps: int = 10) -> Batch:
    return Batch([View(x)], torch.arange(len(x)), torch.arange(len(x)) + step * len(x), step=step, steps=steps)


def test_what_is_seen_is_never_predicted_and_sizes_are_those_of_the_batch() -> None:
    method, sizes = small(), set()
    for step in range(40):
        seen, hidden = method.masks(batch(rows(), step))
        n, m = method.sizes(batch(rows(), step))
        assert (seen.shape, hidden.shape) == ((6, n), (4, 6, m))
        for b in range(6):
            assert len(set(seen[b].tolist())) == n
            for target in hidden[:, b].tolist():
                assert len(set(target)) == m
                assert not set(target) & set(seen[b].tolist())
        sizes.add((n, m))
    assert {n for n, _ in sizes} == {1, 2, 3}
    assert {m for _, m in sizes} == {1, 2, 3, 4, 5, 6}


def test_every_column_is_seen_and_predicted() -> None:
    method = small()
    both = [method.masks(batch(rows(), step)) for step in range(20)]
    assert {c for seen, _ in both for c in seen.flatten().tolist()} == set(range(9))
    assert {c for _, hidden in both for c in hidden.flatten().tolist()} == set(range(9))


def test_sizes_do_not_depend_on_which_part_of_the_batch_a_process_has() -> None:
    method, whole = small(), batch(rows())
    half = Batch([View(rows()[3:])], whole.index[3:], whole.position[3:], steps=10)
    assert method.sizes(whole) == method.sizes(half)
    for all_rows, some in zip(method.masks(whole), method.masks(half), strict=True):
        assert torch.equal(all_rows[..., 3:, :], some)


def test_the_loss_by_hand() -> None:
    method, x = small(), rows()
    seen, hidden = method.masks(batch(x, 3))
    tokens, whole = method.encoder.tokens(x), method.teacher.teacher.dense(x)
    errors = []
    for b in range(6):
        known = method.adapt(method.encoder.blocks(tokens[b : b + 1, seen[b]])) + method.place[seen[b]]
        for target in hidden[:, b]:
            asked = method.hidden_token + method.place[target]
            out = method.restore(method.predictor(torch.cat([known, asked], dim=1)))[0, len(seen[b]) :]
            errors.append((out - whole[b, target]).square().mean())
    torch.testing.assert_close(method.loss(batch(x, 3)).loss, torch.stack(errors).mean())


def test_the_context_never_sees_another_column() -> None:
    method, x = small(), rows()
    seen, _ = method.masks(batch(x))
    other = x.scatter(1, seen, 7.0).where(torch.zeros_like(x).scatter(1, seen, 1.0).bool(), torch.randn_like(x))
    mine = torch.where(torch.zeros_like(x).scatter(1, seen, 1.0).bool(), x, torch.randn_like(x))
    a, b = (method.loss(batch(v)).h[0] for v in (x, mine))
    torch.testing.assert_close(a, b)
    assert not torch.allclose(method.loss(batch(other)).h[0], a)


def test_the_register_is_always_seen_and_learns() -> None:
    method, x = small(), rows()
    before = method.loss(batch(x)).h[0]
    method.loss(batch(x)).loss.backward()
    assert method.encoder.cls.grad.abs().sum() > 0
    with torch.no_grad():
        method.encoder.cls.add_(1.0)
    assert not torch.allclose(method.loss(batch(x)).h[0], before)


def test_the_teacher_sees_all_columns_and_gets_no_gradient() -> None:
    method, x = small(), rows()
    method.loss(batch(x)).loss.backward()
    assert all(p.grad is None for p in method.teacher.parameters())
    for column in range(9):
        other = x.clone()
        other[:, column] = 1 - other[:, column].nan_to_num()
        assert not torch.allclose(method.teacher.teacher.dense(other), method.teacher.teacher.dense(x))


def test_the_teacher_follows_in_a_line_and_is_what_is_left() -> None:
    method = small(decay=0.5)
    with torch.no_grad():
        method.encoder.weight.fill_(1.0)
        method.teacher.teacher.weight.fill_(0.0)
    method.after_step(batch(rows(), step=5))
    torch.testing.assert_close(method.teacher.teacher.weight, torch.full((8, 16), 0.25))
    method.teacher.update(method.encoder, 1.0)
    torch.testing.assert_close(method.teacher.teacher.weight, torch.full((8, 16), 0.25))
    method.teacher.update(method.encoder, 0.0)
    torch.testing.assert_close(method.teacher.teacher.weight, method.encoder.weight)
    with torch.no_grad():
        method.encoder.weight.fill_(3.0)
    method.after_step(batch(rows(), step=9))
    torch.testing.assert_close(method.encoder.weight, torch.full((8, 16), 1.0 * 0.95 + 3.0 * 0.05))


def test_the_monitor_tells_of_a_collapse() -> None:
    method, x = small(), rows(32)
    assert float(method.loss(batch(x)).terms["variance"]) > 1e-3
    with torch.no_grad():
        method.teacher.teacher.norm.weight.zero_()
        method.restore.weight.zero_()
        method.restore.bias.copy_(method.teacher.teacher.norm.bias)
    step = method.loss(batch(x))
    assert float(step.terms["variance"]) == 0
    assert float(step.loss) == 0


def test_tables_of_few_columns() -> None:
    for columns in (2, 3, 4):
        table = form.table([{"name": str(i), "categories": None} for i in range(columns)])
        method = TJEPA(FTTransformer(table, width=16, depth=1, pool="register"), width=16, depth=1, heads=2)
        assert method.loss(batch(torch.randn(5, columns))).loss.isfinite()
    with pytest.raises(UserError, match="the table needs 2 or more, it has 1"):
        TJEPA(FTTransformer(form.table([{"name": "a", "categories": None}]), width=16, depth=1))


def test_shares() -> None:
    assert bounds((0.14, 0.37), 54) == (8, 20)
    assert bounds((0.14, 0.37), 3) == (1, 1)
    with pytest.raises(UserError, match=r"two shares of the columns, for example \[0.14, 0.37\], not \[0.5, 0.2\]"):
        bounds((0.5, 0.2), 5)
