"""Encoders on disk: safetensors and JSON."""

from __future__ import annotations

import json
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from ipse.errors import UserError, first_line
from ipse.models.build import create
from ipse.models.encoder import Encoder


def save(encoder: Encoder, folder: Path) -> None:
    """Writes encoder.safetensors and encoder.json, each whole or not at all."""
    description = {"name": encoder.name, "dim": encoder.dim, "form": encoder.form, "options": encoder.options()}
    weights, text = folder / "encoder.safetensors", folder / "encoder.json"
    tensors = {k: v.detach().cpu().contiguous() for k, v in encoder.state_dict().items()}
    write_tensors(tensors, temporary := weights.with_suffix(".part"), {"format": "pt"})
    temporary.replace(weights)
    (temporary := text.with_suffix(".part")).write_text(json.dumps(description, indent=2) + "\n")
    temporary.replace(text)


def write_tensors(tensors: dict[str, Tensor], path: Path, metadata: dict[str, str]) -> None:
    """Writes a safetensors file with the permissions of any new file; the library's own are its owner's alone."""
    path.touch()
    mode = path.stat().st_mode
    try:
        save_file(tensors, path, metadata=metadata)
        path.chmod(mode)
    except BaseException:
        path.unlink(missing_ok=True)
        raise


def load(folder: Path) -> Encoder:
    """Opens the encoder of a run folder, in evaluation mode; raises UserError where there is none or it is damaged."""
    try:
        description = json.loads((folder / "encoder.json").read_text())
        name, dim, form, options = (description[key] for key in ("name", "dim", "form", "options"))
        with torch.random.fork_rng(devices=[]):  # its start, which is overwritten, takes no random numbers from the caller
            encoder = create(name, form, pretrained=False, **options)
        encoder.load_state_dict(load_file(folder / "encoder.safetensors"))
        if encoder.dim != dim:
            raise ValueError(f"dim is {dim}, but the weights give {encoder.dim}")
    except FileNotFoundError as e:
        missing = next((n for n in ("encoder.json", "encoder.safetensors") if not (folder / n).exists()), "encoder.json")
        raise UserError(f"{folder} holds no finished run: {missing} is missing") from e
    except UserError as e:
        raise UserError(f"the encoder in {folder} cannot be built: {e}") from e
    except Exception as e:
        raise UserError(f"the encoder in {folder} is damaged ({first_line(e)})") from e
    return encoder.eval()
