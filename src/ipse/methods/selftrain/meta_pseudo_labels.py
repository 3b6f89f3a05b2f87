"""Meta pseudo labels."""

from __future__ import annotations

from torch import nn

from ipse.data import Samples
from ipse.methods.selftrain.self_meta import SelfMetaPseudoLabels
from ipse.models import frozen_copy


class MetaPseudoLabels(SelfMetaPseudoLabels):
    """A teacher labels samples for a student, and is rewarded by how much better the student then knows the true labels.

    Self meta pseudo labels with two networks: the student takes the first step, the teacher the second, for which it is told how
    far the student's loss of the true labels fell. The student is kept; it learns the true labels in the last `finish` of the run.

    Pham, Dai, Xie, Luong, Le, CVPR 2021, arXiv:2003.10580
    """

    def prepare(self, samples: Samples) -> None:
        self._teacher = frozen_copy(self.model).requires_grad_(True)

    @property
    def teacher(self) -> nn.Module:
        return self._teacher
