"""Akin in LlamaIndex: a vector store, an embedding, and a postprocessor that ranks nodes again.

``pip install akin[llama-index]``

>>> from llama_index.core import StorageContext, VectorStoreIndex            # doctest: +SKIP
>>> from akin.llama_index import AkinEmbedding, AkinVectorStore              # doctest: +SKIP
>>> store = AkinVectorStore("notes", dimension=384)                          # doctest: +SKIP
>>> context = StorageContext.from_defaults(vector_store=store)               # doctest: +SKIP
>>> VectorStoreIndex.from_documents(documents, context, embed_model=AkinEmbedding())  # doctest: +SKIP
"""

from __future__ import annotations

import json
import os
from typing import Any, List, Optional, Union

from llama_index.core.base.embeddings.base import BaseEmbedding
from llama_index.core.bridge.pydantic import PrivateAttr
from llama_index.core.postprocessor.types import BaseNodePostprocessor
from llama_index.core.schema import BaseNode, MetadataMode, NodeWithScore, QueryBundle
from llama_index.core.vector_stores.types import (
    BasePydanticVectorStore,
    FilterCondition,
    FilterOperator,
    MetadataFilter,
    MetadataFilters,
    VectorStoreQuery,
    VectorStoreQueryResult,
)
from llama_index.core.vector_stores.utils import metadata_dict_to_node, node_to_metadata_dict

import akin
from akin._encoder import DEFAULT_MODEL, Name


class AkinEmbedding(BaseEmbedding):
    """Embeddings by a model that Akin runs, with the prompts that it has for queries and documents."""

    _encoder: Any = PrivateAttr()

    def __init__(self, model: Union[Name, akin.SentenceEncoder] = DEFAULT_MODEL, **options: Any) -> None:
        """A model, with the options of :class:`akin.SentenceEncoder`."""
        encoder = model if isinstance(model, akin.SentenceEncoder) else akin.SentenceEncoder(model, **options)
        super().__init__(model_name=encoder.directory)
        self._encoder = encoder

    @classmethod
    def class_name(cls) -> str:
        """The name of the class."""
        return "AkinEmbedding"

    def _get_query_embedding(self, query: str) -> List[float]:
        return self._encoder.encode_query(query).tolist()

    def _get_text_embedding(self, text: str) -> List[float]:
        return self._encoder.encode_document(text).tolist()

    def _get_text_embeddings(self, texts: List[str]) -> List[List[float]]:
        return self._encoder.encode_document(texts).tolist()

    async def _aget_query_embedding(self, query: str) -> List[float]:
        import asyncio

        return await asyncio.get_running_loop().run_in_executor(None, self._get_query_embedding, query)


class AkinVectorStore(BasePydanticVectorStore):
    """An Akin index as the vector store of LlamaIndex: it holds the vectors that LlamaIndex makes."""

    stores_text: bool = True
    is_embedding_query: bool = True
    flat_metadata: bool = False

    _index: Any = PrivateAttr()

    def __init__(self, path: Name, dimension: Optional[int] = None, **options: Any) -> None:
        """Opens the index in a folder, or makes one of vectors of ``dimension`` numbers."""
        super().__init__()
        self._index = akin.open(path, create=dimension is not None, dimension=dimension, **options)

    @classmethod
    def class_name(cls) -> str:
        """The name of the class."""
        return "AkinVectorStore"

    @property
    def client(self) -> akin.Index:
        """The index."""
        return self._index

    def add(self, nodes: List[BaseNode], **options: Any) -> List[str]:
        """Adds nodes with their embeddings; gives their ids."""
        documents, vectors = [], []
        for node in nodes:
            fields = node_to_metadata_dict(node, remove_text=True, flat_metadata=False)
            text = node.get_content(metadata_mode=MetadataMode.NONE)
            documents.append(akin.Document(node.node_id, text, fields))
            vectors.append(node.get_embedding())
        if documents:
            self._index.add(documents, vectors=vectors, progress=False)
        return [document.id for document in documents]

    def delete(self, ref_doc_id: str, **options: Any) -> None:
        """Deletes the nodes of a document."""
        found = [document.id for document in self._index if document.metadata.get("ref_doc_id") == ref_doc_id]
        self._index.delete(found)

    def delete_nodes(
        self, node_ids: Optional[List[str]] = None, filters: Optional[MetadataFilters] = None, **options: Any
    ) -> None:
        """Deletes nodes by id, or those that fit filters."""
        names = [node.node_id for node in self.get_nodes(node_ids, filters)]
        self._index.delete(names)

    def get_nodes(
        self, node_ids: Optional[List[str]] = None, filters: Optional[MetadataFilters] = None
    ) -> List[BaseNode]:
        """Nodes by id, or those that fit filters."""
        if node_ids is not None:
            found = [document for document in self._index.get_many(node_ids) if document is not None]
        else:
            found = list(self._index)
        if filters is not None and filters.filters:
            count = max(1, len(self._index))
            anything = [1.0] + [0.0] * (self._index.dimension - 1)
            fit = set(self._index.search(anything, count, filter=_filter(filters), exact=True).ids)
            found = [document for document in found if document.id in fit]
        return [_node(document.text, document.metadata) for document in found]

    def clear(self) -> None:
        """Deletes all nodes."""
        self._index.delete([document.id for document in self._index])

    def query(self, query: VectorStoreQuery, **options: Any) -> VectorStoreQueryResult:
        """The nodes nearest to the query's vector."""
        filter = _filter(query.filters) if query.filters is not None and query.filters.filters else None
        hits = self._index.search(query.query_embedding, query.similarity_top_k, filter=filter)
        kept = [hit for hit in hits if not query.node_ids or hit.id in query.node_ids]
        return VectorStoreQueryResult(
            nodes=[_node(hit.text, hit.metadata) for hit in kept],
            similarities=[hit.score for hit in kept],
            ids=[hit.id for hit in kept],
        )

    def persist(self, persist_path: str, fs: Any = None) -> None:
        """Everything is on the disk already."""


