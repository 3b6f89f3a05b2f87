from __future__ import annotations

import torch

from ipse.losses.queue import queue_contrast


def test_a_queue_without_a_margin_is_cross_entropy() -> None:
    q, k, queue = torch.randn(5, 4), torch.randn(5, 4), torch.randn(7, 4)
    unit = [torch.nn.functional.normalize(x, dim=1) for x in (q, k, queue)]
    logits = torch.cat([(unit[0] * unit[1]).sum(1, keepdim=True), unit[0] @ unit[2].T], dim=1) / 0.2
    expected = torch.nn.functional.cross_entropy(logits, torch.zeros(5, dtype=torch.int64))
    torch.testing.assert_close(queue_contrast(q, k, queue), expected)
