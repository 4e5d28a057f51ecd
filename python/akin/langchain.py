"""Akin in LangChain: a vector store, embeddings, and a compressor that ranks documents again.

``pip install akin[langchain]``

>>> from akin.langchain import AkinEmbeddings, AkinStore                     # doctest: +SKIP
>>> store = AkinStore.from_texts(["A man is eating food."], AkinEmbeddings(), path="notes")  # doctest: +SKIP
>>> store.similarity_search("someone has a meal")                            # doctest: +SKIP
"""

from __future__ import annotations

import os
import uuid
from typing import Any, Dict, Iterable, List, Optional, Sequence, Tuple, Type, Union

import numpy as np
from langchain_core.callbacks import Callbacks
from langchain_core.documents import BaseDocumentCompressor, Document
from langchain_core.embeddings import Embeddings
from langchain_core.vectorstores import VectorStore
from langchain_core.vectorstores.utils import maximal_marginal_relevance
from pydantic import ConfigDict

import akin
from akin._encoder import DEFAULT_MODEL, Name


class AkinEmbeddings(Embeddings):
    """Embeddings by a model that Akin runs: documents and queries with the prompts that the model has for them."""

    def __init__(self, model: Union[Name, akin.SentenceEncoder] = DEFAULT_MODEL, **options: Any) -> None:
        """A model, with the options of :class:`akin.SentenceEncoder`."""
        self.encoder = model if isinstance(model, akin.SentenceEncoder) else akin.SentenceEncoder(model, **options)

    def embed_documents(self, texts: List[str]) -> List[List[float]]:
        """The vectors of documents."""
        vectors: List[List[float]] = self.encoder.encode_document(texts).tolist()
        return vectors

    def embed_query(self, text: str) -> List[float]:
        """The vector of a query."""
        vector: List[float] = self.encoder.encode_query(text).tolist()
        return vector


