"""Akin in BERTopic: a backend that makes its vectors.

>>> from akin.bertopic import AkinBackend                                    # doctest: +SKIP
>>> from bertopic import BERTopic                                            # doctest: +SKIP
>>> BERTopic(embedding_model=AkinBackend())                                  # doctest: +SKIP
"""

from __future__ import annotations

from typing import Any, List, Union

from bertopic.backend import BaseEmbedder

import akin
from akin._encoder import DEFAULT_MODEL, Name


class AkinBackend(BaseEmbedder):
    """Makes the vectors of documents and words by a model that Akin runs."""

    def __init__(self, model: Union[Name, akin.SentenceEncoder] = DEFAULT_MODEL, **options: Any) -> None:
        """A model, with the options of :class:`akin.SentenceEncoder`."""
        super().__init__()
        self.embedding_model = model if isinstance(model, akin.SentenceEncoder) else akin.SentenceEncoder(model, **options)

    def embed(self, documents: List[str], verbose: bool = False) -> Any:
        """The vectors of documents, of shape (documents, dimension)."""
        return self.embedding_model.encode(list(documents), show_progress_bar=verbose)
