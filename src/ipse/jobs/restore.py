"""Restore corrupted pictures and other signals without clean ones."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

from ipse.errors import UserError
from ipse.jobs import names
from ipse.jobs.run import command_line, say


def restore(
    data: Annotated[Any | Sequence[Any], "photos, folders of them, or .npy files; for video folders of frames"] = (),
    *,
    method: Annotated[str, "auto, which looks at each photo and says why, or one of `ipse methods`"] = "auto",
    out: Annotated[str | Path | None, "the folder to write to; default: restored"] = None,
    set: Annotated[Sequence[str] | Mapping[str, Any], "settings of the method, for example color=0.8"] = (),
    strength: Annotated[float, "how much of the change is made, from 0 to 1"] = 1.0,
    compare: Annotated[Sequence[str], "methods to show beside it, for example nlm,tv"] = (),
    reference: Annotated[
        str | Path | None, "the true picture or a folder of them under the same names, to measure against"
    ] = None,
    learn: Annotated[str | Path | None, "files to learn from instead of those that are restored"] = None,
    like: Annotated[str | Path | None, "examples of what is wished for, where the method needs some"] = None,
    steps: Annotated[int | None, "how long to learn; default: the method's"] = None,
    seed: Annotated[int, "the same seed gives the same result"] = 0,
    tile: Annotated[int, "pixels a side that are worked on at once; less takes less memory"] = 512,
    overwrite: Annotated[bool, "replace files that are in the folder already"] = False,
    quiet: Annotated[bool, "no progress, no closing lines"] = False,
) -> Any:
    """Restore photos and other signals without clean ones: too dark, noisy, speckled, undersampled.

    Size, depth, transparency, colour profile and EXIF stay as they are, and so does the format: PNG, JPEG, TIFF or WebP; others are written as
    PNG. The folder also gets report.html, before and after, and restored.json, all numbers. A net is trained once and kept in the cache.

    Returns the paths written; from Python, an array gives an array of its shape and type back, and nothing is written. Raises UserError for what a
    user can put right; unreadable files among others are named and left out.
    """
    words = dict(locals())
    from ipse.jobs.restoring import files, page
    from ipse.jobs.restoring.task import Task, takes_of

    task = Task.of(**{k: v for k, v in words.items() if k not in ("data", "out", "reference", "overwrite")})
    if hasattr(data, "__array__"):
        return task.restored_array(data)
    takes = takes_of(method)
    given = [data] if isinstance(data, (str, Path)) else list(data)
    found, skipped = files.gather(given, takes)
    folder = Path("restored" if out is None else out)
    targets = files.targets(found, folder, overwrite, takes)
    references = files.references(found, reference)
    chosen = task.choose(found, skipped)
    done = []
    for file, choice in chosen:
        record = task.restore(file, choice, chosen, targets[file.name], references.get(file.name), skipped)
        if record is not None:
            done.append(record)
            if not quiet:
                say(record.line)
    if not done:
        raise UserError(f"nothing was restored; the first, {skipped[0][0]}: {skipped[0][1]}")
    for name, reason in skipped:
        say(f"ipse: note: {name} was left out: {reason}")
    shown = page.close(done, skipped, folder, command_line("restore", given, names.typed(words, restore)))
    if not quiet:
        print(f"before and after: {shown.resolve().as_uri()}")
    return [record.out for record in done]
