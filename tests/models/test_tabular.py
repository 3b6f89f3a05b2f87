from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from ipse.errors import UserError
from ipse.models.encoder import Encoder
from ipse.models.tabular import FTTransformer, TableMLP

FORM: dict[str, Any] = {
    "modality": "table",
    "columns": [
        {"name": "age", "categories": None},
        {"name": "city", "categories": ["a", "b", "c"]},
        {"name": "income", "categories": None},
        {"name": "empty", "categories": []},
        {"name": "owner", "categories": ["no", "yes"]},
    ],
}
KINDS = [(FTTransformer, {}), (FTTransformer, {"pool": "cls"}), (TableMLP, {})]
each = pytest.mark.parametrize(("kind", "options"), KINDS, ids=["ft_transformer", "ft_transformer, cls", "table_mlp"])


def form(**kinds: list[str] | None) -> dict[str, Any]:
    return {"modality": "table", "columns": [{"name": name, "categories": known} for name, known in kinds.items()]}


def encoder(kind: Any, options: dict[str, Any], form: dict[str, Any] = FORM) -> Any:
    torch.manual_seed(0)
    small = {"width": 16, "depth": 2, **({"heads": 4} if kind is FTTransformer else {})}
    return kind(form, **{**small, **options}).eval()


def rows(n: int = 6) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(n, 5, generator=generator)
    x[:, 1], x[:, 4] = torch.randint(3, (n,), generator=generator), torch.randint(2, (n,), generator=generator)
    x[:, 3] = torch.nan
    return x


@each
class TestBoth:
    def test_shapes_and_options(self, kind: type[Encoder], options: dict[str, Any]) -> None:
        model = encoder(kind, options)
        assert model(rows()).shape == (6, model.dim) == (6, 16)
        again = kind(FORM, **model.options()).eval()  # type: ignore[call-arg]
        again.load_state_dict(model.state_dict())
        assert again.options() == model.options()
        torch.testing.assert_close(again(rows()), model(rows()))

    def test_missing_values_infinite_ones_and_unknown_categories(self, kind: Any, options: dict[str, Any]) -> None:
        model, x = encoder(kind, options), rows()
        missing = x.clone()
        missing[:, 0] = missing[:, 1] = torch.nan
        expected = model(missing)
        assert expected.isfinite().all()
        for number, category in ((torch.inf, 3), (-torch.inf, -1), (torch.nan, 1e9), (torch.nan, torch.inf)):
            x[:, 0], x[:, 1] = number, category
            torch.testing.assert_close(model(x), expected)
        assert model(torch.full((2, 5), torch.nan)).isfinite().all()
        x[:, 3] = 0  # a column without any known category
        assert torch.equal(model(x), expected)

    def test_what_is_missing_is_told_from_the_mean(self, kind: Any, options: dict[str, Any]) -> None:
        model, x = encoder(kind, options), rows()
        x[:, 0] = 0
        there = model(x)
        x[:, 0] = torch.nan
        assert not torch.allclose(model(x), there)

    def test_every_value_of_every_column_matters(self, kind: Any, options: dict[str, Any]) -> None:
        model, x = encoder(kind, options), rows(1)
        seen = [model(x)]
        for column, value in ((0, 2.0), (1, 0.0), (1, 1.0), (1, 2.0), (2, -2.0), (4, 0.0), (4, 1.0)):
            changed = x.clone()
            changed[0, column] = value
            if value != x[0, column]:
                assert all(not torch.allclose(model(changed), other) for other in seen)
                seen.append(model(changed))

    def test_gradients(self, kind: Any, options: dict[str, Any]) -> None:
        model, x = encoder(kind, options).train(), rows()
        x[0, 0] = x[1, 1] = x[2] = x[3, 2] = x[4, 4] = torch.nan
        (model(x) * torch.arange(16.0)).square().sum().backward()
        for name, parameter in model.named_parameters():
            assert parameter.grad is not None, name
            assert parameter.grad.isfinite().all(), name
            assert parameter.grad.any(), name

    def test_half_precision(self, kind: Any, options: dict[str, Any]) -> None:
        model, x = encoder(kind, options), rows()
        x[0, 0] = torch.nan
        with torch.autocast("cpu", torch.bfloat16):
            h = model(x)
        assert h.isfinite().all()
        torch.testing.assert_close(h.float(), model(x), rtol=0.1, atol=0.1)

    def test_tables_of_one_kind_of_column(self, kind: Any, options: dict[str, Any]) -> None:
        assert encoder(kind, options, form(a=None, b=None))(torch.randn(3, 2)).shape == (3, 16)
        assert encoder(kind, options, form(a=["x", "y"]))(torch.ones(3, 1)).shape == (3, 16)
        with pytest.raises(UserError, match="no columns"):
            encoder(kind, options, form())

    def test_codes_are_kept_out_of_the_weights(self, kind: Any, options: dict[str, Any]) -> None:
        assert not any("columns" in name for name in encoder(kind, options).state_dict())


