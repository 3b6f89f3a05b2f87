"""A teacher, its labels for every sample, and a student that corrects them."""

from __future__ import annotations

import pytest
import torch
from tests.methods.selftrain.small import K, N, batch_of, built, feed_for, learned, rows

from ipse.errors import UserError
from ipse.methods.selftrain.doubly_robust import DoublyRobust
from ipse.methods.selftrain.plain import PlainSelfTraining


def test_the_student_begins_where_the_teacher_did_and_has_its_labels_for_everyone() -> None:
    data = rows()
    method = learned(built(DoublyRobust, data), data, 30)
    teacher = built(DoublyRobust, data)
    start = {name: x.clone() for name, x in teacher.model.state_dict().items()}
    feed = feed_for(teacher, data)
    teacher.before_round(0, feed)
    with torch.no_grad():
        teacher.model.head.bias += torch.tensor([0.0, 9.0, 0.0])
    teacher.before_round(1, feed)
    assert teacher.pseudo.tolist() == [1] * N
    assert all(torch.equal(x, start[name]) for name, x in teacher.model.state_dict().items())
    assert (method.pseudo >= 0).all()
    assert method.pseudo.max() < K


def test_the_correction_grows_from_nothing_to_all_over_the_students_round() -> None:
    data = rows()
    method = built(DoublyRobust, data)
    method.round.fill_(1)
    pseudo, true, has = torch.tensor([1.0, 3.0]), torch.tensor([2.0, 0.0]), torch.tensor([True, False])
    x, y = torch.zeros(2, 6), torch.tensor([0, -1])
    assert method.done(batch_of(x, y, step=49, steps=100)) == 0
    assert method.done(batch_of(x, y, step=74, steps=100)) == 0.5
    assert method.done(batch_of(x, y, step=99, steps=100)) == 1
    values = [method.compared(pseudo, true, has, done).item() for done in (0.0, 0.5, 1.0)]
    assert values == [2.0, 2.5, 3.0]


def test_plain_self_training_takes_labels_where_there_are_some() -> None:
    method = built(PlainSelfTraining, rows())
    has = torch.tensor([True, False])
    assert method.compared(torch.tensor([1.0, 3.0]), torch.tensor([2.0, 9.0]), has, 1.0).item() == 2.5


def test_labels_that_the_teacher_alone_learns_from() -> None:
    data = rows(labels=30)
    method = built(DoublyRobust, data, apart=0.2)
    teachers = method.labels.clone()
    assert [int((teachers == c).sum()) for c in range(K)] == [2, 2, 2]
    assert int((teachers == -2).sum()) == 24
    feed = feed_for(method, data)
    method.before_round(0, feed)
    feed.follow(method)
    seen = {i for step in range(10) for i in feed.batch(step).index.tolist()}
    assert seen == set((teachers >= 0).nonzero()[:, 0].tolist())
    method.before_round(1, feed)
    students = method.labels
    assert int((students >= 0).sum()) == 24
    assert not ((students >= 0) & (teachers >= 0)).any()
    assert torch.equal(students[students >= 0], torch.from_numpy(data.y)[students >= 0])


def test_a_teacher_without_labels_is_an_error() -> None:
    with pytest.raises(UserError, match="leaves the teacher none"):
        built(DoublyRobust, rows(labels=3), apart=0.1)
    with pytest.raises(UserError, match="share of the labels"):
        built(DoublyRobust, rows(), apart=1.0)


def test_it_learns() -> None:
    data = rows()
    method = learned(built(DoublyRobust, data), data, 80)
    x = torch.cat([x for _, x in feed_for(method, data).everything()])
    assert (method.learned.eval()(x).argmax(1) == torch.arange(N) % K).float().mean() > 0.9
