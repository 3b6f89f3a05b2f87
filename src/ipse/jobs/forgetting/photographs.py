"""Pictures of no data set: patches of the two photographs that come with scikit-learn."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ipse.errors import UserError

if TYPE_CHECKING:
    from ipse.data import Form, Samples


def patches(form: Form, n: int, seed: int = 0) -> Samples:
    """n random square patches of a temple and a flower, of any scale, in colour or grey, as pictures of a form."""
    import numpy as np
    import torch
    from sklearn.datasets import load_sample_images

    from ipse import randomness
    from ipse.data import open_data

    channels, size = form["channels"], form["size"]
    if channels not in (1, 3):
        raise UserError(f"there are no photographs of {channels} channels at hand: give --pool DATA")
    photographs = [torch.from_numpy(np.array(x)).permute(2, 0, 1)[None].float() for x in load_sample_images().images]
    chance = randomness.uniform(randomness.key(seed, "photographs"), torch.arange(n), 4).tolist()
    out = torch.empty(n, 3, size, size)
    for i, (which, scale, top, left) in enumerate(chance):
        photograph = photographs[int(which * len(photographs))]
        height, width = photograph.shape[-2:]
        side = round(min(size, height) + scale**2 * (min(height, width) - min(size, height)))
        y, x = round(top * (height - side)), round(left * (width - side))
        patch = photograph[..., y : y + side, x : x + side]
        out[i] = torch.nn.functional.interpolate(patch, (size, size), mode="bilinear", antialias=True)[0]
    grey = out.mean(1, keepdim=True) if channels == 1 else out
    return open_data(grey.round().clamp(0, 255).to(torch.uint8).numpy(), form=form).train
