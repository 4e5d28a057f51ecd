"""Akin in LlamaIndex."""

import pytest

pytest.importorskip("llama_index.core")

from llama_index.core import StorageContext, VectorStoreIndex  # noqa: E402
from llama_index.core.schema import Document, NodeRelationship, QueryBundle, RelatedNodeInfo, TextNode  # noqa: E402
from llama_index.core.vector_stores.types import (  # noqa: E402
    FilterCondition,
    FilterOperator,
    MetadataFilter,
    MetadataFilters,
    VectorStoreQuery,
)

from akin.llama_index import AkinEmbedding, AkinReranker, AkinVectorStore  # noqa: E402


@pytest.fixture
def store(tmp_path):
    store = AkinVectorStore(tmp_path / "store", dimension=3)
    nodes = [
        TextNode(text="lorem", id_="a", embedding=[1.0, 0.0, 0.0], metadata={"author": "Ada", "year": 1843},
                 relationships={NodeRelationship.SOURCE: RelatedNodeInfo(node_id="first")}),
        TextNode(text="ipsum", id_="b", embedding=[0.0, 1.0, 0.0], metadata={"author": "Alan", "year": 1936},
                 relationships={NodeRelationship.SOURCE: RelatedNodeInfo(node_id="first")}),
        TextNode(text="dolor", id_="c", embedding=[0.0, 0.0, 1.0], metadata={"author": "Ada", "year": 1850},
                 relationships={NodeRelationship.SOURCE: RelatedNodeInfo(node_id="second")}),
    ]
    assert store.add(nodes) == ["a", "b", "c"]
    return store


def ask(store, **options):
    return store.query(VectorStoreQuery(query_embedding=[1.0, 0.1, 0.0], similarity_top_k=3, **options))


def test_nodes_are_found_as_they_were(store):
    found = ask(store)
    assert found.ids == ["a", "b", "c"] and found.similarities == sorted(found.similarities, reverse=True)
    node = found.nodes[0]
    assert node.text == "lorem" and node.metadata == {"author": "Ada", "year": 1843} and node.ref_doc_id == "first"


@pytest.mark.parametrize(
    ("filters", "ids"),
    [
        ([("author", "Ada", FilterOperator.EQ)], ["a", "c"]),
        ([("author", "Ada", FilterOperator.NE)], ["b"]),
        ([("year", 1900, FilterOperator.LT)], ["a", "c"]),
        ([("year", 1850, FilterOperator.GTE), ("author", "Ada", FilterOperator.EQ)], ["c"]),
        ([("author", ["Alan"], FilterOperator.IN)], ["b"]),
        ([("author", ["Alan"], FilterOperator.NIN)], ["a", "c"]),
    ],
)
def test_filters(store, filters, ids):
    made = MetadataFilters(filters=[MetadataFilter(key=key, value=value, operator=sign) for key, value, sign in filters])
    assert sorted(ask(store, filters=made).ids) == ids
    assert sorted(node.node_id for node in store.get_nodes(filters=made)) == ids
    either = MetadataFilters(filters=[made, MetadataFilter(key="author", value="Alan")], condition=FilterCondition.OR)
    assert set(ask(store, filters=either).ids) == {*ids, "b"}


def test_nodes_are_deleted(store):
    store.delete("first")
    assert ask(store).ids == ["c"]
    store.delete_nodes(["c"])
    assert ask(store).ids == []


def test_documents_through_an_index(tmp_path, tiny):
    embedding = AkinEmbedding(tiny)
    store = AkinVectorStore(tmp_path / "s", dimension=32)
    context = StorageContext.from_defaults(vector_store=store)
    documents = [Document(text="A man is eating food."), Document(text="A woman plays the guitar.")]
    index = VectorStoreIndex.from_documents(documents, storage_context=context, embed_model=embedding)
    (found,) = index.as_retriever(similarity_top_k=1).retrieve("A man is eating food.")
    assert found.text == "A man is eating food." and found.score > 0.99
    again = VectorStoreIndex.from_vector_store(AkinVectorStore(tmp_path / "s"), embed_model=embedding)
    assert len(again.as_retriever(similarity_top_k=2).retrieve("guitar")) == 2


def test_nodes_are_ranked_again(store, scorer):
    from llama_index.core.schema import NodeWithScore

    nodes = [NodeWithScore(node=node, score=0.0) for node in ask(store).nodes]
    ranked = AkinReranker(scorer, top_n=2).postprocess_nodes(nodes, query_bundle=QueryBundle("ipsum"))
    assert len(ranked) == 2 and ranked[0].score >= ranked[1].score
