"""Akin in MTEB: a model wrapper, to run its tasks.

>>> import mteb                                                              # doctest: +SKIP
>>> from akin.mteb import AkinModel                                          # doctest: +SKIP
>>> mteb.MTEB(tasks=mteb.get_tasks(["STSBenchmark"])).run(AkinModel("all-MiniLM-L6-v2"))  # doctest: +SKIP
"""

from __future__ import annotations

from typing import Any, List, Union

import akin
from akin._encoder import DEFAULT_MODEL, Name


class AkinModel:
    """What MTEB asks of a model: ``encode`` by the role of the texts, and ``similarity``."""

    def __init__(self, model: Union[Name, akin.SentenceEncoder] = DEFAULT_MODEL, **options: Any) -> None:
        """A model, with the options of :class:`akin.SentenceEncoder`."""
        self.encoder = model if isinstance(model, akin.SentenceEncoder) else akin.SentenceEncoder(model, **options)

    def encode(self, inputs: Any, *, prompt_type: Any = None, **options: Any) -> Any:
        """The vectors of texts: a list of str, or batches of dicts with ``text`` as MTEB 2 gives them."""
        texts: List[str] = []
        for one in inputs:
            if isinstance(one, str):
                texts.append(one)
            else:
                texts.extend(one["text"])
        role = getattr(prompt_type, "value", prompt_type)
        if role == "query":
            return self.encoder.encode_query(texts)
        if role in ("document", "passage"):
            return self.encoder.encode_document(texts)
        return self.encoder.encode(texts)

    def similarity(self, first: Any, second: Any) -> Any:
        """How similar each vector of one array is to each of another."""
        return self.encoder.similarity(first, second)

    def similarity_pairwise(self, first: Any, second: Any) -> Any:
        """How similar each vector is to the one in the same place."""
        import numpy as np

        return np.array([self.encoder.similarity(a, b)[0, 0] for a, b in zip(first, second)])
