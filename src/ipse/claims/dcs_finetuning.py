"""Fine-tuning learns more from a teacher of its own kind and from the samples on which the two disagree."""

from __future__ import annotations

from dataclasses import replace

from ipse.claims import Claim, accuracy, distilled, few_labels, pictures, pretrained, selftrained

CLAIM = Claim(
    statement="With few labels, a pre-trained encoder is fine-tuned better by corrective self-distillation than by the labels alone.",
    setting=(
        "Fashion-MNIST, small_conv pre-trained by SimCLR on 4,000 pictures, fine-tuned on 30 labelled ones of each class, 5,000 to test; batch 64, "
        "150 steps of AdamW at lr 1e-3 for the teacher and 150 for the student, 300 for the labels alone"
    ),
    measure="accuracy after fine-tuning",
    unit="%",
    seeds=5,
    tried="The defaults (imitation 0.5, temperature 2, 5 rounds, AdaBoost's own growth, cap 20); equal learning rate, and equal steps in all.",
)


def run(seed: int, long: bool) -> dict[str, float]:
    data = pictures("fashion-mnist", 4000, 5000, seed)
    start = pretrained(data, seed, method="simclr", encoder="small_conv", batch_size=128, steps=2000 if long else 150)
    few = few_labels(data, 30, seed)
    few = replace(few, train=few.train.subset(few.train.y >= 0), key=f"{few.key}-30")
    words = {"from_": start.path, "batch_size": 64, "lr": 1e-3}
    steps = 1000 if long else 150
    teacher = selftrained(few, seed, method="supervised", steps=steps, **words)
    twice = selftrained(few, seed, method="supervised", steps=2 * steps, **words)

    def student(**settings: float) -> float:
        return accuracy(distilled(teacher, few, seed, method="dcs-finetuning", steps=steps, set=settings, **words), few)

    return {
        "corrective self-distillation": student(),
        "labels alone": accuracy(twice, few),
        "self-distillation with equal weights": student(shrinkage=0.0),
        "teacher": accuracy(teacher, few),
    }