class TestFTTransformer:
    def test_tokens_by_hand(self) -> None:
        """In the order of the columns: x w + b, a row of the table + b, the column's own vector + b where missing."""
        model, x = encoder(FTTransformer, {}), rows()
        x[1, 2] = x[2, 1] = torch.nan
        tokens = model.tokens(x)
        w, b, m, table = model.weight, model.bias, model.missing, model.categories.weight
        assert tokens.shape == (6, 5, 16)
        assert len(table) == (1 + 3) + (1 + 0) + (1 + 2)
        torch.testing.assert_close(tokens[0, 0], x[0, 0] * w[0] + b[0])
        torch.testing.assert_close(tokens[0, 2], x[0, 2] * w[1] + b[2])
        torch.testing.assert_close(tokens[1, 2], m[1] + b[2])
        torch.testing.assert_close(tokens[0, 1], table[1 + int(x[0, 1])] + b[1])
        torch.testing.assert_close(tokens[2, 1], table[0] + b[1])
        torch.testing.assert_close(tokens[0, 3], table[4] + b[3])
        torch.testing.assert_close(tokens[0, 4], table[6 + int(x[0, 4])] + b[4])

    @pytest.mark.parametrize("pool", ["mean", "cls", "register"])
    def test_blocks_take_any_tokens_in_any_order(self, pool: str) -> None:
        model, x = encoder(FTTransformer, {"pool": pool}), rows()
        tokens = model.tokens(x)
        torch.testing.assert_close(model.blocks(tokens), model.dense(x))
        assert model.blocks(tokens[:, :2]).shape == (6, 2, 16)
        order = [3, 0, 4, 1, 2]
        torch.testing.assert_close(model.blocks(tokens[:, order]), model.dense(x)[:, order])
        assert model.has_tokens

    def test_the_mean_of_the_tokens_or_the_token_before_them(self) -> None:
        x = rows()
        mean, cls = encoder(FTTransformer, {}), encoder(FTTransformer, {"pool": "cls"})
        torch.testing.assert_close(mean(x), mean.dense(x).mean(1))
        assert not torch.allclose(cls(x), cls.dense(x).mean(1))

    def test_a_register_is_seen_and_not_shown(self) -> None:
        model, x = encoder(FTTransformer, {"pool": "register"}), rows()
        before = model(x)
        torch.testing.assert_close(before, model.dense(x).mean(1))
        with torch.no_grad():
            model.cls.add_(1.0)
        assert not torch.allclose(model(x), before)

    def test_the_size_of_a_number_is_not_forgotten_before_attention(self) -> None:
        model = encoder(FTTransformer, {"depth": 1}, form(a=None))
        h = [model(torch.tensor([[value]])) for value in (1.0, 10.0, 100.0)]
        assert not torch.allclose(h[0], h[1], atol=1e-3)

    def test_mistakes(self) -> None:
        many = form(**{f"c{i}": None for i in range(513)})
        with pytest.raises(UserError, match="takes up to 512 columns, the table has 513: take table_mlp"):
            FTTransformer(many)
        with pytest.raises(UserError, match="width of 16 among 3 heads"):
            encoder(FTTransformer, {"heads": 3})
        with pytest.raises(UserError, match="'mean', 'cls' or 'register', not 'max'"):
            encoder(FTTransformer, {"pool": "max"})


def test_ten_thousand_columns() -> None:
    model = TableMLP(form(**{f"c{i}": None if i % 2 else ["x", "y"] for i in range(10_000)}), width=32).eval()
    assert model(torch.zeros(2, 10_000)).isfinite().all()
