"""A student learns more from a teacher whose other classes are a distribution of their own."""

from __future__ import annotations

from ipse.claims import Claim, accuracy, distilled, pictures, selftrained

CLAIM = Claim(
    statement="A small student that learns by normalised distillation is right more often than one that learns by plain distillation.",
    setting=(
        "Fashion-MNIST, 2,000 pictures to learn from, 5,000 to test; teacher small_conv (32, 64, 128), student (8, 16, 32), batch 64, "
        "400 steps of AdamW at lr 2e-3 for each"
    ),
    measure="accuracy of the student",
    unit="%",
    seeds=5,
    tried=(
        "The authors' gamma 1.5 and temperature 1 for ours, temperature 4 and 0.9 of the teacher for plain distillation; equal learning "
        "rate and steps. The student of labels alone and the one that is its own teacher are shown beside."
    ),
)


def run(seed: int, long: bool) -> dict[str, float]:
    data = pictures("fashion-mnist", 2000, 5000, seed)
    words = {"batch_size": 64, "steps": 4000 if long else 400, "optimizer": "adamw", "lr": 2e-3, "weight_decay": 0.01}
    teacher = selftrained(data, seed, method="supervised", encoder="small_conv", **words)
    small = {"options": {"widths": (8, 16, 32)}, **words}

    def student(method: str, of: object = teacher) -> float:
        return accuracy(distilled(of, data, seed, student="small_conv", method=method, **small), data)

    alone = selftrained(data, seed, method="supervised", encoder="small_conv", **small)
    return {
        "NKD": student("nkd-uskd"),
        "plain distillation": student("kd"),
        "USKD, no teacher": student("uskd", "none"),
        "labels alone": accuracy(alone, data),
        "teacher": accuracy(teacher, data),
    }
