from __future__ import annotations

import torch

from ipse.losses.regression import frame_regression


def test_only_chosen_frames_count_and_targets_get_no_gradient() -> None:
    prediction, target = (torch.randn(2, 3, 4, requires_grad=True) for _ in range(2))
    chosen = torch.tensor([[True, False, True], [False, False, True]])
    loss = frame_regression(prediction, target, chosen)
    expected = sum(float((prediction[i, j] - target[i, j]).square().sum()) for i, j in [(0, 0), (0, 2), (1, 2)]) / 3 / 2
    torch.testing.assert_close(loss, torch.tensor(expected))
    loss.backward()
    assert target.grad is None
    assert prediction.grad is not None
    assert not prediction.grad[~chosen].any()