class AkinStore(VectorStore):
    """An Akin index as a vector store.

    With :class:`AkinEmbeddings`, or without any, the index encodes texts itself and searches by meaning and words. With embeddings of
    another kind it holds their vectors, and searches by those.
    """

    def __init__(
        self,
        path: Name,
        embedding: Optional[Embeddings] = None,
        *,
        index: Optional[akin.Index] = None,
        **options: Any,
    ) -> None:
        """Opens the index in a folder, or makes it, with the options of :func:`akin.open`."""
        self._embedding = embedding
        self._outside = embedding is not None and not isinstance(embedding, AkinEmbeddings)
        if index is None:
            if isinstance(embedding, AkinEmbeddings):
                options.setdefault("model", embedding.encoder)
            elif embedding is not None and not os.path.exists(os.path.join(os.fspath(path), "manifest")):
                options.setdefault("dimension", len(embedding.embed_query("how long is a vector")))
            index = akin.open(path, create=True, **options)
        self.index = index

    @property
    def embeddings(self) -> Optional[Embeddings]:
        """What makes vectors, if something was given."""
        return self._embedding

    def add_texts(
        self,
        texts: Iterable[str],
        metadatas: Optional[List[Dict[str, Any]]] = None,
        *,
        ids: Optional[List[str]] = None,
        **options: Any,
    ) -> List[str]:
        """Adds texts, or replaces those of the same ids; gives their ids."""
        texts = list(texts)
        given: List[Optional[str]] = list(ids) if ids is not None else [None] * len(texts)
        if len(given) != len(texts) or (metadatas is not None and len(metadatas) != len(texts)):
            raise ValueError(f"there are {len(texts)} texts, and ids and metadatas must be as many")
        names = [name or str(uuid.uuid4()) for name in given]
        fields: Sequence[Dict[str, Any]] = metadatas if metadatas is not None else [{}] * len(texts)
        documents = [akin.Document(name, text, dict(more)) for name, text, more in zip(names, texts, fields)]
        vectors = None
        if self._outside and self._embedding is not None and texts:
            vectors = self._embedding.embed_documents(texts)
        if documents:
            self.index.add(documents, vectors=vectors, progress=False)
        return names

    def delete(self, ids: Optional[List[str]] = None, **options: Any) -> Optional[bool]:
        """Deletes documents by id; all of them if none are named."""
        names = [document.id for document in self.index] if ids is None else ids
        self.index.delete(names)
        return True

    def get_by_ids(self, ids: Sequence[str], /) -> List[Document]:
        """The documents of ids, without those that are not there."""
        found = self.index.get_many(ids)
        return [_document(one.id, one.text, one.metadata) for one in found if one is not None]

    def _search(self, query: Union[str, List[float]], k: int, **options: Any) -> akin.Hits:
        filter = options.pop("filter", None)
        if isinstance(filter, dict):
            filter = _equal(filter)
        if isinstance(query, str) and self._outside and self._embedding is not None:
            return self.index.search(self._embedding.embed_query(query), k, filter=filter, **options)
        return self.index.search(query, k, filter=filter, **options)

    def similarity_search(self, query: str, k: int = 4, **options: Any) -> List[Document]:
        """The documents nearest to a text. ``filter`` is a dict of fields, or as :meth:`akin.Index.search` takes it."""
        return [document for document, _ in self.similarity_search_with_score(query, k, **options)]

    def similarity_search_with_score(self, query: str, k: int = 4, **options: Any) -> List[Tuple[Document, float]]:
        """The same with scores: higher is nearer."""
        return _scored(self._search(query, k, **options))

    def similarity_search_by_vector(self, embedding: List[float], k: int = 4, **options: Any) -> List[Document]:
        """The documents nearest to a vector."""
        return [document for document, _ in _scored(self._search(embedding, k, **options))]

    def max_marginal_relevance_search(
        self, query: str, k: int = 4, fetch_k: int = 20, lambda_mult: float = 0.5, **options: Any
    ) -> List[Document]:
        """Documents that are near to a text and differ from one another. An index with a model of Akin tells by itself how much they may."""
        if self._outside and self._embedding is not None:
            vector = self._embedding.embed_query(query)
            hits = self._search(vector, fetch_k, **options)
            rows = [self.index.vectors(hit.id)[0].tolist() for hit in hits]
            chosen = maximal_marginal_relevance(np.array(vector), rows, lambda_mult=lambda_mult, k=k)
            found = _scored(hits)
            return [found[place][0] for place in chosen]
        return [document for document, _ in _scored(self._search(query, k, diverse=True, **options))]

    def _select_relevance_score_fn(self) -> Any:
        return lambda score: max(0.0, min(1.0, (score + 1) / 2))

    @classmethod
    def from_texts(
        cls: Type[AkinStore],
        texts: List[str],
        embedding: Optional[Embeddings] = None,
        metadatas: Optional[List[Dict[str, Any]]] = None,
        *,
        ids: Optional[List[str]] = None,
        path: Optional[Name] = None,
        **options: Any,
    ) -> AkinStore:
        """A store of texts in the folder ``path``; in a new temporary folder if none is named."""
        if path is None:
            import tempfile

            path = os.path.join(tempfile.mkdtemp(prefix="akin-"), "index")
        store = cls(path, embedding, **options)
        store.add_texts(texts, metadatas, ids=ids)
        return store


class AkinReranker(BaseDocumentCompressor):
    """Ranks documents again by a cross-encoder, and keeps the best."""

    model_config = ConfigDict(arbitrary_types_allowed=True)

    encoder: akin.CrossEncoder
    top_n: Optional[int] = 3

    def compress_documents(
        self, documents: Sequence[Document], query: str, callbacks: Callbacks = None
    ) -> Sequence[Document]:
        """The best documents for a query, with ``relevance_score`` in their metadata."""
        ranked = self.encoder.rank(query, [document.page_content for document in documents], top_k=self.top_n)
        return [
            documents[one["corpus_id"]].model_copy(
                update={"metadata": {**documents[one["corpus_id"]].metadata, "relevance_score": float(one["score"])}}
            )
            for one in ranked
        ]


def _equal(fields: Dict[str, Any]) -> Optional[akin.Filter]:
    joined: Optional[akin.Filter] = None
    for name, value in fields.items():
        one = akin.field(name).isin(value) if isinstance(value, (list, tuple, set)) else akin.field(name) == value
        joined = one if joined is None else joined & one
    return joined


def _document(id: str, text: str, metadata: Dict[str, Any]) -> Document:
    return Document(id=id, page_content=text, metadata=metadata)


def _scored(hits: akin.Hits) -> List[Tuple[Document, float]]:
    return [(_document(hit.id, hit.text, hit.metadata), hit.score) for hit in hits]
