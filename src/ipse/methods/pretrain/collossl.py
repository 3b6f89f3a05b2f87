"""Collaborative self-supervised learning of several devices."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor

from ipse import randomness
from ipse.data import Form, Samples
from ipse.data.form import some_channels
from ipse.distributed import gather, rank
from ipse.errors import UserError, unknown
from ipse.losses.series import multi_device_contrast
from ipse.metrics.mmd import mmd
from ipse.models import Encoder, mlp
from ipse.training import Batch, Method, Recipe, Step
from ipse.transforms import Original

_COMPARED = 128  # samples of a batch: distances take time that grows with their square
_NEAREST = 1e-4  # the least distance, or the weight of a device that records the same would have no bound


class ColloSSL(Method):
    """Tells what other devices on the same body recorded at this moment from what they recorded at another.

    The channels of the data are those of device 0, then as many of device 1, and so on; `anchor` is the device whose encoder is
    wanted, and which serves alone afterwards. In each batch the other devices are sorted by how differently they move, the mean
    over channels of their windows' maximum mean discrepancy from the anchor's, and the `policy` picks those to compare with:

        closest_pos_all_neg   the closest is positive, all are negative (what the authors run)
        closest_pos_rest_neg  the closest is positive, all others are negative
        hard_negative         the closest is positive, the two after it are negative
        closest_only          the closest is both
        random_selection      any one is positive, any one negative

    A positive is the window of the same time, a negative that of another sample of the batch, never of the same. weighted: a
    negative device counts as much as one over its distance. The released loss has the sign of the cosine wrong; this one does not.

    Jain et al., IMWUT 2022, arXiv:2202.00758
    """

    sees = Original()
    recipe = Recipe(lr=5e-4, weight_decay=1e-4)
    modalities: ClassVar[tuple[str, ...]] = ("series",)

    def __init__(
        self,
        encoder: Encoder,
        *,
        devices: int = 2,
        anchor: int = 0,
        policy: str = "closest_pos_all_neg",
        weighted: bool = True,
        temperature: float = 0.05,
        widths: Sequence[int] = (256, 128, 50),
    ):
        super().__init__(encoder)
        if policy not in _NEEDED:
            raise unknown("policy of collossl:", policy, _NEEDED)
        if devices < _NEEDED[policy]:
            raise UserError(
                f"collossl's policy {policy} needs {_NEEDED[policy]} devices or more, not {devices}: --set devices=N"
            )
        self.devices, self.anchor, self.policy, self.weighted, self.temperature = devices, anchor, policy, weighted, temperature
        self.projector = mlp(encoder.dim, *widths, norm=False, final_bias=True)

    @classmethod
    def encoder_form(cls, form: Form, *, devices: int = 2, anchor: int = 0, **settings: Any) -> Form:
        """The form of what the anchor records."""
        if devices < 2 or form["channels"] % devices:
            raise UserError(
                f"collossl cannot share {form['channels']} channel(s) among {devices} devices of equally many: --set devices=N"
            )
        if not 0 <= anchor < devices:
            raise UserError(f"collossl has devices 0 to {devices - 1}: --set anchor=0, for example, not {anchor}")
        each = form["channels"] // devices
        return some_channels(form, range(anchor * each, (anchor + 1) * each))

    def prepare(self, samples: Samples) -> None:
        expected, given = self.devices * self.encoder.form["channels"], samples.form["channels"]
        if expected != given:
            raise UserError(
                f"collossl expects {expected} channels, {self.devices} times the encoder's, and the data has {given}"
            )

    def loss(self, batch: Batch) -> Step:
        (x,) = batch
        worn = x.unflatten(1, (self.devices, -1)).transpose(0, 1)  # (devices, b, C, T)
        far = self._distances(batch, x)
        chance = randomness.uniform(randomness.key(batch.seed, "devices"), torch.tensor([batch.step]), 2)[0].tolist()
        positive, negative = choose(self.policy, sorted(far, key=lambda i: far[i]), chance)
        used = sorted({self.anchor, *positive, *negative})
        h = self.encoder(worn[used].flatten(0, 1))
        z = dict(zip(used, self.projector(h).unflatten(0, (len(used), -1)), strict=True))
        orders = [elsewhere(gather(batch.uniform(f"device {i}", 1)[:, 0]))[rank() * len(x) :][: len(x)] for i in negative]
        misaligned = torch.stack([gather(z[i])[order] for i, order in zip(negative, orders, strict=True)])
        weights = x.new_tensor([1 / far[i] for i in negative]) if self.weighted and self.policy != "random_selection" else None
        aligned = torch.stack([z[i] for i in positive])
        loss = multi_device_contrast(z[self.anchor], aligned, misaligned, None, weights, self.temperature)
        own = h.unflatten(0, (len(used), -1))[used.index(self.anchor)]
        return Step(loss, z=(z[self.anchor], *aligned), h=(own,))

    def _distances(self, batch: Batch, x: Tensor) -> dict[int, float]:
        """How far each other device is from the anchor in this batch, the same on all processes."""
        some = gather(batch.uniform("compared", 1)[:, 0]).argsort(stable=True)[:_COMPARED]
        others = [i for i in range(self.devices) if i != self.anchor]
        return dict(zip(others, distances(gather(x)[some], self.devices, self.anchor), strict=True))


_NEEDED = {"closest_pos_all_neg": 2, "closest_pos_rest_neg": 3, "hard_negative": 3, "closest_only": 2, "random_selection": 2}


def choose(policy: str, order: list[int], chance: Sequence[float] = (0.0, 0.0)) -> tuple[list[int], list[int]]:
    """The positive and the negative devices, of devices in the order of their distance; chance: two random numbers in [0, 1).

    >>> choose("hard_negative", [3, 1, 4, 2])
    ([3], [1, 4])
    """
    if policy == "random_selection":
        first, second = (order[int(u * len(order))] for u in chance)
        return [first], [second]
    negative = {
        "closest_pos_all_neg": order,
        "closest_pos_rest_neg": order[1:],
        "hard_negative": order[1:3],
        "closest_only": order[:1],
    }
    return order[:1], negative[policy]


def distances(x: Tensor, devices: int, anchor: int) -> list[float]:
    """How far each other device is from the anchor: the mean over channels of the windows' maximum mean discrepancy.

    x: (B, devices * C, T), windows of the same times; what is missing counts as 0, the mean of its channel.
    """
    worn = x.detach().nan_to_num(0.0).unflatten(1, (devices, -1))
    own = worn[:, anchor].unbind(1)
    others = [worn[:, i].unbind(1) for i in range(devices) if i != anchor]
    return [max(_NEAREST, sum(mmd(a, b) for a, b in zip(own, other, strict=True)) / len(own)) for other in others]


def elsewhere(chance: Tensor) -> Tensor:
    """For each of B samples another one, (B,), by a random number (B,) of each: each follows the next in their order, in a circle.

    >>> elsewhere(torch.tensor([0.5, 0.1, 0.9]))
    tensor([2, 0, 1])
    """
    order = chance.argsort(stable=True)
    return torch.empty_like(order).scatter_(0, order, order.roll(-1))
