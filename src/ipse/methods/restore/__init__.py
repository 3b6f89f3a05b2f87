"""Ways to restore corrupted signals without clean ones.

What comes in and out, by what a method `takes` (always float32, the job reads and writes the files and knows the units):

    image    (B, C, H, W) in [0, 1], C = 1 or 3: display values as they stand in the file. Any picture file; .npy (H, W), (H, W, 3)
    complex  (B, 2, H, W), real and imaginary part in the units of the file: radar. .npy complex (H, W), or real (H, W, 2)
    kspace   (B, 2 coils, H, W), real and imaginary part of each coil, the zero frequency in the middle, 0 where nothing was acquired: MRI.
             .npy complex (H, W) or (coils, H, W), or real (H, W, 2)
    frames   (B, T, C, H, W) in [0, 1]: video, or two rolling-shutter pictures (T = 2). .npy (T, H, W), (T, H, W, 3)

A method gives back what it takes, except that `complex` and `kspace` become a magnitude (B, 1, H, W) in the units of the file,
and that `frames` may have another T, H and W.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, ClassVar, Literal, NamedTuple

from torch import Tensor, nn

from ipse.errors import UserError
from ipse.training import Observer, Player, descend


class Tile(NamedTuple):
    """A part of a picture with the `halo` around it: x (1, C, h, w), and which of its rows and columns are its own.

    Every pixel of the picture is some tile's own exactly once. At the picture's border there is no halo.
    """

    x: Tensor
    rows: slice = slice(None)
    columns: slice = slice(None)

    def own(self, y: Tensor) -> Tensor:
        """Without the halo: (..., h, w) of the tile as it is, of `y` too if that has its size."""
        return y[..., self.rows, self.columns]


class Restorer(nn.Module):
    """A way to restore a signal: `fit` learns what it must, `restore` gives the restored signal.

    Built as `Method(channels, name=value, ...)`: hyper-parameters are typed keyword-only arguments with the paper's defaults.
    Whoever builds it seeds torch's generator for the initial weights (`ipse.training.descent.seeded`). All that is learned is in
    parameters and buffers: a trained one is kept on disk as its state_dict.
    """

    noise: ClassVar[str]
    """What corruption it is valid for, in words that complete "for ..."."""
    fits: ClassVar[Literal["nothing", "noise", "each", "all"]]
    """What `fit` learns from: nothing (it is never called), noise of its own (signals are empty), each signal alone, or all of a folder together."""
    takes: ClassVar[Literal["image", "complex", "kspace", "frames"]] = "image"
    wants: ClassVar[str | None] = None
    """What `like`, the second set of signals that `fit` cannot do without, holds, in words: "photos of normal brightness"; None: it needs none."""
    welcomes: ClassVar[str | None] = None
    """The same, of what `fit` makes use of where it is given, and can do without."""
    later: ClassVar[tuple[str, ...]] = ()
    """Settings that `fit` does not depend on: what was trained is used again whatever they are."""
    steps: ClassVar[int] = 0
    """How many steps `fit` takes by default."""

    def __init__(self, channels: int = 3):
        """channels: 1 or 3 of images and frames, the coils of k-space, 1 of complex signals."""
        super().__init__()
        self.channels = channels

    @property
    def halo(self) -> int | None:
        """How far, in pixels, a restored pixel looks around itself; None where it depends on the whole picture, which is not tiled then."""
        return None

    @property
    def multiple(self) -> int:
        """What the height and width that `restore` sees must be multiples of; the job pads the picture by reflection and tiles at multiples."""
        return 1

    def fit(
        self,
        signals: Sequence[Tensor] = (),
        *,
        like: Sequence[Tensor] = (),
        seed: int = 0,
        steps: int | None = None,
        observer: Observer | None = None,
    ) -> None:
        """Learns from signals (1, ...) of different sizes, which may be read from disk when they are indexed.

        like: unpaired examples of what is wished for, where the method `wants` them. steps: None for the method's own number.
        Leaves the module in evaluation mode. The same seed gives the same weights.
        """
        if self.fits in ("each", "all") and not len(signals) and not len(like):
            raise UserError(f"{type(self).__name__} learns from signals: give it some")
        steps = self.steps if steps is None else steps
        players = self.players(signals, like, seed, steps)
        descend(self, *players, steps=steps if players else 0, seed=seed, observer=observer)

    def players(self, signals: Sequence[Tensor], like: Sequence[Tensor], seed: int, steps: int) -> Sequence[Player]:
        """Who learns, from which losses, in `fit`; nobody where there is nothing to learn."""
        raise NotImplementedError

    def survey(self, tiles: Iterable[Tile]) -> Any:
        """What `restore` of a tile must know of the whole picture (sums over its pixels), None where tiles are restored by themselves."""
        return None

    def restore(self, x: Tensor, whole: Any = None) -> Tensor:
        """The restored signal. `whole`: what `survey` said where x is a tile; None where x is all there is."""
        raise NotImplementedError

    def forward(self, x: Tensor) -> Tensor:
        return self.restore(x)

    def checked(self, x: Tensor) -> Tensor:
        """x as it is; raises UserError when it has not the form that this method takes."""
        n = self.channels
        what, leading, channels = {
            "image": ("pictures", "B", n),
            "complex": ("real and imaginary parts", "B", 2),
            "kspace": (f"real and imaginary parts of {n} coil{'s' * (n > 1)}", "B", 2 * n),
            "frames": ("frames", "B, T", n),
        }[self.takes]
        if x.dim() != (5 if self.takes == "frames" else 4) or x.shape[-3] != channels or 0 in x.shape:
            raise UserError(f"{type(self).__name__} takes {what} ({leading}, {channels}, H, W), not {tuple(x.shape)}")
        return x
