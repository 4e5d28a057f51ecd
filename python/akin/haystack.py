"""Akin in Haystack 2: a document store, embedders, a retriever and a ranker.

``pip install akin[haystack]``

>>> from akin.haystack import AkinDocumentStore, AkinRetriever, AkinTextEmbedder  # doctest: +SKIP
>>> store = AkinDocumentStore("notes", dimension=384)                        # doctest: +SKIP
>>> pipeline.add_component("retriever", AkinRetriever(store))                # doctest: +SKIP
"""

from __future__ import annotations

import os
from typing import Any, Dict, List, Optional, Union

from haystack import Document, component, default_from_dict, default_to_dict
from haystack.document_stores.errors import DuplicateDocumentError
from haystack.document_stores.types import DuplicatePolicy
from haystack.errors import FilterError
from haystack.utils.filters import document_matches_filter

import akin
from akin._encoder import DEFAULT_MODEL, Name


class AkinDocumentStore:
    """An Akin index as a document store: it holds documents with the embeddings that a pipeline makes."""

    def __init__(self, path: Name, dimension: int = 384, similarity: str = "cosine") -> None:
        """Opens the index in a folder, or makes one of vectors of ``dimension`` numbers."""
        self.path = os.fspath(path)
        self.dimension = dimension
        self.similarity = similarity
        self.index = akin.open(path, create=True, dimension=dimension, similarity=similarity)

    def to_dict(self) -> Dict[str, Any]:
        """What makes the same store again."""
        return default_to_dict(self, path=self.path, dimension=self.dimension, similarity=self.similarity)

    @classmethod
    def from_dict(cls, data: Dict[str, Any]) -> AkinDocumentStore:
        """The store that :meth:`to_dict` told of."""
        return default_from_dict(cls, data)

    def count_documents(self) -> int:
        """How many documents there are."""
        return len(self.index)

    def filter_documents(self, filters: Optional[Dict[str, Any]] = None) -> List[Document]:
        """The documents that fit filters; all if there are none."""
        if filters and "operator" not in filters and "conditions" not in filters:
            raise FilterError(f"a filter has an operator, and this one has none: {filters}")
        documents = [self._document(found.id, found.metadata) for found in self.index]
        return [one for one in documents if not filters or document_matches_filter(filters, one)]

    def write_documents(self, documents: List[Document], policy: DuplicatePolicy = DuplicatePolicy.NONE) -> int:
        """Writes documents, and tells how many. Without an embedding a document is found by filters alone."""
        if not isinstance(documents, list) or any(not isinstance(one, Document) for one in documents):
            raise ValueError("documents are a list of haystack's Document")
        if policy == DuplicatePolicy.NONE:
            policy = DuplicatePolicy.FAIL
        there = {found.id for found in self.index.get_many([one.id for one in documents]) if found is not None}
        chosen: Dict[str, Document] = {}
        for document in documents:
            is_there = document.id in there or document.id in chosen
            if is_there and policy == DuplicatePolicy.FAIL:
                raise DuplicateDocumentError(f"there is a document of the id {document.id!r} already")
            if not (is_there and policy == DuplicatePolicy.SKIP):
                chosen[document.id] = document
        rows, vectors = [], []
        for document in chosen.values():
            fields = document.to_dict(flatten=False)
            fields.pop("embedding", None)
            rows.append(akin.Document(document.id, document.content or "", {**(document.meta or {}), _KEPT: fields,
                                                                           _EMBEDDED: document.embedding is not None}))
            # A document without an embedding has a vector all the same, which no search gives.
            vectors.append(document.embedding or [1.0] + [0.0] * (self.dimension - 1))
        if rows:
            self.index.add(rows, vectors=vectors, progress=False)
        return len(rows)

    def delete_documents(self, document_ids: List[str]) -> None:
        """Deletes documents by id."""
        self.index.delete(document_ids)

    def embedding_retrieval(
        self, query_embedding: List[float], filters: Optional[Dict[str, Any]] = None, top_k: int = 10
    ) -> List[Document]:
        """The documents nearest to a vector, with their scores."""
        embedded = akin.field(_EMBEDDED) == True  # noqa: E712 - it makes a filter
        count = top_k
        while True:
            hits = self.index.search(query_embedding, count, filter=embedded)
            found = [self._document(hit.id, hit.metadata, hit.score) for hit in hits]
            kept = [one for one in found if not filters or document_matches_filter(filters, one)]
            if len(kept) >= top_k or len(hits) < count:
                return kept[:top_k]
            count *= 4

    def _document(self, id: str, metadata: Dict[str, Any], score: Optional[float] = None) -> Document:
        document = Document.from_dict({**metadata[_KEPT], "id": id, "score": score})
        if metadata[_EMBEDDED]:
            document.embedding = self.index.vectors(id)[0].tolist()
        return document


