"""Numbers about embeddings: torch tensors in, plain floats out, in chunks that make room for a million rows."""

from ipse.metrics.alignment import alignment, uniformity
from ipse.metrics.dimension import geometric_mean_lid, intrinsic_dimension
from ipse.metrics.linear import linear_probe
from ipse.metrics.neighbours import knn_accuracy, knn_predict, nearest
from ipse.metrics.rank import alpha_req, effective_dimension, rankme, spectrum

__all__ = [
    "alignment",
    "alpha_req",
    "effective_dimension",
    "geometric_mean_lid",
    "intrinsic_dimension",
    "knn_accuracy",
    "knn_predict",
    "linear_probe",
    "nearest",
    "rankme",
    "spectrum",
    "uniformity",
]
