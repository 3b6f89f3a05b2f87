"""What the papers promise, method by method."""

from __future__ import annotations

import copy
import math
from pathlib import Path

import pytest
import torch
from tests.methods.adapt.small import Net, pictures
from torch import Tensor, nn

from ipse import losses, models
from ipse.data import form
from ipse.errors import UserError
from ipse.methods.adapt.adapter import Adapter
from ipse.methods.adapt.bn_adapt import BNAdapt
from ipse.methods.adapt.parts import scale_and_shift
from ipse.methods.adapt.rmt import RMT
from ipse.methods.adapt.rpl import RPL
from ipse.methods.adapt.tent import Tent
from ipse.methods.adapt.tesla import TeSLA
from ipse.methods.adapt.ttt_rotation import TTTRotation, turned
from ipse.methods.selftrain.joint_rotation import JointRotation
from ipse.models.branch import Branch
from ipse.training import Batch
from ipse.transforms import View


def moved(adapter: Adapter, before: dict[str, Tensor]) -> set[str]:
    return {name for name, t in adapter.model.state_dict().items() if not torch.equal(t, before[name])}


@pytest.mark.parametrize(
    "adapter",
    [
        Tent(Net(), lr=0.1),
        RPL(Net(), lr=1.0),
        RPL(Net(), loss="soft", temperature=0.5),
        RPL(Net(), loss="hard"),
        RPL(Net(), loss="ent"),
    ],
)
def test_only_scale_and_shift_of_normalisations_move(adapter: Adapter) -> None:
    before = copy.deepcopy(adapter.model.state_dict())
    adapter(pictures())
    assert set() < moved(adapter, before) <= set(scale_and_shift(adapter.model))


@pytest.mark.parametrize("adapter", [Tent(Net(), lr=0.0), RPL(Net(), lr=0.0)])
def test_without_a_learning_rate_it_is_new_statistics_alone(adapter: Adapter) -> None:
    for i in range(3):
        assert torch.equal(adapter(pictures(6, i)), BNAdapt(Net())(pictures(6, i)))


