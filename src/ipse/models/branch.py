"""A second head that shares the first part of an encoder."""

from __future__ import annotations

import copy
import json
from pathlib import Path

import torch
from safetensors import safe_open
from torch import Tensor, nn

from ipse.errors import UserError, first_line
from ipse.models.encoder import Encoder


class Branch(nn.Module):
    """The encoder once more with a linear layer of its own, x (B, ...) to (B, outputs); its first layers are the encoder's own.

    share: of the layers that have weights, in the order they were built, the part that both share.
    """

    def __init__(self, encoder: Encoder, outputs: int, share: float = 2 / 3):
        super().__init__()
        self.outputs, self.share = outputs, share
        layers = [module for module in encoder.modules() if any(True for _ in module.parameters(recurse=False))]
        common = layers[: round(share * len(layers))]
        memo: dict[int, object] = {id(module): module for module in common}
        self.encoder: Encoder = copy.deepcopy(encoder, memo)
        self.head = nn.Linear(encoder.dim, outputs)

    def forward(self, x: Tensor) -> Tensor:
        scores: Tensor = self.head(self.encoder(x))
        return scores

    def common(self, encoder: Encoder) -> dict[str, nn.Parameter]:
        """The weights that it shares with the encoder, by their names there."""
        own = {id(p) for p in self.encoder.parameters()}
        return {name: p for name, p in encoder.named_parameters() if id(p) in own}


def save_branch(branch: Branch, path: Path) -> None:
    """Writes the branch to one safetensors file, whole or not at all."""
    from ipse.models.disk import write_tensors

    tensors = {k: v.detach().cpu().contiguous().clone() for k, v in branch.state_dict().items()}
    about = {"format": "pt", "branch": json.dumps({"outputs": branch.outputs, "share": branch.share})}
    write_tensors(tensors, temporary := path.with_suffix(".part"), about)
    temporary.replace(path)


def load_branch(path: Path, encoder: Encoder) -> Branch:
    """Opens a branch of an encoder that is open already; raises UserError where it is damaged."""
    try:
        with safe_open(path, framework="pt") as file:
            about = json.loads(file.metadata()["branch"])
            tensors = {k: file.get_tensor(k) for k in file.keys()}  # noqa: SIM118
        with torch.random.fork_rng(devices=[]):
            branch = Branch(encoder, about["outputs"], about["share"])
        branch.load_state_dict(tensors)
    except Exception as e:
        raise UserError(f"the second head in {path} is damaged ({first_line(e)})") from e
    return branch.eval()
