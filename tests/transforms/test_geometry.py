from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image
from scipy import stats
from torch import Tensor
from torch.nn import functional as F
from torchvision.transforms import RandomErasing, RandomResizedCrop
from torchvision.transforms import functional as TF

from ipse.transforms import View
from ipse.transforms.image import ImagePolicy, make_view, original

ONE_IN_A_THOUSAND = 1e-3  # the draws are fixed, so a check that passes once passes always
PLAIN = ImagePolicy(jitter=0.0, grey=0.0, blur=0.0, flip=0.0)
WHOLE = replace(PLAIN, crop=(1.0, 1.0), ratio=(1.0, 1.0))


def views(source: Tensor, policy: ImagePolicy, size: int, aspect: float | None = None, key: int = 1) -> View:
    aspects = torch.full((len(source),), source.shape[3] / source.shape[2] if aspect is None else aspect)
    return make_view(source, aspects, policy, size, key, torch.arange(len(source)))


def empty(n: int) -> Tensor:
    return torch.zeros(n, 1, 2, 2, dtype=torch.uint8)


def ramps(height: int, width: int, n: int) -> Tensor:
    """Pictures whose first channel is the number of the column and whose second is that of the row."""
    rows, columns = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    return torch.stack([columns, rows]).to(torch.uint8).expand(n, -1, -1, -1)


def places(matrix: Tensor, size: int, height: int, width: int) -> Tensor:
    """The source pixel (B, 2, size, size), column and row, that each pixel of a view shows, from its matrix alone."""
    side = (2 * torch.arange(size) + 1) / size - 1
    y, x = torch.meshgrid(side, side, indexing="ij")
    here = torch.stack([x, y, torch.ones_like(x)]).reshape(3, -1)
    there = (matrix @ here).view(-1, 2, size, size)
    return (there + 1) * torch.tensor([width, height]).view(2, 1, 1) / 2 - 0.5


