"""Akin in ann-benchmarks: a module for its ``algorithms`` folder.

Its folder is ``ann_benchmarks/algorithms/akin``, with a ``Dockerfile`` that says ``RUN pip install akin`` and a ``config.yml`` whose
``constructor`` is ``Akin`` of the module ``akin.ann_benchmarks``.
"""

from __future__ import annotations

import tempfile
from typing import Any, List

import akin

_SIMILARITY = {"angular": "cosine", "euclidean": "euclidean"}


class Akin:
    """An index of rows, as ann-benchmarks drives it: ``fit``, ``set_query_arguments``, ``query``, ``batch_query``."""

    def __init__(self, metric: str) -> None:
        if metric not in _SIMILARITY:
            raise NotImplementedError(f"the metric {metric} is not known: {' and '.join(_SIMILARITY)} are")
        self._similarity = _SIMILARITY[metric]
        self._ef = 96
        self._found: List[List[int]] = []

    def fit(self, rows: Any) -> None:
        """Builds the index."""
        self._folder = tempfile.TemporaryDirectory(prefix="akin-")
        self._index = akin.open(
            self._folder.name + "/index", create=True, dimension=rows.shape[1], similarity=self._similarity
        )
        self._index.add([""] * len(rows), ids=range(len(rows)), vectors=rows, progress=False)
        self._index.optimize()

    def set_query_arguments(self, ef: int) -> None:
        """How many candidates a walk keeps."""
        self._ef = ef

    def query(self, vector: Any, count: int) -> List[int]:
        """The rows nearest to a vector."""
        return [int(id) for id in self._index.search(vector, count, ef=self._ef).ids]

    def batch_query(self, vectors: Any, count: int) -> None:
        """The same of many."""
        found = self._index.search_many(vectors, count, ef=self._ef)
        self._found = [[int(id) for id in hits.ids] for hits in found]

    def get_batch_results(self) -> List[List[int]]:
        """What :meth:`batch_query` found."""
        return self._found

    def get_memory_usage(self) -> None:
        """Not told: the operating system keeps the files in memory."""

    def done(self) -> None:
        """Ends the use of the index."""
        self._index.close()
        self._folder.cleanup()

    def __str__(self) -> str:
        return f"Akin(ef={self._ef})"
