"""data2vec-aqc."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from ipse.losses.regression import frame_regression
from ipse.methods.pretrain.ccc_wav2vec2 import CleanAndNoisyWav2Vec2
from ipse.methods.pretrain.wav2vec2 import Local
from ipse.models import Encoder
from ipse.models.ema import risen
from ipse.models.targets import FrameTeacher
from ipse.training import Batch, Step


class Data2VecAQC(CleanAndNoisyWav2Vec2):
    """Regresses a teacher's features of clean speech from noisy speech with hidden frames, helped by contrast across the two.

        L = ||W h'_t - y_t||^2 / sqrt(d) + student_contrast InfoNCE(P h', q) + teacher_contrast InfoNCE(P y, q') + regularisers

    h': the student's context of the noisy copy; y: the mean of the teacher's last `top` perceptrons, each normalised over time, of
    the clean copy with nothing hidden; q, q': codes of the clean and of the noisy copy, with the negatives of CCC-wav2vec 2.0.
    No gradient reaches the teacher or y. It shares the student's front end; its decay rises from `decay` to `final_decay` in the
    first 7.5 % of the run. Without the contrasts and the noise it is data2vec (arXiv:2202.03555).

    Lodagala, Ghosh & Umesh, ICASSP 2023, arXiv:2211.01246
    """

    def __init__(
        self,
        encoder: Encoder,
        *,
        student_contrast: float = 0.5,
        teacher_contrast: float = 0.5,
        top: int = 8,
        decay: float = 0.999,
        final_decay: float = 0.9999,
        **others: Any,
    ):
        super().__init__(encoder, **others)
        self.regressor = nn.Linear(encoder.dim, encoder.dim)
        self.teacher = FrameTeacher(self.encoder, top)
        self.student_contrast, self.teacher_contrast = student_contrast, teacher_contrast
        self.decay, self.final_decay = decay, final_decay

    def loss(self, batch: Batch) -> Step:
        x, x_noisy = batch
        clean, noisy = self.local(x), self.local(x_noisy, feature_gradient=1.0)
        hidden = self.hide(batch, clean.valid)
        h, y = self.context(noisy, hidden), hidden.of(self.targets(clean))
        codes, of_clean, of_noisy = self.candidates(batch, clean, noisy, hidden)
        terms = {
            "regression": frame_regression(self.regressor(hidden.of(h)), y, hidden.there),
            "student contrast": self.student_contrast * self.contrast(self.predictor(hidden.of(h)), of_clean),
            "teacher contrast": self.teacher_contrast * self.contrast(self.predictor(y), of_noisy),
        }
        return self.step(terms, h, clean, codes, hidden)

    def targets(self, clean: Local) -> Tensor:
        """What the teacher makes of all frames of the clean copy: (B, N, width)."""
        frames = clean.frames.detach()
        targets: Tensor = self.teacher(self.encoder.positioned(frames, clean.valid), clean.valid)
        return targets

    def after_step(self, batch: Batch) -> None:
        self.teacher.update(self.encoder, risen(self.decay, self.final_decay, batch.progress / 0.075))
