"""Hand an encoder to other programs."""

from __future__ import annotations

import json
import os
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from ipse.errors import UserError, requires
from ipse.jobs.files import whole
from ipse.jobs.run import Run

if TYPE_CHECKING:
    from ipse.models import Classifier, Encoder


def export(
    run: Annotated[str | os.PathLike[str], "a run's folder"],
    *,
    format: Annotated[Literal["safetensors", "timm", "onnx"], "who is to read it"],
    out: Annotated[str | Path, "the file to write: FILE.safetensors or FILE.onnx"],
) -> Path:
    """Write the encoder of a run for other programs.

    safetensors: the weights, with how to build the encoder in the file's metadata; `ipse.load` opens it. timm: the weights under
    timm's names, for `timm.create_model(NAME, num_classes=0, checkpoint_path=FILE)`; only for timm's encoders, and with how to
    open it in the metadata. onnx: a graph to `embedding` (N, dim), any N, from `image` (N, C, S, S) in [-1, 1], `audio` (N, T),
    `series` (N, C, T) or `table` (N, D), NaN where nothing is known; its metadata say what the numbers are: rate, means, scales,
    categories. A classifier has a second output, `logits` (N, K), whose softmax is its calibrated confidence, or (N, K, S, S)
    where it names pixels, and its metadata name the classes; the other formats hold its encoder alone.

    Raises UserError for other formats and endings, for encoders that a format cannot hold, and where the file cannot be written.
    """
    writers: dict[str, Callable[[Any, Path], None]] = {"safetensors": _safetensors, "timm": _timm, "onnx": _onnx}
    if format not in writers:
        raise UserError(f"--format {format}: there are {', '.join(writers)}")
    path, ending = Path(out), ".onnx" if format == "onnx" else ".safetensors"
    if path.suffix != ending:  # timm, for one, tells by it how to read the file
        raise UserError(f"--out {path}: the name of a file in the format {format} ends in {ending}")
    opened = Run.open(run)
    model = opened.classifier if format == "onnx" and opened.has_classes else opened.encoder
    with whole(path) as draft:
        writers[format](model, draft)
    return path


def load(path: str | os.PathLike[str]) -> Encoder:
    """The encoder of a run's folder, or of a file that `ipse export --format safetensors` wrote; reads tensors and JSON, runs no code."""
    from safetensors import safe_open

    from ipse import models

    if Path(path).is_dir():
        return Run.open(path).encoder
    try:
        with safe_open(path, framework="pt") as file:
            description = json.loads((file.metadata() or {})["ipse"])
            tensors = {k: file.get_tensor(k) for k in file.keys()}  # noqa: SIM118
        encoder = models.create(**description)
        encoder.load_state_dict(tensors)
    except KeyError:
        raise UserError(f"{path} is no encoder that ipse wrote: its metadata does not say how to build one") from None
    except Exception as e:
        raise UserError(f"{path} is no encoder that ipse wrote: {' '.join(str(e).split())[:120]}") from e
    return encoder.eval()


def _safetensors(encoder: Encoder, path: Path) -> None:
    _save(encoder.state_dict(), path, ipse=json.dumps({"name": encoder.name, "form": encoder.form, **encoder.options()}))


def _timm(encoder: Encoder, path: Path) -> None:
    from ipse.models.timm_door import TimmEncoder

    if not isinstance(encoder, TimmEncoder):
        raise UserError(
            f"encoder {encoder.name!r} is not timm's: export it as safetensors or onnx, or train with a timm encoder such as resnet18"
        )
    options: dict[str, Any] = {"num_classes": 0, "in_chans": encoder.form["channels"]}
    if hasattr(getattr(encoder.model, "patch_embed", None), "img_size"):  # positions belong to one size
        options["img_size"] = encoder.form["size"]
    _save(encoder.model.state_dict(), path, timm=json.dumps({"model_name": encoder.name, **options}))


def _save(tensors: dict[str, Any], path: Path, **metadata: str) -> None:
    from safetensors.torch import save

    path.write_bytes(save({k: v.contiguous() for k, v in tensors.items()}, metadata={"format": "pt", **metadata}))


def _onnx(model: Encoder | Classifier, path: Path) -> None:
    import torch

    try:
        import onnx  # noqa: F401
        import onnxscript  # noqa: F401
    except ImportError:
        raise requires("onnx", "ONNX export") from None
    from ipse.data.form import shape
    from ipse.models import Classifier
    from ipse.models.classifier import FeaturesAndScores

    module: torch.nn.Module = model
    encoder, outputs, classes = model, ["embedding"], {}
    if isinstance(model, Classifier):
        module, encoder = FeaturesAndScores(model), model.encoder
        outputs, classes = ["embedding", "logits"], {"classes": model.classes}
    example = torch.zeros(2, *shape(encoder.form))
    any_number: Any = ({0: torch.export.Dim("n", min=1)},)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            graph = torch.export.export(module, (example,), dynamic_shapes=any_number)
        except Exception:  # code that counts pictures in Python can be followed at half the speed only
            graph = torch.export.export(module, (example,), dynamic_shapes=any_number, strict=True)
        program = torch.onnx.export(
            graph,
            dynamo=True,
            input_names=[encoder.form["modality"]],
            dynamic_shapes=any_number,
            verbose=False,
        )
    assert program is not None
    for value in (value for node in program.model.graph for value in node.outputs):
        if value.name in outputs:  # looking up a category is called embedding too
            value.name += "_inside"
    for output, name in zip(program.model.graph.outputs, outputs, strict=True):
        output.name = name
    program.model.metadata_props["ipse"] = json.dumps({"name": encoder.name, "form": encoder.form, **classes})
    program.save(str(path), external_data=False)
