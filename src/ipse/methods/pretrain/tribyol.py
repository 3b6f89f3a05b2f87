"""TriBYOL."""

from __future__ import annotations

from ipse.methods.pretrain.byol import BYOL
from ipse.transforms import Views


class TriBYOL(BYOL):
    """Predicts two teachers at once, each of which pairs the first view with a view of its own: BYOL for small batches.

    The teachers follow the student in turn, so that they differ. That they take turns is how a public re-implementation does it; the paper does not say.

    Li et al., ICASSP 2022, arXiv:2206.03012
    """

    sees = Views(3)
