"""The viewer of each modality."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from ipse.data import Form, Samples
from ipse.transforms.audio import AudioPolicy, AudioViewer
from ipse.transforms.image import ImagePolicy, ImageViewer
from ipse.transforms.series import SeriesPolicy, SeriesViewer
from ipse.transforms.table import TablePolicy, TableViewer, bank_of
from ipse.transforms.viewer import Viewer


def viewer(form: Form, changes: Mapping[str, Any] | None = None, samples: Samples | None = None) -> Viewer[Any]:
    """What makes views of samples of a form, by the usual policy for it with `changes`.

    samples: where views borrow from others (the background of a recording, the cells of a table), those to borrow from.
    Raises UserError for unknown names and values that make no sense.
    """
    changes, modality = changes or {}, form["modality"]
    if modality == "audio":
        bank = None if samples is None else samples.read(samples.spread(256))
        return AudioViewer(AudioPolicy().change(changes), form["samples"], bank)
    if modality == "series":
        return SeriesViewer(SeriesPolicy().change(changes), form.get("take", ()))
    if modality == "table":
        categorical = [column["categories"] is not None for column in form["columns"]]
        rows = torch.zeros(1, len(categorical)) if samples is None else bank_of(samples)
        return TableViewer(TablePolicy().change(changes), categorical, rows)
    return ImageViewer(ImagePolicy.usual(form["channels"], form["size"]).change(changes), form["size"])
