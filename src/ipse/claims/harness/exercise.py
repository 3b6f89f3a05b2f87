"""Recordings of people who exercise, with which claims about series are written."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from ipse.errors import UserError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ipse.data import Data


def exercises(seed: int, length: int = 100, channels: int = 6, by: str = "recording") -> Data:
    """Windows of a smartwatch's accelerations and turning rates at 25 Hz, labelled by exercise (`watch`: 10 people, 7 exercises).

    Six people to learn from and the four others to test on, drawn anew for every seed. A window's group is its recording, of one
    exercise, or the "person". channels: 3 for the accelerations alone. Raises UserError where the recordings are not at hand.
    """
    import numpy as np

    from ipse.data import open_data

    recordings, exercise, person = watch()
    tested = np.random.default_rng(seed).permutation(np.unique(person))[:4]

    def part(places: NDArray[Any], **words: Any) -> Data:
        opened = open_data(([recordings[i][:channels] for i in places], exercise[places]), modality="series", **words)
        if by == "person" and opened.train.group is not None:
            opened.train.group = person[places][opened.train.group]
        return opened

    train = part(np.flatnonzero(~np.isin(person, tested)), size=length)
    test = part(np.flatnonzero(np.isin(person, tested)), form=train.form)
    return replace(train, name="watch", test=test.train, key=f"{train.key}-{test.key}")


def watch() -> tuple[list[NDArray[Any]], NDArray[Any], NDArray[Any]]:
    """The recordings of `watch`, (6, T) at 25 Hz each, what exercise each is of and who did it."""
    import numpy as np

    from ipse.data.cache import data_folder

    path = data_folder() / "watch" / "data.npz"
    if not path.is_file():
        raise UserError(f"the claim needs the smartwatch recordings of seglearn in {path}")
    with np.load(path) as kept:
        parts = np.split(kept["x"], np.cumsum(kept["lengths"])[:-1])
        halved = [one[: len(one) // 2 * 2].reshape(-1, 2, 6).mean(axis=1).T for one in parts]
        return halved, kept["classes"][kept["y"]], kept["subject"]