class TestCrop:
    N = 2000

    def theirs(self, policy: ImagePolicy, aspect: float, n: int = N) -> np.ndarray:
        """Width, height, left and top as shares of the picture, by torchvision."""
        torch.manual_seed(0)
        h, w = (2400, round(2400 * aspect)) if aspect < 1 else (round(2400 / aspect), 2400)
        picture = torch.empty(1, h, w)
        boxes = [RandomResizedCrop.get_params(picture, policy.crop, policy.ratio) for _ in range(n)]
        return np.array([(bw / w, bh / h, left / w, top / h) for top, left, bh, bw in boxes])

    def ours(self, policy: ImagePolicy, aspect: float, n: int = N) -> np.ndarray:
        matrix = views(empty(n), policy, 1, aspect).matrix.double()
        side, shift = torch.stack([matrix[:, 0, 0], matrix[:, 1, 1]], 1).abs(), matrix[:, :, 2]
        return torch.cat([side, (1 + shift - side) / 2], 1).numpy()

    @pytest.mark.parametrize(
        ("aspect", "crop"),
        [(1.0, (0.2, 1.0)), (1.0, (0.08, 1.0)), (1.0, (0.05, 0.4)), (1.5, (0.2, 1.0)), (0.5, (0.08, 1.0)), (2.5, (0.3, 1.0))],
    )
    def test_boxes_are_distributed_as_torchvisions(self, aspect, crop):
        policy = replace(PLAIN, crop=crop)
        theirs, ours = self.theirs(policy, aspect), self.ours(policy, aspect)
        for name, of in {
            "area": lambda b: b[:, 0] * b[:, 1],
            "ratio": lambda b: np.log(aspect * b[:, 0] / b[:, 1]),
            "width": lambda b: b[:, 0],
            "height": lambda b: b[:, 1],
            "left": lambda b: b[:, 2],
            "top": lambda b: b[:, 3],
            "middle": lambda b: b[:, 2] + b[:, 0] / 2,
            "left in the room there is": lambda b: b[:, 2] / np.maximum(1 - b[:, 0], 1e-3),
            "area times left": lambda b: b[:, 0] * b[:, 1] * b[:, 2],
        }.items():
            # whole pixels against none: torchvision's boxes jitter by 1/2400 of the side, far below what 2000 draws can tell
            a, b = np.round(of(theirs), 3), np.round(of(ours), 3)
            assert stats.ks_2samp(a, b).pvalue > ONE_IN_A_THOUSAND, name

    @pytest.mark.parametrize(("aspect", "expected"), [(10.0, (4 / 30, 1.0)), (0.1, (1.0, 0.1 * 4 / 3)), (1.2, (1.0, 1.0))])
    def test_where_nothing_fits_it_is_the_largest_crop_in_the_middle(self, aspect, expected):
        policy = replace(PLAIN, crop=(1.0, 1.0)) if aspect != 1.2 else replace(PLAIN, crop=(1.0, 1.0), ratio=(1.2, 1.2))
        theirs, ours = self.theirs(policy, aspect, 100), self.ours(policy, aspect, 100)
        width, height = expected
        assert ours == pytest.approx(np.tile([width, height, (1 - width) / 2, (1 - height) / 2], (100, 1)), abs=1e-6)
        assert theirs == pytest.approx(ours, abs=0.005)

    def test_pictures_in_one_batch_have_their_own_aspect(self):
        aspect = torch.tensor([1.0, 2.0, 0.25]).repeat(500)
        matrix = make_view(empty(1500), aspect, PLAIN, 1, 0, torch.arange(1500)).matrix
        for i, a in enumerate((1.0, 2.0, 0.25)):
            alone = make_view(empty(1500), torch.full((1500,), a), PLAIN, 1, 0, torch.arange(1500)).matrix
            assert torch.equal(matrix[i::3], alone[i::3])
        ratio = aspect * matrix[:, 0, 0] / matrix[:, 1, 1]
        assert float(ratio.min()) >= 3 / 4 - 1e-5
        assert float(ratio.max()) <= 4 / 3 + 1e-5

    def test_no_box_leaves_the_picture(self):
        matrix = views(
            empty(2000), replace(PLAIN, crop=(0.01, 1.0), ratio=(0.1, 10.0), flip=0.5, flip_vertical=0.5), 1, 3.0
        ).matrix
        assert float((matrix[:, :, :2].abs().sum(2) + matrix[:, :, 2].abs()).max()) <= 1 + 1e-6


class TestFlip:
    @pytest.mark.parametrize(("across", "down"), [(0.5, 0.0), (0.0, 0.5), (0.3, 0.8), (1.0, 0.0), (0.0, 1.0)])
    def test_as_often_as_asked_and_independently(self, across, down):
        n = 4000
        matrix = views(empty(n), replace(PLAIN, flip=across, flip_vertical=down), 1).matrix
        x, y = matrix[:, 0, 0] < 0, matrix[:, 1, 1] < 0
        for flipped, chance in ((x, across), (y, down), (x & y, across * down)):
            assert abs(float(flipped.float().mean()) - chance) <= 4 * (chance * (1 - chance) / n) ** 0.5

    def test_flips_do_not_depend_on_the_box(self):
        matrix = views(empty(4000), replace(PLAIN, flip=0.5), 1).matrix
        flipped = matrix[:, 0, 0] < 0
        for value in (matrix[:, 0, 0].abs(), matrix[:, 0, 2], matrix[:, 1, 2]):
            assert stats.ks_2samp(value[flipped], value[~flipped]).pvalue > ONE_IN_A_THOUSAND

    def test_a_flipped_view_is_the_mirror_image(self, patches):
        plain = views(patches[:8], PLAIN, 20)
        across = views(patches[:8], replace(PLAIN, flip=1.0), 20)
        down = views(patches[:8], replace(PLAIN, flip_vertical=1.0), 20)
        assert across.x == pytest.approx(plain.x.flip(3), abs=1e-5)
        assert down.x == pytest.approx(plain.x.flip(2), abs=1e-5)


