"""data2vec-aqc."""

from __future__ import annotations

from torch import Tensor, nn

from ipse.losses.regression import frame_regression
from ipse.methods.pretrain.ccc_wav2vec2 import CleanAndNoisy, clusters, together
from ipse.methods.pretrain.wav2vec2 import Local, Wav2Vec2
from ipse.models import Encoder
from ipse.models.targets import FrameTeacher
from ipse.training import Batch, Step


class Data2VecAQC(Wav2Vec2):
    """Regresses a teacher's features of clean speech from noisy speech with hidden frames, helped by contrast across the two.

        L = ||W h'_t - y_t||^2 / sqrt(d) + student_contrast InfoNCE(P h', q) + teacher_contrast InfoNCE(P y, q') + regularisers

    h': the student's context of the noisy copy; y: the mean of the teacher's last `top` perceptrons, each normalised over time, of
    the clean copy with nothing hidden; q, q': codes of the clean and of the noisy copy, with the negatives of CCC-wav2vec 2.0.
    No gradient reaches the teacher or y. It shares the student's front end; its decay rises from `decay` to `final_decay` in the
    first 7.5 % of the run. Without the contrasts and the noise it is data2vec (arXiv:2202.03555).

    Lodagala, Ghosh & Umesh, ICASSP 2023, arXiv:2211.01246
    """

    sees = CleanAndNoisy

    def __init__(
        self,
        encoder: Encoder,
        *,
        student_contrast: float = 0.5,
        teacher_contrast: float = 0.5,
        top: int = 8,
        decay: float = 0.999,
        final_decay: float = 0.9999,
        cluster_factor: int = 16,
        scale: float = 0.3,
        masked: float = 0.65,
        span: int = 10,
        groups: int = 2,
        entries: int = 320,
        width: int = 256,
        negatives: int = 100,
        temperature: float = 0.1,
        diversity_weight: float = 0.1,
        penalty: float = 10.0,
        feature_gradient: float = 0.1,
    ):
        super().__init__(
            encoder,
            masked=masked,
            span=span,
            groups=groups,
            entries=entries,
            width=width,
            negatives=negatives,
            temperature=temperature,
            diversity_weight=diversity_weight,
            penalty=penalty,
            feature_gradient=feature_gradient,
        )
        self.regressor = nn.Linear(encoder.dim, encoder.dim)
        self.teacher = FrameTeacher(self.speech, top)
        self.student_contrast, self.teacher_contrast = student_contrast, teacher_contrast
        self.decay, self.final_decay = decay, final_decay
        self.cluster_factor, self.scale = cluster_factor, scale

    def loss(self, batch: Batch) -> Step:
        x, x_noisy = batch
        clean, noisy = self.local(x), self.local(x_noisy, feature_gradient=1.0)
        hidden = self.hide(batch, clean.valid)
        h, y = self.context(noisy, hidden), hidden.of(self.targets(clean))
        codes, q = self.quantise(batch, clean, hidden)
        _, q_noisy = self.quantise(batch, noisy, hidden, "noisy")
        others, others_noisy = self.others(batch, hidden), self.others(batch, hidden, "noisy")
        cluster, cluster_noisy = clusters(batch, (q, q_noisy), hidden, self.cluster_factor)
        student = self.contrast(self.predictor(hidden.of(h)), q, others, hidden, together(cluster, others), self.scale)
        teacher = self.contrast(
            self.predictor(y), q_noisy, others_noisy, hidden, together(cluster_noisy, others_noisy), self.scale
        )
        terms = {
            "regression": frame_regression(self.regressor(hidden.of(h)), y, hidden.there),
            "student contrast": self.student_contrast * student,
            "teacher contrast": self.teacher_contrast * teacher,
        }
        return self.step(terms, h, clean, codes, hidden)

    def targets(self, clean: Local) -> Tensor:
        """What the teacher makes of all frames of the clean copy: (B, N, width)."""
        frames = clean.frames.detach()
        targets: Tensor = self.teacher(self.speech.positioned(frames, clean.valid), clean.valid)
        return targets

    def after_step(self, batch: Batch) -> None:
        self.teacher.update(self.encoder, risen(self.decay, self.final_decay, batch.progress / 0.075))


def risen(start: float, end: float, progress: float) -> float:
    """From `start` to `end` in a straight line while `progress` goes from 0 to 1, and `end` from there on."""
    return start + (end - start) * min(1.0, progress)
