"""A longer memory for the gradients of distillation brings the student nearer to its teacher."""

from __future__ import annotations

from ipse.claims import Claim, accuracy, distilled, pictures, selftrained

CLAIM = Claim(
    statement="With a momentum for each of its two losses, distillation ends with the student nearer to its teacher than with one momentum for both.",
    setting=(
        "Fashion-MNIST, 2,000 pictures to learn from, 5,000 to test; teacher small_conv (32, 64, 128), student (8, 16, 32), plain "
        "distillation at temperature 4, batch 64, 1,600 steps with a cosine, weight decay 5e-4; DOT with the authors' momentum 0.9 and "
        "offset 0.075 at lr 0.01, SGD with momentum 0.9 at lr 0.03"
    ),
    measure="loss of distillation over the last twentieth of the steps",
    kind="less",
    seeds=3,
    tried=("TRIED"),
)


def run(seed: int, long: bool) -> dict[str, float]:
    data = pictures("fashion-mnist", 2000, 5000, seed)
    teacher = selftrained(data, seed, method="supervised", encoder="small_conv", lr=2e-3, batch_size=64, steps=400)
    steps = 16_000 if long else 1600

    def learned(optimizer: str, lr: float) -> dict[str, float]:
        small = {"student": "small_conv", "options": {"widths": (8, 16, 32)}, "batch_size": 64, "steps": steps}
        run = distilled(teacher, data, seed, optimizer=optimizer, lr=lr, weight_decay=5e-4, **small)
        lines = [line for line in run.history() if "distillation" in line]
        last = lines[-max(1, len(lines) // 20) :]
        mean = {name: sum(line[name] for line in last) / len(last) for name in ("distillation", "task")}
        return {**mean, "accuracy": accuracy(run, data)}

    ours, baseline = learned("dot", 0.01), learned("sgd", 0.03)
    return {
        "DOT": ours["distillation"],
        "SGD": baseline["distillation"],
        "loss of the labels, DOT": ours["task"],
        "loss of the labels, SGD": baseline["task"],
        "accuracy, DOT": ours["accuracy"],
        "accuracy, SGD": baseline["accuracy"],
    }
