from __future__ import annotations

from dataclasses import fields

import pytest
import torch

from ipse.errors import UserError
from ipse.transforms import Look
from ipse.transforms.image import ImagePolicy, make_view


class TestUsual:
    def test_colour_pictures_are_mirrored_and_recoloured_and_blur_follows_the_size(self):
        policy = ImagePolicy.usual(3, 112)
        assert (policy.flip, policy.grey, policy.hue) == (0.5, 0.2, 0.1)
        assert policy.sigma == pytest.approx((0.05, 1.0))

    @pytest.mark.parametrize("channels", [1, 2, 4])
    def test_other_data_is_not_mirrored_and_has_no_hue(self, channels):
        policy = ImagePolicy.usual(channels, 224)
        assert (policy.flip, policy.saturation, policy.hue, policy.grey) == (0, 0, 0, 0)
        assert policy.sigma == (0.1, 2.0)


class TestWeak:
    def test_leaves_a_mild_crop_and_the_mirror_image(self, patches):
        weak = ImagePolicy(rotation=20.0, solarize=1.0, noise=0.2, cutout=1.0).weak()
        view = make_view(patches, torch.ones(600), weak, 24, 0, torch.arange(600))
        area = view.matrix[:, 0, 0].abs() * view.matrix[:, 1, 1]
        assert float(area.min()) >= 0.6
        assert float((view.colour - torch.eye(3, 4)).abs().max()) < 1e-6
        assert 0.4 < float((view.matrix[:, 0, 0] < 0).float().mean()) < 0.6

    def test_a_look_changes_what_it_names(self):
        policy = ImagePolicy(cutout=0.5)
        assert policy.of(Look()) == policy
        assert policy.of(Look("weak")) == policy.weak()
        assert policy.of(Look("weak", changes={"crop": (0.2, 1.0)})) == ImagePolicy(cutout=0.5).weak().change(
            {"crop": [0.2, 1.0]}
        )
        assert policy.of(Look(changes={"blur": 1.0})).blur == 1.0


class TestChange:
    def test_numbers_and_lists_as_yaml_reads_them(self):
        policy = ImagePolicy().change({"crop": [0.5, 1], "flip": 0, "noise": "1e-2", "rotation": 15})
        assert policy == ImagePolicy(crop=(0.5, 1.0), flip=0.0, noise=0.01, rotation=15.0)
        assert ImagePolicy().change({}) == ImagePolicy()
        assert ImagePolicy(crop=(0.3, 1.0)).change({"ratio": (1, 1)}) == ImagePolicy(crop=(0.3, 1.0), ratio=(1.0, 1.0))

    def test_the_old_policy_stays(self):
        policy = ImagePolicy()
        policy.change({"flip": 0.1})
        assert policy.flip == 0.5

    @pytest.mark.parametrize("name", [f.name for f in fields(ImagePolicy)])
    def test_the_usual_values_are_allowed(self, name):
        value = getattr(ImagePolicy(), name)
        assert ImagePolicy().change({name: list(value) if isinstance(value, tuple) else value}) == ImagePolicy()

    def test_an_unknown_name_is_answered_with_the_nearest(self):
        with pytest.raises(UserError, match="unknown view setting 'solarise': did you mean 'solarize'"):
            ImagePolicy().change({"solarise": 0.2})

    @pytest.mark.parametrize(
        ("name", "value"),
        [
            ("flip", "often"),
            ("flip", [0.5, 1.0]),
            ("flip", None),
            ("flip", True),
            ("flip", 1.5),
            ("flip", -0.1),
            ("flip", float("nan")),
            ("flip", {}),
            ("brightness", -1),
            ("brightness", float("inf")),
            ("hue", 0.6),
            ("rotation", 181),
            ("crop", 0.5),
            ("crop", "0.5,1"),
            ("crop", [0.5]),
            ("crop", [0.2, 0.5, 1.0]),
            ("crop", ["a", "b"]),
            ("crop", [1.0, 0.5]),
            ("crop", [0.5, 1.5]),
            ("crop", [[0.1], 0.2]),
            ("ratio", [0, 1]),
            ("ratio", [-1, 1]),
            ("sigma", [-0.1, 2.0]),
            ("cutout_area", [0.1, 2]),
        ],
    )
    def test_values_that_make_no_sense_are_refused_in_one_line(self, name, value):
        with pytest.raises(UserError) as caught:
            ImagePolicy().change({name: value})
        message = str(caught.value)
        assert message.startswith(f"view setting {name} takes ")
        assert repr(value) in message
        assert "\n" not in message

    def test_the_message_says_what_to_type(self):
        with pytest.raises(
            UserError, match=r"takes a low and a high number from 0 to 1, for example crop=\[0.2, 1.0\], not '0.5,1'"
        ):
            ImagePolicy().change({"crop": "0.5,1"})
        with pytest.raises(UserError, match=r"takes a number of at least 0, for example noise=0.0, not 'some'"):
            ImagePolicy().change({"noise": "some"})
