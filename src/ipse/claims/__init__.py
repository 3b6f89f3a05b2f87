"""Every paper's claim in miniature: one file per paper, named after its key, run by `ipse reproduce KEY`.

A claim file holds `CLAIM`, what is claimed and tried, and `run(seed, long)`, which gives one number per arm for one
seed by calling what everybody else calls.
`results/KEY.json` keeps what came of it; `python -m ipse.claims` writes docs/RESULTS.md from those.
"""

from ipse.claims.harness.claim import Claim
from ipse.claims.harness.exercise import exercises, watch
from ipse.claims.harness.kit import (
    accuracy,
    biased_labels,
    distilled,
    few_labels,
    linear,
    pictures,
    pretrained,
    probe,
    selftrained,
    taught,
    untrained,
)

__all__ = [
    "Claim",
    "accuracy",
    "biased_labels",
    "distilled",
    "exercises",
    "few_labels",
    "linear",
    "pictures",
    "pretrained",
    "probe",
    "selftrained",
    "taught",
    "untrained",
    "watch",
]
