"""A frozen net by whose features pictures are compared."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from ipse.errors import UserError

_PLAN = (2, 2, 3, 3, 3)  # 3x3 convolutions of VGG16 at each scale
_MEAN, _STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


class VGG(nn.Module):
    """VGG16 up to the last layer asked for: pictures (B, C, H, W) in [0, 1] to one map of features per layer.

    layers: by scale and convolution, "2_2" or "5_1", each after its ReLU. weights: "random" keeps edges and textures apart and needs
    nothing; "vgg16" is trained on ImageNet, 528 MB from timm's hub, and `width` is 64 then. pools: how many times the picture is
    halved at most. Frozen: gradients reach the pictures alone.

    Simonyan & Zisserman, ICLR 2015, arXiv:1409.1556; random ones: He, Wang & Hopcroft, NeurIPS 2016
    """

    def __init__(self, layers: Sequence[str], *, weights: str = "random", width: int = 64, pools: int = 4, seed: int = 0):
        super().__init__()
        self.layers, self.pools = tuple(layers), pools
        if weights not in ("random", "vgg16"):
            raise UserError(f"features are random or vgg16, not {weights!r}")
        known = [f"{scale}_{i}" for scale, n in enumerate(_PLAN, 1) for i in range(1, n + 1)]
        if missing := [name for name in layers if name not in known]:
            raise UserError(f"VGG16 has no layer {missing[0]!r}; it has {', '.join(known)}")
        self.names = known[: max(map(known.index, layers)) + 1]
        widths = {1: 1, 2: 2, 3: 4, 4: 8, 5: 8}
        width = 64 if weights == "vgg16" else width
        wide = [width * widths[int(name[0])] for name in self.names]
        chance = torch.Generator().manual_seed(seed)
        with torch.random.fork_rng(devices=[]):
            convs = [nn.Conv2d(a, b, 3, padding=1, bias=weights != "random") for a, b in zip([3, *wide], wide, strict=False)]
        for conv in convs:
            nn.init.kaiming_normal_(conv.weight, nonlinearity="relu", generator=chance)
        self.convs = nn.ModuleList(convs)
        if weights == "vgg16":
            self._load()
        self.requires_grad_(False)

    def forward(self, x: Tensor) -> list[Tensor]:
        mean, std = (torch.tensor(t).to(x)[:, None, None] for t in (_MEAN, _STD))
        x = (x.expand(-1, 3, -1, -1) - mean) / std
        found, pools = {}, 0
        for name, conv in zip(self.names, self.convs, strict=True):
            if name.endswith("_1") and name != "1_1" and pools < self.pools and min(x.shape[-2:]) > 1:
                x, pools = nn.functional.max_pool2d(x, 2), pools + 1
            x = conv(x).relu()
            if name in self.layers:
                found[name] = x
        return [found[name] for name in self.layers]

    def _load(self) -> None:
        import timm

        try:
            vgg = timm.create_model("vgg16.tv_in1k", pretrained=True)
        except Exception as error:
            raise UserError(f"the weights of vgg16 cannot be had ({type(error).__name__}): take features=random") from None
        convs = [m for m in vgg.modules() if isinstance(m, nn.Conv2d) and m.kernel_size == (3, 3)]
        for own, theirs in zip(self.convs, convs, strict=False):
            own.load_state_dict(theirs.state_dict())