def test_statistics_with_a_prior_lie_between_source_and_batch() -> None:
    net = Net()
    net.encoder[1].running_mean.fill_(0.3)
    source, batch = net.eval()(pictures()), BNAdapt(net)(pictures())
    torch.testing.assert_close(BNAdapt(net, prior=1e9)(pictures()), source, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(BNAdapt(net, prior=1e-6)(pictures()), batch, atol=1e-4, rtol=1e-4)
    layer, x = nn.BatchNorm1d(1), torch.tensor([[1.0], [5.0]])
    mixed = BNAdapt(layer, prior=2.0)(x)  # mean (0 + 3) / 2, variance (1 + 4) / 2
    torch.testing.assert_close(mixed, (x - 1.5) / math.sqrt(2.5 + 1e-5))
    torch.testing.assert_close(BNAdapt(layer)(x[:1]), x[:1] / math.sqrt(1 + 1e-5))  # one value has no variance


def test_a_model_without_normalisation_is_said() -> None:
    plain = nn.Sequential(nn.Flatten(), nn.Linear(192, 4))
    assert "no batch normalisation" in BNAdapt(plain).notes[0]
    assert torch.equal(BNAdapt(plain)(pictures()), plain(pictures()))
    for method in (Tent, RPL):
        with pytest.raises(UserError, match="no normalisation"):
            method(plain)


def ready(**settings: float) -> RMT:
    adapter = RMT(Net(), width=5, warmup=0, **settings)  # type: ignore[arg-type]
    adapter.prepare(pictures(8, 50), torch.arange(8) % 4)
    return adapter


def test_rmt_without_its_terms_answers_twice_what_new_statistics_do() -> None:
    adapter = ready(consistency=0.0, contrast=0.0)
    for i in range(2):
        torch.testing.assert_close(adapter(pictures(6, i)), 2 * BNAdapt(Net())(pictures(6, i)))


def test_rmts_teacher_follows_the_recursion() -> None:
    adapter = ready(lr=1e-2, decay=0.9)
    teacher = [p.clone() for p in adapter.teacher.teacher.parameters()]
    for i in range(3):
        adapter(pictures(6, i))
        teacher = [0.9 * t + 0.1 * p.detach() for t, p in zip(teacher, adapter.model.parameters(), strict=True)]
    for own, expected in zip(adapter.teacher.teacher.parameters(), teacher, strict=True):
        torch.testing.assert_close(own, expected)


def test_rmt_needs_the_source_and_says_which_classes_it_lacks() -> None:
    with pytest.raises(UserError, match="source"):
        RMT(Net())(pictures())
    adapter = RMT(Net(), warmup=0)
    adapter.prepare(pictures(8), torch.arange(8) % 3)
    assert "1 of 4 classes" in adapter.notes[0]
    with pytest.raises(UserError, match="no labels"):
        RMT(Net()).prepare(pictures(8), torch.full((8,), -1))
    replaying = ready(replay=1.0)
    assert replaying(pictures()).isfinite().all()


def test_rmt_holds_no_graph_of_the_source() -> None:
    adapter, graphs = RMT(Net(), warmup=0), []
    adapter.model.register_forward_hook(lambda *_: graphs.append(torch.is_grad_enabled()))
    adapter.prepare(pictures(8), torch.arange(8) % 4)
    assert graphs == [False]


def test_tesla_keeps_its_last_layer_and_its_teacher_follows() -> None:
    adapter = TeSLA(Net(), decay=0.9)
    before, teacher = copy.deepcopy(adapter.model.state_dict()), [p.clone() for p in adapter.teacher.teacher.parameters()]
    adapter(pictures())
    assert moved(adapter, before).isdisjoint({"head.weight", "head.bias"})
    assert moved(adapter, before)
    for own, t, p in zip(adapter.teacher.teacher.parameters(), teacher, adapter.model.parameters(), strict=True):
        torch.testing.assert_close(own, t if not p.requires_grad else 0.9 * t + 0.1 * p.detach())


def test_teslas_policy_starts_even_and_moves_only_by_its_cost() -> None:
    adapter = TeSLA(Net())
    assert len(adapter.pairs) == 91
    assert torch.allclose(adapter.choice.softmax(0), torch.full((91,), 1 / 91))
    assert adapter.strength.sigmoid().eq(0.5).all()
    adapter.step = lambda *_, **__: None  # type: ignore[method-assign]
    adapter(pictures())
    assert adapter.choice.abs().sum() == 0
    plain = TeSLA(Net(), hard=0.0)
    plain(pictures())
    assert plain.choice.abs().sum() == plain.strength.abs().sum() == 0


def test_teslas_queue_gives_the_labels_of_the_nearest() -> None:
    adapter = TeSLA(Net(), queue=2, neighbours=1)
    features, y = torch.eye(8)[:4], torch.eye(4)
    assert torch.equal(adapter._refined(features, y), y)
    near = features + 0.1 * features.roll(1, 0)
    assert torch.equal(adapter._refined(near, torch.full((4, 4), 0.25) + 0.5 * torch.eye(4))[:, 0].argmax(), torch.tensor(0))
    for _ in range(3):
        adapter._refined(features, y)
    assert adapter.kept.tolist() == [5] * 4


@pytest.fixture
def rotating_steps(rotating: models.Classifier) -> TTTRotation:
    return TTTRotation(rotating, lr=0.1, steps=2, copies=8)


def colours(n: int = 3) -> Tensor:
    return pictures(4 * n).view(n, 3, 16, 16)


def test_four_right_angles_are_none() -> None:
    x = colours(4)
    assert torch.equal(turned(turned(x, torch.tensor([1, 2, 3, 0])), torch.tensor([3, 2, 1, 0])), x)
    assert torch.equal(turned(x, torch.ones(4, dtype=torch.int64)), torch.rot90(x, 1, (2, 3)))


def test_no_step_is_the_joint_model_bit_for_bit(rotating: models.Classifier) -> None:
    for adapter in (TTTRotation(rotating, lr=0.0, copies=4), TTTRotation(rotating, skip=0.0)):
        assert torch.equal(adapter(colours()), torch.cat([rotating(x) for x in colours().split(1)]))


def test_an_episode_changes_the_answer_and_leaves_the_source(rotating: models.Classifier, rotating_steps: TTTRotation) -> None:
    before = copy.deepcopy(rotating_steps.model.state_dict())
    assert not torch.allclose(rotating_steps(colours()), rotating(colours()))
    assert not moved(rotating_steps, before)


def test_online_only_shared_layers_and_the_rotation_head_move(rotating: models.Classifier, rotating_steps: TTTRotation) -> None:
    rotating_steps.episodic = False
    before = copy.deepcopy(rotating_steps.model.state_dict())
    rotating_steps(colours())
    changed = moved(rotating_steps, before)
    assert rotating.rotation is not None
    shared = {f"encoder.{name}" for name in rotating.rotation.common(rotating.encoder)}
    assert shared <= changed
    assert all(name in shared or name.startswith("rotation.") for name in changed)
    assert not any(name.startswith("head.") for name in changed)


def test_a_step_lowers_the_main_loss_where_the_gradients_agree_and_raises_it_where_they_do_not() -> None:
    for sign in (1.0, -1.0):
        theta = torch.tensor([1.0, -0.5], requires_grad=True)
        main, other = (theta - 2).square().sum(), sign * (theta - 1.5).square().sum()
        g_main, g_other = torch.autograd.grad(main, theta, retain_graph=True)[0], torch.autograd.grad(other, theta)[0]
        later = (theta - 1e-3 * g_other - 2).square().sum()
        assert (float(g_main @ g_other) > 0) == (float(later) < float(main))


def test_a_plain_classifier_has_no_rotations() -> None:
    with pytest.raises(UserError, match="joint-rotation"):
        TTTRotation(Net())


def test_the_branch_shares_two_of_three_stages_and_goes_to_disk(rotating: models.Classifier, tmp_path: Path) -> None:
    branch = rotating.rotation
    assert branch is not None
    names = set(branch.common(rotating.encoder))
    assert any(name.startswith("layers.4.") for name in names)
    assert not any(name.startswith(("layers.8.", "layers.11.")) for name in names)
    assert branch.encoder.layers[0] is rotating.encoder.layers[0]  # type: ignore[index,union-attr]
    models.save_classifier(rotating, tmp_path)
    opened = models.load_classifier(tmp_path)
    assert opened.rotation is not None
    assert torch.equal(opened.rotation(colours()), branch(colours()))
    assert opened.rotation.encoder.layers[0] is opened.encoder.layers[0]  # type: ignore[index,union-attr]
    (tmp_path / "rotation.safetensors").write_bytes(b"damaged")
    with pytest.raises(UserError, match="damaged"):
        models.load_classifier(tmp_path)


def test_joint_learning_of_classes_and_rotations() -> None:
    torch.manual_seed(0)
    method = JointRotation(
        models.Classifier(models.create("small_conv", form.image(3, 16), widths=(8, 16, 16), groups=4), ["a", "b"])
    )
    x, y = colours(8), torch.tensor([0, 1, 0, 1, 0, 1, -1, -1])
    batch = Batch([View(x)], torch.arange(8), torch.arange(8), y=y)
    optimizer = torch.optim.Adam(method.parameters(), lr=3e-3)
    first = method.loss(batch)
    assert float(first.terms["rotations"].detach()) == pytest.approx(math.log(4), abs=0.3)
    for _ in range(20):
        step = method.loss(batch)
        optimizer.zero_grad()
        step.loss.backward()
        optimizer.step()
    assert step.loss < 0.9 * first.loss
    alone = method.loss(Batch([View(x)], torch.arange(8), torch.arange(8), y=torch.full((8,), -1)))
    assert float(alone.terms["classes"].detach()) == 0
    assert isinstance(method.learned.rotation, Branch)
    assert losses.entropy(method.learned(x)).isfinite()
