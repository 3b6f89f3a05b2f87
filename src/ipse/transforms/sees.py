"""What a method wants to see, in words that hold for every modality."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal


@dataclass(frozen=True)
class Look:
    """One look at each sample: how strongly it is changed, at which share of the full size, what differs from the policy.

    Changes are settings of policies by name, of one modality alone with its name before them ("audio.noise").
    """

    strength: Literal["strong", "weak", "none"] = "strong"
    scale: float = 1.0
    changes: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Sees:
    """The looks a method takes at each sample.

    unit: what stands at one place of a batch. "sample": all looks are at one sample. "group": each look is at another, random
    sample of one group (a person, a recording), and no group is twice in a batch.
    labelled: the share of each batch that is drawn from the samples with labels, the rest from those without; None draws from all alike.
    batches: how many batches of the stream a step takes.
    """

    looks: tuple[Look, ...]
    unit: Literal["sample", "group"] = "sample"
    labelled: float | None = None
    batches: int = 1


def Views(n: int) -> Sees:
    """n independent strong views."""
    return Sees((Look(),) * n)


def TwoViews(*, asymmetric: bool = False) -> Sees:
    """Two strong views; asymmetric ones differ in blur and solarisation (BYOL, Barlow Twins)."""
    if not asymmetric:
        return Views(2)
    return Sees((Look(changes={"blur": 1.0, "solarize": 0.0}), Look(changes={"blur": 0.1, "solarize": 0.2})))


def MultiCrop(n_global: int = 2, n_local: int = 6, *, split: float = 0.4, local_scale: float = 0.5) -> Sees:
    """Large crops at full size, of more than `split` of the sample, and small ones at `local_scale` of it, of less.

    Caron et al., 2020, arXiv:2006.09882 (SwAV); Caron et al., 2021, arXiv:2104.14294 (DINO).
    """
    large, small = Look(changes={"crop": (split, 1.0)}), Look(scale=local_scale, changes={"crop": (0.05, split)})
    return Sees((large,) * n_global + (small,) * n_local)


def SameGroup(n: int, look: Look) -> Sees:
    """n different samples of one group, each with the same look."""
    return Sees((look,) * n, unit="group")


def Masked() -> Sees:
    """One weak view, of which the method will hide a part."""
    return Sees((Look("weak", changes={"image.crop": (0.2, 1.0)}),))


def Original(*, labelled: float | None = None) -> Sees:
    """The sample as it is."""
    return Sees((Look("none"),), labelled=labelled)


def InPlace(**changes: Any) -> Look:
    """A look at a whole recording, every moment where it was and as loud; only `changes` happen to it."""
    return Look("weak", changes={"crop": (1.0, 1.0), "part": (0.0, 1.0), "gain": (0.0, 0.0), **changes})


def WeakStrong(*, labelled: float | None = None) -> Sees:
    """A weak and a strong view (FixMatch)."""
    return Sees((Look("weak"), Look("strong")), labelled=labelled)


def Weak(*, labelled: float | None = None) -> Sees:
    """One weak view."""
    return Sees((Look("weak"),), labelled=labelled)
