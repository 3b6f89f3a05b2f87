"""Peak resident memory of a short pre-training against the size of the data, each in a process of its own."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

import numpy as np

from benchmarks.timing import Figures

SIDE = 32
_SAMPLE = 3 * SIDE * SIDE


def write(path: Path, megabytes: float) -> None:
    """An array of pictures (N, 3, 32, 32) of about this size, written block by block."""
    n, block = round(megabytes * 1e6 / _SAMPLE), 4096
    noise = np.random.default_rng(0).integers(0, 256, (block, 3, SIDE, SIDE), dtype=np.uint8)
    about = {"descr": "|u1", "fortran_order": False, "shape": (n, 3, SIDE, SIDE)}
    with open(path, "wb") as file:
        np.lib.format.write_array_header_1_0(file, about)
        for start in range(0, n, block):
            noise[:, 0, 0, :8] = np.frombuffer(np.int64(start).tobytes(), np.uint8)  # no two blocks alike
            file.write(noise[: min(block, n - start)].data)


def peak(path: str, steps: int) -> Figures:
    """Pre-trains on the array for some steps; the most memory there was meanwhile, in bytes: all of it, and what is not a file's."""
    import psutil
    import torch  # noqa: F401 - it is there before the first reading, whatever the data

    from ipse.jobs.pretrain import learn

    most = {"anonymous": 0, "resident": 0}
    done, process = threading.Event(), psutil.Process()

    def watch() -> None:
        while True:
            now = process.memory_info()
            most["resident"] = max(most["resident"], now.rss)
            most["anonymous"] = max(most["anonymous"], now.rss - now.shared)
            if done.wait(0.02):
                return

    watcher = threading.Thread(target=watch)
    watcher.start()
    with tempfile.TemporaryDirectory() as folder:
        learn(path, Path(folder), method="simclr", encoder="small_conv", steps=steps, batch_size=128, tensorboard=False)
    done.set()
    watcher.join()
    return dict(most)


def measure(megabytes: tuple[float, ...] = (50, 500, 3000), steps: int = 12) -> Figures:
    figures: Figures = {}
    for size in megabytes:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "x.npy"
            write(path, size)
            command = [sys.executable, "-m", "benchmarks.memory", str(path), str(steps)]
            output = subprocess.run(command, capture_output=True, text=True, check=True).stdout
            figures[f"{size:g}"] = json.loads(output.splitlines()[-1])
    return figures


def render(figures: Figures) -> str:
    lines = ["| data, MB | peak anonymous, MB | peak resident, mapped files included, MB |", "|---:|---:|---:|"]
    lines += [f"| {size} | {f['anonymous'] / 1e6:,.0f} | {f['resident'] / 1e6:,.0f} |" for size, f in figures.items()]
    return "\n".join(lines)


if __name__ == "__main__":
    if len(sys.argv) > 1:
        sys.stdout.write(json.dumps(peak(sys.argv[1], int(sys.argv[2]))) + "\n")
    else:
        sys.stdout.write(render(measure()) + "\n")