class AkinReranker(BaseNodePostprocessor):
    """Ranks nodes again by a cross-encoder, and keeps the best."""

    top_n: int = 3

    _encoder: Any = PrivateAttr()

    def __init__(self, model: Union[Name, akin.CrossEncoder], top_n: int = 3) -> None:
        """A cross-encoder, and how many nodes to keep."""
        super().__init__(top_n=top_n)
        self._encoder = model if isinstance(model, akin.CrossEncoder) else akin.CrossEncoder(os.fspath(model))

    @classmethod
    def class_name(cls) -> str:
        """The name of the class."""
        return "AkinReranker"

    def _postprocess_nodes(
        self, nodes: List[NodeWithScore], query_bundle: Optional[QueryBundle] = None
    ) -> List[NodeWithScore]:
        if query_bundle is None or not nodes:
            return nodes
        texts = [node.node.get_content(metadata_mode=MetadataMode.EMBED) for node in nodes]
        ranked = self._encoder.rank(query_bundle.query_str, texts, top_k=self.top_n)
        return [NodeWithScore(node=nodes[one["corpus_id"]].node, score=float(one["score"])) for one in ranked]


_SIGNS = {
    FilterOperator.EQ: "=",
    FilterOperator.NE: "!=",
    FilterOperator.LT: "<",
    FilterOperator.LTE: "<=",
    FilterOperator.GT: ">",
    FilterOperator.GTE: ">=",
}


def _filter(filters: MetadataFilters) -> akin.Filter:
    parts = [_filter(one) if isinstance(one, MetadataFilters) else _one(one) for one in filters.filters]
    joined = parts[0]
    for part in parts[1:]:
        joined = (joined | part) if filters.condition == FilterCondition.OR else (joined & part)
    return ~joined if filters.condition == FilterCondition.NOT else joined


def _one(filter: MetadataFilter) -> akin.Filter:
    field = akin.field(filter.key)
    if filter.operator == FilterOperator.IN:
        return field.isin(filter.value)  # type: ignore[arg-type]
    if filter.operator == FilterOperator.NIN:
        return ~field.isin(filter.value)  # type: ignore[arg-type]
    if filter.operator == FilterOperator.CONTAINS:
        return field == filter.value  # type: ignore[return-value]
    if filter.operator not in _SIGNS:
        raise ValueError(f"a filter by {filter.operator.value} is not known: {', '.join(one.value for one in _SIGNS)}, in, nin and contains are")
    return field._compare(_SIGNS[filter.operator], filter.value)  # type: ignore[arg-type]


def _node(text: str, fields: dict) -> BaseNode:
    node = metadata_dict_to_node({**fields, "_node_content": fields.get("_node_content") or json.dumps({})})
    node.set_content(text)
    return node
