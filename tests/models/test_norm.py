"""Batch normalisation in one process; tests/test_distributed.py has two."""

from __future__ import annotations

import copy

import pytest
import timm
import torch
from torch import nn

from ipse.data import form
from ipse.models import BatchNorm, create, mlp, synchronised
from ipse.models.norm import TokenNorm, layer_norm


@pytest.mark.parametrize("shape", [(8, 5), (8, 5, 7), (4, 5, 3, 2), (2, 5, 2, 2, 2)])
@pytest.mark.parametrize("options", [{}, {"affine": False}, {"momentum": None}, {"eps": 0.1, "momentum": 0.5}])
def test_it_is_torchs_in_one_process(shape, options):
    torch.manual_seed(0)
    reference = {2: nn.BatchNorm1d, 3: nn.BatchNorm1d, 4: nn.BatchNorm2d, 5: nn.BatchNorm3d}[len(shape)](5, **options)
    ours = BatchNorm(5, **options)
    ours.load_state_dict(reference.state_dict())
    for _ in range(3):
        x = torch.randn(shape) * 3 + 1
        a, b = (x.clone().requires_grad_() for _ in range(2))
        ours(a).pow(3).sum().backward()
        reference(b).pow(3).sum().backward()
        assert torch.equal(a.grad, b.grad)
    assert torch.equal(ours.eval()(x), reference.eval()(x))
    assert all(torch.equal(ours.state_dict()[k], v) for k, v in reference.state_dict().items())


def test_what_has_no_channels_is_refused():
    with pytest.raises(ValueError, match=r"expected \(B, C, ...\), got \(5,\)"):
        BatchNorm(5)(torch.zeros(5))


class TestSynchronised:
    @pytest.mark.parametrize("name", ["resnet18", "mobilenetv3_small_100", "test_resnet"])
    def test_state_and_output_stay_the_same(self, name):
        torch.manual_seed(0)
        before = timm.create_model(name, num_classes=0)
        after = synchronised(copy.deepcopy(before))
        assert list(after.state_dict()) == list(before.state_dict())
        x = torch.randn(4, 3, 64, 64)
        for mode in (True, False):
            torch.manual_seed(1)
            expected = before.train(mode)(x)
            torch.manual_seed(1)
            assert torch.equal(after.train(mode)(x), expected)
        kinds = {type(m) for m in after.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm)}
        assert all(issubclass(kind, BatchNorm) for kind in kinds)
        assert kinds

    def test_tensors_hooks_and_modes_stay_where_they_are(self):
        norm = nn.BatchNorm2d(4).eval()
        net = nn.Sequential(nn.Conv2d(3, 4, 1), norm)
        weight, buffer, calls = norm.weight, norm.running_mean, []
        norm.register_forward_hook(lambda *_: calls.append(1))
        result = synchronised(net)
        assert result is net
        assert isinstance(net[1], BatchNorm)
        assert net[1].weight is weight
        assert net[1].running_mean is buffer
        assert not net[1].training
        net(torch.zeros(1, 3, 2, 2))
        assert calls == [1]

    def test_a_module_that_is_one_itself_and_one_that_is_used_twice(self):
        assert isinstance(synchronised(nn.BatchNorm1d(3)), BatchNorm)
        shared = nn.BatchNorm1d(3)
        net = synchronised(nn.ModuleDict({"a": shared, "b": shared}))
        assert isinstance(net["a"], BatchNorm)
        assert net["a"] is net["b"]

    def test_our_own_models_and_other_normalisations_stay_as_they_are(self):
        for module in (
            create("small_conv", form.image(3, 16)),
            mlp(4, 5, 6),
            nn.Sequential(nn.LayerNorm(3), nn.GroupNorm(1, 3), nn.InstanceNorm2d(3)),
        ):
            before = [type(m) for m in module.modules()]
            assert [type(m) for m in synchronised(module).modules()] == before


def test_layer_norm_by_hand():
    x = torch.tensor([[1.0, 3.0], [0.0, 10.0]])
    torch.testing.assert_close(layer_norm(x), torch.tensor([[-1.0, 1.0], [-1.0, 1.0]]), atol=1e-4, rtol=0)


class TestTokenNorm:
    def test_of_whole_batches_they_are_those_of_batch_normalisation(self) -> None:
        tokens, plain = TokenNorm(6), BatchNorm(6)
        x = 3 + 2 * torch.randn(5, 7, 6)
        everything = torch.ones(5, 7, dtype=torch.bool)
        for _ in range(2):
            torch.testing.assert_close(tokens(x, everything), plain(x.flatten(0, 1)).view_as(x))
        for (name, a), b in zip(tokens.named_buffers(), plain.buffers(), strict=True):
            torch.testing.assert_close(a, b, msg=name)
        torch.testing.assert_close(tokens.eval()(x, everything), plain.eval()(x.flatten(0, 1)).view_as(x))

    def test_each_feature_has_its_own_over_samples_and_tokens(self) -> None:
        x = 3 + 2 * torch.randn(5, 7, 6)
        valid = torch.rand(5, 7) < 0.7
        y = TokenNorm(6)(x, valid)
        torch.testing.assert_close(y[valid].mean(0), torch.zeros(6), rtol=0, atol=1e-5)
        torch.testing.assert_close(y[valid].var(0, correction=0), torch.ones(6), rtol=1e-4, atol=1e-4)
