"""What learning costs, counted, so that two arms of a claim are given equally much."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ipse.claims.harness.kit import pretrained

if TYPE_CHECKING:
    from ipse import Run
    from ipse.data import Data


def at_equal_cost(data: Data, seed: int, steps: int, *, ours: dict[str, Any], baseline: dict[str, Any]) -> tuple[Run, Run, int]:
    """What ours learned in so many steps, what the baseline learned in `equal_steps`, and how many those were."""
    equal = equal_steps(data, steps, ours=ours, baseline=baseline)
    return pretrained(data, seed, **ours, steps=steps), pretrained(data, seed, **baseline, steps=equal), equal


def equal_steps(data: Data, steps: int, *, ours: dict[str, Any], baseline: dict[str, Any]) -> int:
    """How many steps of the baseline cost as much as so many of ours; both are words of `pretrained`."""
    return round(steps * step_cost(data, **ours) / step_cost(data, **baseline))


def step_cost(data: Data, **words: Any) -> int:
    """Multiply-adds of one step, forwards and backwards, of what `pretrained` does with these words.

    They are counted, not timed: the same on every machine. Products of matrices, convolutions, attention and GRUs count; views,
    Fourier transforms, LSTMs, what is done value by value and the optimizer do not.
    """
    return (_spent(data, 4, words) - _spent(data, 2, words)) // 2  # what is done once, before the first step, cancels out


def _spent(data: Data, steps: int, words: dict[str, Any]) -> int:
    """Multiply-adds of a whole run."""
    from torch.nn.attention import SDPBackend, sdpa_kernel
    from torch.utils.flop_counter import FlopCounterMode

    # Only as plain products is attention counted on a processor.
    with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
        pretrained(data, 0, steps=steps, **words)
    return int(counter.get_total_flops()) // 2
