"""Hand an encoder to other programs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from ipse.errors import UserError, requires
from ipse.jobs.run import Run

if TYPE_CHECKING:
    from ipse.models import Encoder


def export(
    run: Annotated[str | Path, "a run's folder"],
    *,
    format: Annotated[str, "safetensors, timm or onnx"],
    out: Annotated[str | Path, "the file to write"],
) -> Path:
    """Write the encoder of a run for other programs.

    safetensors: the weights, with how to build the encoder in the file's metadata (`ipse.load` opens it). timm: the weights under timm's names, for
    `timm.create_model(NAME, num_classes=0, checkpoint_path=FILE)`; only for timm's encoders. onnx: a graph from `image` (N, C, S, S) in [-1, 1] to
    `embedding` (N, dim), any N.
    """
    writers = {"safetensors": _safetensors, "timm": _timm, "onnx": _onnx}
    if format not in writers:
        raise UserError(f"--format {format}: there are {', '.join(writers)}")
    encoder, path = Run.open(run).encoder, Path(out)
    temporary = path.with_name(path.stem + ".part" + path.suffix)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        writers[format](encoder, temporary)
        temporary.replace(path)
    except OSError as e:
        raise UserError(f"cannot write {path}: {e.strerror or e}") from e
    finally:
        temporary.unlink(missing_ok=True)
    return path


def load(path: str | Path) -> Encoder:
    """The encoder of a run's folder, or of a file that `ipse export --format safetensors` wrote; reads tensors and JSON, runs no code."""
    from safetensors import safe_open

    from ipse import models

    if Path(path).is_dir():
        return Run.open(path).encoder
    try:
        with safe_open(path, framework="pt") as file:
            description = json.loads((file.metadata() or {})["ipse"])
            tensors = {k: file.get_tensor(k) for k in file.keys()}  # noqa: SIM118
    except Exception as e:
        raise UserError(f"{path} is no encoder that ipse wrote ({str(e).splitlines()[0][:100]})") from e
    encoder = models.create(**description)
    encoder.load_state_dict(tensors)
    return encoder.eval()


def _safetensors(encoder: Encoder, path: Path) -> None:
    from safetensors.torch import save_file

    description = {"name": encoder.name, **encoder.options()}
    save_file(
        {k: v.contiguous() for k, v in encoder.state_dict().items()},
        path,
        metadata={"format": "pt", "ipse": json.dumps(description)},
    )


def _timm(encoder: Encoder, path: Path) -> None:
    from safetensors.torch import save_file

    from ipse.models.timm_door import TimmEncoder

    if not isinstance(encoder, TimmEncoder):
        raise UserError(
            f"encoder {encoder.name!r} is not timm's: export it as safetensors or onnx, or train with a timm encoder such as resnet18"
        )
    save_file({k: v.contiguous() for k, v in encoder.model.state_dict().items()}, path, metadata={"format": "pt"})


def _onnx(encoder: Encoder, path: Path) -> None:
    import torch

    try:
        import onnx  # noqa: F401
        import onnxscript  # noqa: F401
    except ImportError:
        raise requires("onnx", "ONNX export") from None
    example: Any = torch.zeros(2, encoder.channels, encoder.size, encoder.size)
    program = torch.onnx.export(
        encoder,
        (example,),
        dynamo=True,
        input_names=["image"],
        output_names=["embedding"],
        dynamic_shapes=({0: torch.export.Dim("n", min=1)},),
        verbose=False,
    )
    assert program is not None
    program.save(str(path), external_data=False)
