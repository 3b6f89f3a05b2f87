"""The catalogue at the command line."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal

from ipse.errors import UserError
from ipse.jobs.files import whole
from ipse.papers import Paper

_EXPECTS = {"search": "WORDS", "show": "a KEY", "page": "a FILE.html"}
_OPTIONS = {
    "method": "--method",
    "selftrain method": "ipse selftrain --method",
    "distill method": "ipse distill --method",
    "adapt method": "ipse adapt --method",
    "forget method": "ipse forget --method",
    "restore method": "ipse restore --method",
    "regularizer": "--plus",
    "schedule": "--schedule",
    "metric": "--metrics, --watch",
}
_ELSE = {
    "encoders (--encoder)": {
        "small_conv": "image: a small convolutional network for 8 to 64 px",
        "small_vit, tiny_vit": "image: small vision transformers for 8 to 64 px",
        "any timm name": "image: resnet18, vit_tiny_patch16_224, convnext_atto, ...",
        "mel_conv": "audio: a small convolutional network over log-mel bands",
        "mel_transformer, mel_gru": "audio: a transformer, and a causal recurrent network, over log-mel frames",
        "wave_transformer, wave_lstm": "audio: strided convolutions over the wave, then a transformer or a causal recurrent network",
        "FOLDER or OWNER/NAME": "audio: speech models of transformers (wav2vec 2.0, HuBERT, WavLM, data2vec, ...)",
        "dilated_conv": "series: dilated convolutions, causal where the method needs it",
        "patch_transformer": "series: a transformer over patches of each channel (PatchTST)",
        "table_mlp": "table: residual perceptrons over all columns",
        "ft_transformer": "table: a transformer over columns (FT-Transformer)",
    },
    "data": {
        "digits, mnist5k": "pictures; ship with ipse's dependencies",
        "cifar10, fashion-mnist": "pictures; found in $IPSE_DATA or the cache, else downloaded",
        "GunPoint, BasicMotions, ...": "series; aeon's sets, from $IPSE_DATA or the package aeon",
        "anything of yours": "a folder of pictures or recordings, .csv, .parquet, .npy, .npz, .ts, .tar",
    },
}


def papers(
    action: Annotated[
        Literal["search", "show", "page"] | None, "search WORDS, show KEY, or page FILE.html; none lists all"
    ] = None,
    words: Annotated[Sequence[str], "what to look for, or which"] = (),
) -> str:
    """List the papers of the catalogue by job, search them by meaning, show one, or write them all as a page with search."""
    from ipse.papers import show

    width = _width()
    if action is None:
        return show.list_text(width)
    text = words if isinstance(words, str) else " ".join(words)
    if not text:
        raise UserError(f"ipse papers {action} needs {_EXPECTS[action]}")
    if action == "search":
        return show.search_text(text, width)
    if action == "show":
        return show.show_text(text, width)
    from ipse.papers.page import write_page

    with whole(text) as draft:
        write_page(draft)
    return f"catalogue: {Path(text).resolve().as_uri()}"


def methods(
    modality: Annotated[Literal["image", "audio", "series", "table"] | None, "only what is for this kind of data"] = None,
) -> str:
    """List what exists: methods, regularizers, schedules, measures, encoders and data sets by name."""
    from ipse import papers as catalogue

    groups = {
        f"{role}s ({option})": {
            _name(paper): paper.summary for paper in catalogue.of(kind=role) if _fits(paper, role, modality)
        }
        for role, option in _OPTIONS.items()
    }
    lines = []
    encoders = {name: text for name, text in _ELSE["encoders (--encoder)"].items() if text.startswith(modality or "")}
    for head, rows in (groups | _ELSE | {"encoders (--encoder)": encoders}).items():
        lines += [head, *(_cut(f"  {name:24}{text}", _width()) for name, text in rows.items())]
    return "\n".join(lines)


def _fits(paper: Paper, role: str, modality: str | None) -> bool:
    """Whether a paper's code plays the role, on this kind of data if one is asked for."""
    if paper.role != role or modality is None or not role.endswith("method"):
        return paper.role == role
    from ipse.papers import load

    own = tuple(m for m in paper.modality if m != "any")  # jobs whose protocol says nothing about it
    modalities: tuple[str, ...] = getattr(load(paper.key, role), "modalities", own)
    return not modalities or modality in modalities


def _name(paper: Paper) -> str:
    """What to type: schedules go by the name of their function."""
    return (paper.entry or "").rpartition(":")[2] if paper.role == "schedule" else paper.key


def _cut(line: str, width: int) -> str:
    return line if len(line) <= width else line[: width - 1].rsplit(" ", 1)[0] + " …"


def _width() -> int:
    return shutil.get_terminal_size((110, 24)).columns
