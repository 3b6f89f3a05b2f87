from __future__ import annotations

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from ipse.data import form
from ipse.models.tokens import Block, mean_of, on_a_grid, on_a_line, positions


class TestBlock:
    def test_it_is_torchs(self):
        torch.manual_seed(0)
        block, reference = Block(16, 4), nn.TransformerEncoderLayer(16, 4, 64, 0.0, "gelu", batch_first=True, norm_first=True)
        pairs = {
            "self_attn.in_proj_": block.qkv,
            "self_attn.out_proj.": block.out,
            "linear1.": block.up,
            "linear2.": block.down,
            "norm1.": block.norm1,
            "norm2.": block.norm2,
        }
        reference.load_state_dict(
            {name + kind: getattr(layer, kind) for name, layer in pairs.items() for kind in ("weight", "bias")}
        )
        x = torch.randn(3, 5, 16)
        torch.testing.assert_close(block(x), reference(x))
        valid = torch.tensor([[True] * 5, [True, False, True, True, False], [False] * 4 + [True]])
        torch.testing.assert_close(block(x, valid), reference(x, src_key_padding_mask=~valid))
        torch.testing.assert_close(block(x, torch.zeros(3, 5).bool()), block(x))

    def test_a_perceptron_of_another_width(self):
        assert Block(16, 4, hidden=24).up.out_features == 24


def test_mean_of_the_valid_tokens():
    tokens = torch.tensor([[[1.0], [3.0], [9.0]], [[5.0], [5.0], [5.0]]])
    valid = torch.tensor([[True, True, False], [False, False, False]])
    assert mean_of(tokens, valid).tolist() == [[2.0], [0.0]]


def test_positions_on_a_line_by_hand():
    p = on_a_line(3, 5)
    assert p.shape == (3, 5)
    expected = [np.sin(2), np.sin(2 / 10000), np.cos(2), np.cos(2 / 10000), 0]
    np.testing.assert_allclose(p[2].numpy(), expected, atol=1e-6)


def test_positions_are_on_a_grid_for_pictures_alone():
    assert torch.equal(positions(form.image(3, 8), 16, 12), on_a_grid(4, 12))
    assert torch.equal(positions(form.audio(8000), 16, 12), on_a_line(16, 12))


class TestPositionsOnAGrid:
    def test_by_hand(self):
        p = on_a_grid(3, 8).view(3, 3, 8)  # row, column; two frequencies: 1 and 1/100
        for row in range(3):
            for column in range(3):
                x, y = float(column), float(row)
                by_hand = [torch.tensor([v, v / 100]) for v in (x, y)]
                expected = torch.cat([wave(v) for v in by_hand for wave in (torch.sin, torch.cos)])
                torch.testing.assert_close(p[row, column], expected, atol=1e-6, rtol=0)

    def test_widths_that_do_not_divide_end_in_zeros(self):
        p = on_a_grid(2, 10)
        assert p.shape == (4, 10)
        assert float(p[:, 8:].abs().max()) == 0

    def test_all_places_differ(self):
        p = on_a_grid(8, 32)
        assert float((F.normalize(p) @ F.normalize(p).t()).fill_diagonal_(0).max()) < 0.999

    def test_a_grid_over_another_span_lies_between(self):
        one = on_a_grid(1, 8, 3)  # the middle of three places
        torch.testing.assert_close(one[0], on_a_grid(3, 8)[4])
        torch.testing.assert_close(on_a_grid(4, 8, 4), on_a_grid(4, 8))