class TestMatrix:
    """The matrix of a view says where each of its pixels comes from, whatever was drawn."""

    @pytest.mark.parametrize("size", [8, 33, 96, 224])
    @pytest.mark.parametrize("shape", [(64, 64), (48, 80), (90, 30)])
    @pytest.mark.parametrize("rotation", [0.0, 30.0])
    def test_pixels_show_the_places_that_it_names(self, size, shape, rotation):
        n = 6
        policy = replace(PLAIN, flip=0.5, flip_vertical=0.5, rotation=rotation)
        view = views(ramps(*shape, n), policy, size, aspect=1.7)
        named = places(view.matrix, size, *shape)
        shown = (view.x + 1) * 127.5
        step = torch.einsum("bij,j->bi", view.matrix[:, :, :2].abs(), torch.ones(2)) * torch.tensor([shape[1], shape[0]]) / size
        room = (1 + step)[:, :, None, None]  # what a filter may touch: at the borders it sees less of one side
        last = torch.tensor([shape[1] - 1, shape[0] - 1]).view(2, 1, 1)
        inside = ((named >= room) & (named <= last - room)).all(1, keepdim=True).expand_as(named)
        assert float(inside.float().mean()) > 0.3
        coarser = float(step.max()) > 1  # the few weights of a triangle are not quite centred on it, in PIL neither
        assert float((shown - named).abs()[inside].max()) < (0.1 if coarser else 1e-3)

    @pytest.mark.parametrize("shape", [(24, 24), (20, 30)])
    @pytest.mark.parametrize("aspect", [1.0, 0.6, 2.0])
    def test_sampling_the_source_there_gives_the_view(self, photos, shape, aspect):
        source = torch.stack([photo[:, 100 : 100 + shape[0], 200 : 200 + shape[1]] for photo in photos]).repeat(8, 1, 1, 1)
        view = views(
            source, replace(PLAIN, flip=0.5), 32, aspect
        )  # no coarser than the source: nothing but linear interpolation
        grid = F.affine_grid(view.matrix, list(view.x.shape), align_corners=False)
        x = F.grid_sample(source.float(), grid, padding_mode="border", align_corners=False) / 127.5 - 1
        assert float((view.x - x).abs().max()) < 1e-4

    def test_a_coarser_view_is_what_sampling_shows_of_a_smooth_picture(self, photos):
        small = torch.stack(photos).float()[:, :, ::4, ::4]
        smooth = TF.gaussian_blur(small, [11, 11], [2.0, 2.0]).round().to(torch.uint8)
        view = views(smooth.repeat(8, 1, 1, 1), replace(PLAIN, flip=0.5, rotation=20.0), 64)
        grid = F.affine_grid(view.matrix, list(view.x.shape), align_corners=False)
        source = smooth.repeat(8, 1, 1, 1).float()
        x = F.grid_sample(source, grid, padding_mode="reflection", align_corners=False) / 127.5 - 1
        assert float((view.x - x).abs().max()) < 6 / 127.5
        assert float((view.x - x).abs().mean()) < 0.5 / 127.5


