"""Let a trained classifier adapt to data that has shifted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, overload

from ipse.jobs import words
from ipse.jobs.adapting.result import Adapted

if TYPE_CHECKING:
    from ipse.methods.adapt import Guarded


def adapt_stream(
    model: Annotated[Any, "a run's folder that holds a classifier, or any timm model name"],
    stream: Annotated[Any, "what it meets, in its order: data in any form that `ipse pretrain` takes; of parts, the test part"],
    *,
    method: Annotated[
        str, "how to adapt: rmt-tta, tesla-tta, rpl-self-learning, ttt-rotation, tent, bn-adapt, or source for not at all"
    ] = "rmt-tta",
    source: Annotated[
        Any, "labelled data the model was trained on, where a method needs it once; default: the run's own"
    ] = None,
    labels: words.Labels = None,
    corrupt: Annotated[
        Sequence[str],
        "corruptions to put on the stream one after the other, for example fog,jpeg, or all; `ipse adapt` names them",
    ] = (),
    severity: Annotated[int, "of the corruptions, 1 to 5"] = 5,
    gradual: Annotated[bool, "let each corruption grow from 1 to the severity and fall again"] = False,
    batch_size: Annotated[int, "samples that come, and are answered, together"] = 64,
    limit: Annotated[int | None, "samples of the stream at most, spread over it"] = None,
    reset: Annotated[
        Literal["never", "segment", "batch"] | None,
        "when to start over: never (continual), with each corruption, or with each batch (episodic); default: the method's",
    ] = None,
    passes: Annotated[int, "times to go through each segment before it is answered; 0 answers samples as they come"] = 0,
    set: words.Settings = (),
    guard: Annotated[bool, "let the unadapted model answer where the adapted one has gone astray, and start over"] = True,
    margin: Annotated[
        float, "share of answers that may be worse than the unadapted model's before the guard looks closer"
    ] = 0.05,
    state: Annotated[str | Path | None, "FILE, or folder of an earlier stream, to go on from, and to keep the state in"] = None,
    seed: words.Seed = 0,
    out: Annotated[str | Path | None, "folder for the results; default runs/METHOD-STREAM"] = None,
    json: Annotated[str | Path | None, "also write the numbers to this file"] = None,
    quiet: words.Quiet = False,
) -> Adapted:
    """Let a trained classifier adapt to data that has shifted, without its labels, while it answers.

    Writes predictions.csv, report.html and a state that the next stream can go on from, and prints the error of each segment beside that
    of the unadapted model and of new batch statistics alone; without labels, how sure the answers are and how many change.

    Returns the results. Raises UserError for what a user can put right; nothing is written then.
    """
    asked = dict(locals())
    from ipse.jobs.adapting.stream import run

    return run(asked)


def adapter(
    model: Any,
    *,
    method: str = "rmt-tta",
    source: Any = None,
    set: Sequence[str] | Mapping[str, Any] = (),
    episodic: bool | None = None,
    guard: bool = True,
    margin: float = 0.05,
    seed: int = 0,
) -> Guarded:
    """A classifier that adapts while it answers: `logits = adapter(batch)`.

    model: a run or its folder, a timm model name, or any torch module from samples (B, ...) to logits (B, K); it is copied. source:
    samples that it was trained on, as it sees them, with their labels (x, y), or data in any form that `ipse pretrain` takes, where the
    method needs it once. episodic: whether each batch starts over; None for the method's way. The adapter's `reset()` goes back to the
    start, `events` says what the guard did, and `state_dict()` holds all that the next batch depends on.

    Raises UserError for what does not fit.
    """
    from ipse.jobs.adapting import start

    opened = start.open_model(model)
    made = start.build(opened, method, set, seed=seed, guard=guard, margin=margin)
    if episodic is not None:
        made.adapter.episodic = episodic
    if made.adapter.needs_source and source is not None:
        made.prepare(*start.samples_of(source, opened))
    return made


@overload
def adapt(model: Any, stream: None = None, **settings: Any) -> Guarded: ...


@overload
def adapt(model: Any, stream: Any, **settings: Any) -> Adapted: ...


def adapt(model: Any, stream: Any = None, **settings: Any) -> Guarded | Adapted:
    """A classifier that adapts while it answers, or, with a stream, its answers.

    `ipse.adapt(model, method=..., source=...)` is `adapter`: a torch module from batches to logits. `ipse.adapt(model, stream, ...)`
    does what the command line does, in the same words, and gives the results.
    """
    return adapter(model, **settings) if stream is None else adapt_stream(model, stream, **settings)