_KEPT = "_haystack"
_EMBEDDED = "_embedded"


class _Embedder:
    """A model that is loaded when it is needed first."""

    def __init__(self, model: str = DEFAULT_MODEL, precision: str = "f32") -> None:
        self.model = model
        self.precision = precision
        self._encoder: Optional[akin.SentenceEncoder] = None

    def warm_up(self) -> None:
        """Loads the model."""
        self._encoder = self._encoder or akin.SentenceEncoder(self.model, precision=self.precision)

    @property
    def encoder(self) -> akin.SentenceEncoder:
        """The model, loaded."""
        self.warm_up()
        assert self._encoder is not None
        return self._encoder


@component
class AkinTextEmbedder(_Embedder):
    """Makes the vector of a query."""

    @component.output_types(embedding=List[float])
    def run(self, text: str) -> Dict[str, Any]:
        """The vector of a text."""
        return {"embedding": self.encoder.encode_query(text).tolist()}


@component
class AkinDocumentEmbedder(_Embedder):
    """Makes the vectors of documents."""

    @component.output_types(documents=List[Document])
    def run(self, documents: List[Document]) -> Dict[str, Any]:
        """The documents with their embeddings."""
        vectors = self.encoder.encode_document([document.content or "" for document in documents])
        for document, vector in zip(documents, vectors):
            document.embedding = vector.tolist()
        return {"documents": documents}


@component
class AkinRetriever:
    """Finds the documents of a store that are nearest to a vector."""

    def __init__(self, document_store: AkinDocumentStore, filters: Optional[Dict[str, Any]] = None, top_k: int = 10) -> None:
        self.document_store = document_store
        self.filters = filters
        self.top_k = top_k

    def to_dict(self) -> Dict[str, Any]:
        """What makes the same retriever again."""
        return default_to_dict(self, document_store=self.document_store.to_dict(), filters=self.filters, top_k=self.top_k)

    @classmethod
    def from_dict(cls, data: Dict[str, Any]) -> AkinRetriever:
        """The retriever that :meth:`to_dict` told of."""
        store = AkinDocumentStore.from_dict(data["init_parameters"]["document_store"])
        return cls(**{**data["init_parameters"], "document_store": store})

    @component.output_types(documents=List[Document])
    def run(
        self, query_embedding: List[float], filters: Optional[Dict[str, Any]] = None, top_k: Optional[int] = None
    ) -> Dict[str, Any]:
        """The nearest documents."""
        chosen = self.document_store.embedding_retrieval(query_embedding, filters or self.filters, top_k or self.top_k)
        return {"documents": chosen}


@component
class AkinRanker:
    """Ranks documents again by a cross-encoder."""

    def __init__(self, model: Union[str, akin.CrossEncoder], top_k: int = 10) -> None:
        self.model = model
        self.top_k = top_k
        self._encoder: Optional[akin.CrossEncoder] = None

    def warm_up(self) -> None:
        """Loads the model."""
        if self._encoder is None:
            self._encoder = self.model if isinstance(self.model, akin.CrossEncoder) else akin.CrossEncoder(self.model)

    @component.output_types(documents=List[Document])
    def run(self, query: str, documents: List[Document], top_k: Optional[int] = None) -> Dict[str, Any]:
        """The documents in the order of their scores."""
        self.warm_up()
        assert self._encoder is not None
        ranked = self._encoder.rank(query, [one.content or "" for one in documents], top_k=top_k or self.top_k)
        for one in ranked:
            documents[one["corpus_id"]].score = float(one["score"])
        return {"documents": [documents[one["corpus_id"]] for one in ranked]}