class TestRotation:
    def test_angles_are_uniform_and_right_angles_stay_right(self):
        aspect = 1.8
        policy = replace(PLAIN, rotation=25.0)
        turned, straight = (views(empty(3000), p, 1, aspect).matrix.double() for p in (policy, PLAIN))
        picture = torch.diag(torch.tensor([aspect, 1.0])).double() @ turned[:, :, :2]  # in units of the picture's height
        across, down = picture[:, :, 0], picture[:, :, 1]
        assert float((across * down).sum(1).abs().max()) < 1e-5
        assert across.norm(dim=1).numpy() == pytest.approx(aspect * straight[:, 0, 0].numpy(), rel=1e-4)
        assert down.norm(dim=1).numpy() == pytest.approx(straight[:, 1, 1].numpy(), rel=1e-4)
        angle = torch.rad2deg(torch.atan2(across[:, 1], across[:, 0])).numpy()
        assert stats.kstest(angle, "uniform", (-25, 50)).pvalue > ONE_IN_A_THOUSAND

    def test_the_content_turns_as_in_torchvision(self, photos):
        source = torch.stack([photo[:, 100:164, 200:264] for photo in photos]).repeat(4, 1, 1, 1)
        view = views(source, replace(WHOLE, rotation=40.0), 64)
        y, x = torch.meshgrid(*[(2 * torch.arange(64) + 1) / 64 - 1] * 2, indexing="ij")
        inside = (x**2 + y**2 < 0.9).expand(3, -1, -1)
        for picture, shown, matrix in zip(source, view.x, view.matrix, strict=True):
            angle = math.degrees(
                math.atan2(float(matrix[1, 0]), float(matrix[0, 0]))
            )  # clockwise for the frame, and so the other way round for content
            expected = TF.rotate(picture.float(), angle, TF.InterpolationMode.BILINEAR) / 127.5 - 1
            assert float((shown - expected).abs()[inside].max()) < 0.01

    @pytest.mark.parametrize("factor", [2, 4])
    def test_a_coarser_view_is_as_smooth_turned_as_straight(self, factor):
        noise = torch.randint(
            0, 256, (8, 1, 32 * factor, 32 * factor), generator=torch.Generator().manual_seed(0), dtype=torch.uint8
        )
        straight, turned = (views(noise, replace(WHOLE, rotation=r), 32).x[:, :, 8:-8, 8:-8].std() for r in (0.0, 45.0))
        assert float(turned / straight) == pytest.approx(1, abs=0.15)  # 2 and 4 times rougher where nothing smooths


class TestResize:
    """The crop is resampled as PIL does it: linearly, over a wider triangle where the view is coarser."""

    @pytest.mark.parametrize("size", [8, 23, 64, 224])
    @pytest.mark.parametrize("shape", [(64, 64), (37, 91), (200, 120)])
    def test_whole_pictures_as_in_torchvision(self, photos, size, shape):
        source = torch.stack([photo[:, : shape[0], 100 : 100 + shape[1]] for photo in photos])
        view = views(source, WHOLE, size, aspect=1.0)
        expected = TF.resize(source.float(), [size, size], TF.InterpolationMode.BILINEAR, antialias=True) / 127.5 - 1
        assert float((view.x - expected).abs().max()) < 1e-4

    @pytest.mark.parametrize("size", [8, 32, 100])
    def test_boxes_as_in_pil(self, photos, size):
        source = torch.stack([photo[:, 50:140, 100:240] for photo in photos]).repeat(6, 1, 1, 1)
        view = views(source, replace(PLAIN, crop=(0.1, 1.0)), size)
        for picture, shown, matrix in zip(source, view.x, view.matrix.double(), strict=True):
            (sx, sy), (tx, ty) = matrix[:, :2].diagonal().tolist(), matrix[:, 2].tolist()
            box = ((1 + tx - sx) * 70, (1 + ty - sy) * 45, (1 + tx + sx) * 70, (1 + ty + sy) * 45)
            box = tuple(min(max(edge, 0.0), limit) for edge, limit in zip(box, (140, 90, 140, 90), strict=True))
            image = Image.fromarray(picture.permute(1, 2, 0).numpy()).resize((size, size), Image.Resampling.BILINEAR, box)
            expected = torch.from_numpy(np.array(image)).permute(2, 0, 1).float()
            difference = (shown + 1) * 127.5 - expected
            assert float(difference.abs().max()) < 1.05  # PIL rounds twice, half a level each time
            assert abs(float(difference.mean())) < 0.1

    def test_whole_pixels_are_copied(self, patches):
        assert ((views(patches[:4], WHOLE, 24).x + 1) * 127.5).round().to(torch.uint8).equal(patches[:4])

    def test_boxes_of_whole_pixels_inside_are_those_of_torchvision(self, photos):
        """torchvision cuts the box out before it resizes, so at its rim pixels from outside count for us and not for torchvision."""
        source = photos[0][None, :, :100, :100].repeat(20, 1, 1, 1)
        view = views(source, replace(PLAIN, crop=(0.25, 0.25), ratio=(1.0, 1.0)), 25)
        worst = []
        for shown, matrix in zip(view.x, view.matrix, strict=True):
            left, top = ((1 + matrix[:, 2] - 0.5) * 50).tolist()
            expected = TF.resized_crop(source[0].float(), round(top), round(left), 50, 50, [25, 25], antialias=True) / 127.5 - 1
            if max(abs(left - round(left)), abs(top - round(top))) < 0.15:  # in the others whole pixels shift the picture
                worst.append(float((shown - expected)[:, 2:-2, 2:-2].abs().mean()))
        assert worst
        assert max(worst) < 0.02


