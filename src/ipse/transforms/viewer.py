"""What makes views, one kind for each modality."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Generic, TypeVar

import torch
from torch import Tensor

from ipse.data import Raw
from ipse.transforms.policy import Policy
from ipse.transforms.sees import Look
from ipse.transforms.view import View

Kind = TypeVar("Kind", bound=Policy)


class Viewer(ABC, Generic[Kind]):
    """Makes views of batches of samples as they are read, on their device; what it makes depends on its arguments alone."""

    policy: Kind

    @abstractmethod
    def view(self, raw: Raw, look: Look, key: int, position: Tensor) -> View:
        """One view per sample; every random number is drawn from (key, position) by `ipse.randomness`; position is int64 (B,)."""

    def original(self, raw: Raw) -> View:
        """Each sample as it is."""
        return self.view(raw, Look("none"), 0, torch.zeros(len(raw["x"]), dtype=torch.int64))

    def policy_of(self, look: Look) -> Kind:
        """What the policy means for one look."""
        return self.policy.of(look)
