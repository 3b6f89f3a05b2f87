"""Fine-tuning."""

from __future__ import annotations

from ipse.methods.forget.joint import Joint


class FineTune(Joint):
    """Goes on learning from the samples to keep alone, and waits for the others to fade.

    Warnecke, Pirch, Wressnegger, Rieck, NDSS 2023, arXiv:2108.11577
    """

    needs = frozenset({"retain", "labels"})
    says = frozenset({"classes", "numbers"})
    forgets = False
