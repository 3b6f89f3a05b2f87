"""The words that the jobs share: their types and what they mean, as `--help` says it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

Sources = Annotated[
    Any,
    "a folder of pictures or recordings, a .csv, .parquet, .npy, .npz, .tar or .ts file, or a name: digits, mnist5k, cifar10, fashion-mnist",
]
Method = Annotated[str, "how to learn; `ipse methods` lists them"]
Encoder = Annotated[
    str, "auto, one of `ipse methods`, any timm model name, or a speech model of transformers (FOLDER or OWNER/NAME)"
]
Epochs = Annotated[float | None, "passes over the data"]
Steps = Annotated[int | None, "batches to learn from"]
Minutes = Annotated[float | None, "time to learn for; 5 when no length is given"]
BatchSize = Annotated[int | None, "samples per step over all devices; default 256, or what small data allows"]
LR = Annotated[float | None, "peak learning rate; default: the method's, in proportion to the batch"]
Optimizer = Annotated[str | None, "adamw, sgd or lars, for distilling also dot; default: the method's"]
WeightDecay = Annotated[float | None, "default: the method's"]
Clip = Annotated[float | None, "largest norm of the gradient; default: no limit"]
Schedule = Annotated[str, "cosine, constant or infinite"]
Plus = Annotated[Sequence[str], "regularizers to add, with their weights: for example t-regs=0.1"]
Settings = Annotated[Sequence[str] | Mapping[str, Any], "settings of the method, for example temperature=0.5"]
Views = Annotated[Sequence[str] | Mapping[str, Any], "settings of the views, for example flip=0 crop=[0.5,1]"]
Watch = Annotated[Sequence[str], "numbers to take on the way, for example rankme,knn"]
Labels = Annotated[
    str | Path | None,
    "FILE.csv with the columns path,label, FILE.csv:COLUMN, or a COLUMN of the data's own table; most may be empty; "
    "for classes of pixels a FOLDER of masks, called like the pictures",
]
Holdout = Annotated[
    float | None,
    "share of the labels that is kept from learning, to judge and calibrate by; default: 0.1 with a test part, else 0.2, of few labels none",
]
Modality = Annotated[
    Literal["image", "audio", "series", "table"] | None, "what the data is; default: found out by what it contains"
]
Size = Annotated[
    float | None,
    "of the views: pixels a side, seconds of audio, steps of a series; default: by the data, timm models their own",
]
Seed = Annotated[int, "the same seed gives the same run"]
Out = Annotated[str | Path | None, "the run's folder; default runs/METHOD-DATA"]
Resume = Annotated[str | Path | None, "go on with the run in this folder"]
Devices = Annotated[int, "GPUs, or processes on CPU cores, that share the batch"]
Precision = Annotated[Literal["auto", "fp32", "bf16"], "format of the numbers to compute in"]
Compile = Annotated[bool, "compile the encoder with torch.compile"]
TensorBoard = Annotated[bool, "log for TensorBoard too, in the run's folder"]
Pretrained = Annotated[bool, "start from the published weights of this encoder"]
Quiet = Annotated[bool, "no progress bar, no closing table"]
