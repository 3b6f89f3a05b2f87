"""Encoders on disk: safetensors and JSON."""

from __future__ import annotations

import json
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor

from ipse.errors import UserError, first_line
from ipse.models.branch import load_branch, save_branch
from ipse.models.build import create
from ipse.models.classifier import Classifier
from ipse.models.encoder import Encoder
from ipse.models.regressor import Regressor
from ipse.models.segmenter import Segmenter


def save(encoder: Encoder, folder: Path) -> None:
    """Writes encoder.safetensors and encoder.json, each whole or not at all."""
    description = {"name": encoder.name, "dim": encoder.dim, "form": encoder.form, "options": encoder.options()}
    weights, text = folder / "encoder.safetensors", folder / "encoder.json"
    tensors = {k: v.detach().cpu().contiguous() for k, v in encoder.state_dict().items()}
    write_tensors(tensors, temporary := weights.with_suffix(".part"), {"format": "pt"})
    temporary.replace(weights)
    (temporary := text.with_suffix(".part")).write_text(json.dumps(description, indent=2) + "\n")
    temporary.replace(text)


def save_classifier(model: Classifier, folder: Path) -> None:
    """Writes the encoder and, beside it, head.safetensors, which names the classes; each whole or not at all. A `Regressor` or `Segmenter` too."""
    save(model.encoder, folder)
    weights = folder / "head.safetensors"
    tensors = {k: v.detach().cpu().contiguous() for k, v in model.head.state_dict().items()}
    tensors["temperature"] = model.temperature.detach().cpu()
    kind = "pixels" if isinstance(model, Segmenter) else "classes"
    about = {kind: json.dumps(model.classes)}  # one entry: of several the order in the file would change from time to time
    write_tensors(tensors, temporary := weights.with_suffix(".part"), about)
    temporary.replace(weights)
    if model.rotation is not None:
        save_branch(model.rotation, folder / "rotation.safetensors")


def load_classifier(folder: Path) -> Classifier:
    """Opens the classifier of a run folder, its regressor or its segmenter, in evaluation mode; raises UserError where there is none or it is damaged."""
    encoder, path = load(folder), folder / "head.safetensors"
    if not path.exists():
        raise UserError(
            f"{folder} holds an encoder without classes: train some with ipse selftrain DATA --labels FILE.csv --from {folder}"
        )
    try:
        with safe_open(path, framework="pt") as file:
            about = file.metadata()
            classes = json.loads(about["pixels" if "pixels" in about else "classes"])
            tensors = {k: file.get_tensor(k) for k in file.keys()}  # noqa: SIM118
        kind = Segmenter if "pixels" in about else Regressor if len(tensors["weight"]) < len(classes) else Classifier
        with torch.random.fork_rng(devices=[]):
            model = kind(encoder, classes)
        model.temperature.copy_(tensors.pop("temperature"))
        model.head.load_state_dict(tensors)
    except Exception as e:
        raise UserError(f"the head in {folder} is damaged ({first_line(e)})") from e
    if (second := folder / "rotation.safetensors").exists():
        model.rotation = load_branch(second, encoder)
    return model.eval()


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
