"""Akin in scikit-learn: a transformer of texts, and neighbours by its graph.

``pip install akin[sklearn]``

>>> from akin.sklearn import SentenceTransformer                             # doctest: +SKIP
>>> from sklearn.linear_model import LogisticRegression                      # doctest: +SKIP
>>> from sklearn.pipeline import make_pipeline                               # doctest: +SKIP
>>> make_pipeline(SentenceTransformer(), LogisticRegression()).fit(texts, labels)  # doctest: +SKIP
"""

from __future__ import annotations

import tempfile
from typing import Any, Optional

import numpy as np
from scipy.sparse import csr_matrix
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils.validation import check_array, check_is_fitted

import akin
from akin._encoder import DEFAULT_MODEL


class SentenceTransformer(TransformerMixin, BaseEstimator):
    """Makes vectors of texts: ``transform`` takes a list of str, and gives an array of shape (texts, dimension)."""

    def __init__(self, model: str = DEFAULT_MODEL, precision: str = "f32", normalize: bool = False) -> None:
        self.model = model
        self.precision = precision
        self.normalize = normalize

    def fit(self, X: Any, y: Any = None) -> SentenceTransformer:
        """Loads the model."""
        self.encoder_ = akin.SentenceEncoder(self.model, precision=self.precision)
        self.n_features_out_ = self.encoder_.dimension
        return self

    def transform(self, X: Any) -> Any:
        """The vectors of texts."""
        if not hasattr(self, "encoder_"):
            self.fit(X)
        texts = X.ravel().tolist() if hasattr(X, "ravel") else list(X)
        return self.encoder_.encode(texts, normalize_embeddings=self.normalize)

    def get_feature_names_out(self, input_features: Any = None) -> Any:
        """Names of the numbers of a vector."""
        return np.array([f"akin{number}" for number in range(self.n_features_out_)], dtype=object)

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "encoder_")


class KNeighborsTransformer(TransformerMixin, BaseEstimator):
    """The nearest neighbours of rows as a sparse graph of distances, as scikit-learn's transformer of the name gives it.

    Neighbours are found by Akin's graph, exactly if ``exact`` is true. Distances are Euclidean or of cosines.
    """

    def __init__(self, n_neighbors: int = 5, metric: str = "euclidean", ef: Optional[int] = None, exact: bool = False) -> None:
        self.n_neighbors = n_neighbors
        self.metric = metric
        self.ef = ef
        self.exact = exact

    def fit(self, X: Any, y: Any = None) -> KNeighborsTransformer:
        """Builds an index of rows in a temporary folder."""
        if self.metric not in ("euclidean", "cosine"):
            raise ValueError(f"metric={self.metric!r} is neither 'euclidean' nor 'cosine'")
        rows = check_array(X, dtype=np.float32)
        self.folder_ = tempfile.TemporaryDirectory(prefix="akin-")
        self.index_ = akin.open(self.folder_.name + "/index", create=True, dimension=rows.shape[1], similarity=self.metric)
        self.index_.add([""] * len(rows), ids=range(len(rows)), vectors=rows, progress=False)
        self.n_features_in_ = rows.shape[1]
        self.n_samples_fit_ = len(rows)
        return self

    def transform(self, X: Any) -> Any:
        """A sparse matrix of shape (rows, rows of the fit) with the distances to the nearest, and to a row itself."""
        check_is_fitted(self)
        rows = check_array(X, dtype=np.float32)
        count = min(self.n_neighbors + 1, self.n_samples_fit_)
        found = self.index_.search_many(rows, k=count, ef=self.ef, exact=self.exact)
        columns = np.concatenate([np.array(hits.ids, dtype=np.int64) for hits in found])
        scores = np.concatenate([np.array(hits.scores) for hits in found])
        distances = np.maximum(1 - scores, 0) if self.metric == "cosine" else -scores
        starts = np.cumsum([0, *(len(hits) for hits in found)])
        return csr_matrix((np.abs(distances), columns, starts), shape=(len(rows), self.n_samples_fit_))
