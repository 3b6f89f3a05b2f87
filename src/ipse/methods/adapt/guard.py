"""A guard around every adapter: what goes astray is noticed, said and taken back."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor, nn

from ipse.methods.adapt.adapter import Adapter

LEAST, PIECES = 32, 8  # answers that a judgement needs; parts of the window that are compared for their order
CALM = 4  # windows without a failure after which earlier ones are forgiven


@dataclass(frozen=True)
class Event:
    """What the guard did: at which sample of the stream, and why."""

    sample: int
    text: str


class Guarded(nn.Module):
    """An adapter beside the unadapted model, which answers in its place where it has gone astray: x (B, ...) to logits (B, K).

    The labels of a stream are not known. But an adapter that gives the source's class to all but a share d of the samples errs on at
    most d more of them than the source. While d <= `margin` over the last `window` answers, it may do what it likes. Beyond that, each
    of these is what failing adapters show, and ends it:

        not finite  an answer or a weight is no number (whatever d is)
        drift       the weights that move are further from the start than those weights were long: |w - w0| > `drift` |w0|
        collapse    it names less than half as many classes as the source, counted as exp(entropy of the classes named)
        unsure      where the two disagree, the source is surer than the adapter by `margin`
        order       what the source names changes along the window more than once (samples sorted by class, which misleads the
                    statistics of batches; one change may be that of the corruption), and where the two disagree the adapter is not
                    much surer

    It then starts over, the source answers, and `events` says so. The source goes on answering for a window, at the next failure for
    two, for four, ... An adapter is unheard until it has been judged by 32 answers, which one batch of as many samples is enough for.
    So a stream that cannot be adapted to costs little.

    Samples that the source itself cannot answer (NaN in a picture) are kept from the adapter: their logits are 0, their places are in
    `unreadable`. `active=False` only watches for those. `last_source`: the source's logits of the last batch; `stood_in`: whether they
    were the answer. state_dict holds the adapter's memory and the guard's.
    """

    counts: Tensor
    recent: Tensor

    def __init__(
        self,
        adapter: Adapter,
        model: nn.Module,
        *,
        margin: float = 0.05,
        window: int = 256,
        drift: float = 1.0,
        active: bool = True,
    ):
        super().__init__()
        self.adapter = adapter
        self.source = copy.deepcopy(model).eval().requires_grad_(False)
        self.margin, self.window, self.drift, self.active = margin, window, drift, active
        self.events: list[Event] = []
        self.unreadable: list[int] = []
        self.last_source: Tensor | None = None
        self.stood_in = False
        self.register_buffer(
            "counts", torch.zeros(4, dtype=torch.int64)
        )  # samples seen, failures, left to wait, adapted to since
        self.register_buffer(
            "recent", torch.zeros(0, 4)
        )  # of each answer: class and confidence, the adapter's and the source's

    def forward(self, x: Tensor) -> Tensor:
        return self._answer(x, learns=True)

    def predict(self, x: Tensor) -> Tensor:
        """The answers of the adapter as it is now, which learns nothing."""
        return self._answer(x, learns=False)

    def prepare(self, x: Tensor, y: Tensor) -> None:
        """Shows the adapter samples of the source x (N, ...) with their labels y (N,)."""
        with torch.enable_grad():
            self.adapter.prepare(x, y)
        self.adapter.begin()

    def reset(self) -> None:
        """Goes back to the start; what has happened stays on record."""
        self.adapter.reset()
        self.recent = self.recent[:0]

    def overrule(self, why: str) -> None:
        """Starts the adapter over for a reason that the guard cannot see."""
        self._say(why)
        self.reset()

    @torch.no_grad()
    def _answer(self, x: Tensor, *, learns: bool) -> Tensor:
        source: Tensor = self.source(x)
        self.last_source, self.stood_in = source, False
        good = source.isfinite().all(1)
        start = int(self.counts[0])
        self.counts[0] += len(x)
        if not bool(good.all()):
            self.unreadable += (start + (~good).nonzero()[:, 0]).tolist()
            self.last_source = source = torch.where(good[:, None], source, 0)
        if not bool(good.any()):
            return source
        if self.active and self.counts[2] > 0:
            self.counts[2] -= len(x)
            self.stood_in = True
            return source
        whole = bool(good.all())
        x = x if whole else x[good]
        logits = self.adapter(x) if learns else self.adapter.predict(x)
        self.counts[3] += len(x)
        if self.active and (why := self._objection(logits, source if whole else source[good])):
            self._fail(why)
        if self.counts[3] > CALM * self.window:
            self.counts[1] = 0
        if self.stood_in or (self.active and self.counts[3] < LEAST):
            self.stood_in = True
            return source
        return logits if whole else torch.zeros_like(source).index_copy_(0, good.nonzero()[:, 0], logits.to(source.dtype))

    def _fail(self, why: str) -> None:
        """Starts over, and lets the source answer for a while that doubles each time."""
        self.counts[2] = self.window * 2 ** int(self.counts[1].clamp(max=20))
        self.counts[1] += 1
        self.counts[3] = 0
        self.stood_in = True
        self._say(f"{why}: it starts over, and the unadapted model answers for the next {int(self.counts[2])} samples")
        self.reset()

    def _say(self, text: str) -> None:
        self.events.append(Event(int(self.counts[0]), text))

    def _objection(self, logits: Tensor, source: Tensor) -> str | None:
        """Why the adapter has gone astray with these answers; None where it has not."""
        drift = self._drift()
        if not bool(logits.isfinite().all()) or not drift < float("inf"):
            return "its answers or weights are no numbers"
        answers = [(z.float() / n).softmax(1).max(1) for z, n in ((logits, self.adapter.summed), (source, 1))]
        latest = torch.stack([t.float() for values, classes in answers for t in (classes, values)], 1)
        self.recent = torch.cat([self.recent.to(latest), latest])[-self.window :]
        own, sure, first, source_sure = self.recent.unbind(1)
        differs = own != first
        share = float(differs.float().mean())
        if len(own) < LEAST or share <= self.margin:
            return None
        if drift > self.drift:
            return f"its weights are {drift:.1f} times as far from the start as they were long"
        named, known = _count(own), _count(first)
        if named < known / 2:
            return f"it names {named:.1f} classes where the unadapted model names {known:.1f}"
        gain = float((sure - source_sure)[differs].mean())
        if int(differs.sum()) >= LEAST // 4 and gain < -self.margin:
            return f"on the {share:.0%} of samples where they disagree, the unadapted model is surer by {-gain:.2f}"
        if len(own) >= self.window // 2 and gain < 0.15 and (order := _order(first)) > 0.3:
            return f"the samples come sorted by class ({order:.2f} nats of order), which misleads it"
        return None

    def _drift(self) -> float:
        """|w - w0| / |w0| over the weights that move."""
        begun = dict(self.source.named_parameters())
        pairs = [(p, begun[name]) for name, p in self.adapter.model.named_parameters() if p.requires_grad and name in begun]
        if not pairs:
            return 0.0
        gone = torch.stack([(p.detach() - q).float().square().sum() for p, q in pairs]).sum()
        return float((gone / torch.stack([q.float().square().sum() for _, q in pairs]).sum().clamp(min=1e-12)).sqrt())

    @property
    def notes(self) -> list[str]:
        """What is to be known of this method with this model."""
        return self.adapter.notes

    def memory(self) -> dict[str, Any]:
        """What it has to say so far, as plain values."""
        return {"events": [asdict(event) for event in self.events], "unreadable": self.unreadable}

    def remember(self, memory: Mapping[str, Any]) -> None:
        """Takes up what `memory` gave."""
        self.events = [Event(**event) for event in memory["events"]]
        self.unreadable = list(memory["unreadable"])

    def state_dict(self, *args: Any, **kwargs: Any) -> dict[str, Any]:  # type: ignore[override]
        """What the stream goes on from: flat, tensors only."""
        own = {"counts": self.counts.clone(), "recent": self.recent.clone()}
        return own | {f"adapter.{name}": t for name, t in self.adapter.state_dict().items()}

    def load_state_dict(self, state_dict: Mapping[str, Any], strict: bool = True, assign: bool = False) -> Any:
        """Goes on from a state of the same method and model; raises RuntimeError for another's."""
        self.counts, self.recent = (state_dict[name].clone().to(self.counts.device) for name in ("counts", "recent"))
        own = {k.removeprefix("adapter."): v for k, v in state_dict.items() if k.startswith("adapter.")}
        return self.adapter.load_state_dict(own, strict, assign)


def _count(classes: Tensor) -> float:
    """How many classes are named: exp(entropy of their shares)."""
    counts = torch.bincount(classes.long())
    return float((_nats(counts) / counts.sum()).exp())


def _nats(counts: Tensor) -> Tensor:
    """The entropy of as many answers of each class (..., K), of all of them together."""
    share = counts / counts.sum(-1, keepdim=True).clamp(min=1)
    return -(counts * share.clamp(min=1e-12).log()).sum(-1)


def _order(classes: Tensor) -> float:
    """What the place in the window tells of the class, beside one change somewhere: nats per answer, less what chance gives.

    The mutual information with the place's eighth, within the two parts that one cut between eighths leaves, where that is least.
    """
    known, names = classes.unique(return_inverse=True)
    pieces = torch.stack([torch.bincount(part, minlength=len(known)) for part in names.tensor_split(PIECES)])
    before, n = pieces.cumsum(0)[:-1], len(classes)
    left = (_nats(before) + _nats(pieces.sum(0) - before)).min() - _nats(pieces).sum()
    return float(left) / n - (len(known) - 1) * (PIECES - 2) / (2 * n)