class TestOriginal:
    @pytest.mark.parametrize(("width", "height"), [(120, 60), (60, 120), (90, 90), (100, 70)])
    @pytest.mark.parametrize("size", [16, 60])
    def test_it_is_the_middle_square_of_the_picture_before_it_was_squashed(self, photos, width, height, size):
        picture = TF.gaussian_blur(photos[1].float(), [9, 9], [2.0, 2.0])[:, 150 : 150 + height, 250 : 250 + width]
        squashed = TF.resize(picture, [80, 80], antialias=True).round().to(torch.uint8)
        view = original(squashed[None], torch.tensor([width / height]), size)
        side = min(width, height)
        expected = TF.resize(TF.center_crop(picture, [side, side]), [size, size], antialias=True) / 127.5 - 1
        assert float((view.x[0] - expected).abs().mean()) < 0.03
        assert float((view.x[0] - expected).abs().max()) < 0.3

    def test_its_matrix_names_the_places(self):
        view = original(ramps(50, 70, 3), torch.tensor([1.0, 2.0, 0.5]), 32)
        named, shown = places(view.matrix, 32, 50, 70), (view.x + 1) * 127.5
        assert float((shown - named)[:, :, 3:-3, 3:-3].abs().max()) < 0.1

    def test_it_is_the_same_every_time_and_leaves_the_colours(self, patches):
        a, b = (original(patches[:8], torch.ones(8), 24) for _ in range(2))
        assert torch.equal(a.x, b.x)
        assert float((a.x - (patches[:8] / 127.5 - 1)).abs().max()) < 1e-5
        assert torch.equal(a.colour, torch.eye(3, 4).expand(8, -1, -1))


class TestCutout:
    N, SIZE = 1500, 64

    def boxes(self, policy: ImagePolicy) -> np.ndarray:
        """Left, top, width and height of what is hidden."""
        x = views(torch.full((self.N, 1, 1, 1), 255, dtype=torch.uint8), policy, self.SIZE).x[:, 0]
        hidden = x == 0
        assert bool((hidden | (x == 1)).all())
        rows, columns = hidden.any(2), hidden.any(1)
        assert torch.equal(hidden, rows[:, :, None] & columns[:, None, :])
        start = torch.stack([columns.float().argmax(1), rows.float().argmax(1)], 1)
        return torch.cat([start, torch.stack([columns.sum(1), rows.sum(1)], 1)], 1).numpy()

    def test_what_is_hidden_is_distributed_as_torchvisions_random_erasing(self):
        ours = self.boxes(replace(WHOLE, cutout=1.0)).astype(float)
        torch.manual_seed(0)
        picture = torch.empty(1, self.SIZE, self.SIZE)
        drawn = [RandomErasing.get_params(picture, (0.02, 0.33), (0.3, 3.3), [0.0])[:4] for _ in range(self.N)]
        theirs = np.array([(left, top, w, h) for top, left, h, w in drawn], float)
        for name, of in {
            "area": lambda b: b[:, 2] * b[:, 3],
            "ratio": lambda b: b[:, 2] / b[:, 3],
            "width": lambda b: b[:, 2],
            "height": lambda b: b[:, 3],
            "left": lambda b: b[:, 0],
            "top": lambda b: b[:, 1],
            "right": lambda b: b[:, 0] + b[:, 2],
            "bottom": lambda b: b[:, 1] + b[:, 3],
        }.items():
            assert stats.ks_2samp(of(ours), of(theirs)).pvalue > ONE_IN_A_THOUSAND, name

    def test_as_often_as_asked(self):
        hidden = self.boxes(replace(WHOLE, cutout=0.3))[:, 2] > 0
        assert abs(hidden.mean() - 0.3) < 4 * (0.3 * 0.7 / self.N) ** 0.5
