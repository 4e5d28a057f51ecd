"""Haystack's own tests of document stores, and Akin's components in a pipeline."""

import pytest

pytest.importorskip("haystack")

from haystack import Document, Pipeline  # noqa: E402
from haystack.testing.document_store import DocumentStoreBaseTests  # noqa: E402

from akin.haystack import (  # noqa: E402
    AkinDocumentEmbedder,
    AkinDocumentStore,
    AkinRanker,
    AkinRetriever,
    AkinTextEmbedder,
)


class TestDocumentStore(DocumentStoreBaseTests):
    @pytest.fixture
    def document_store(self, tmp_path):
        store = AkinDocumentStore(tmp_path / "store", dimension=768)
        yield store
        store.index.close()

    def assert_documents_are_equal(self, received, expected):
        """Embeddings come back with length one, for the store compares by cosine."""
        assert len(received) == len(expected)
        by_id = {document.id: document for document in received}
        for document in expected:
            mine, theirs = by_id[document.id].to_dict(), document.to_dict()
            assert (mine.pop("embedding") is None) == (theirs.pop("embedding") is None)
            mine.pop("score"), theirs.pop("score")
            assert mine == theirs

    def test_write_documents(self, document_store):
        document = Document(content="one")
        assert document_store.write_documents([document]) == 1
        with pytest.raises(Exception, match="already"):
            document_store.write_documents([document])


def test_a_pipeline(tmp_path, tiny, scorer):
    store = AkinDocumentStore(tmp_path / "s", dimension=32)
    texts = ["A man is eating food.", "A woman plays the guitar.", "It rains."]
    documents = [Document(content=text, meta={"n": number}) for number, text in enumerate(texts)]
    store.write_documents(AkinDocumentEmbedder(tiny).run(documents)["documents"])
    pipeline = Pipeline()
    pipeline.add_component("embedder", AkinTextEmbedder(tiny))
    pipeline.add_component("retriever", AkinRetriever(store, top_k=2))
    pipeline.connect("embedder.embedding", "retriever.query_embedding")
    found = pipeline.run({"embedder": {"text": "A man is eating food."}})["retriever"]["documents"]
    assert [one.content for one in found][0] == "A man is eating food." and len(found) == 2
    kept = {"field": "meta.n", "operator": ">=", "value": 1}
    chosen = pipeline.run({"embedder": {"text": "food"}, "retriever": {"filters": kept, "top_k": 3}})
    assert sorted(one.meta["n"] for one in chosen["retriever"]["documents"]) == [1, 2]
    again = AkinRetriever.from_dict(AkinRetriever(store, top_k=7).to_dict())
    assert again.top_k == 7 and again.document_store.path == store.path
    ranked = AkinRanker(scorer, top_k=2).run("rain", found)["documents"]
    assert len(ranked) == 2 and ranked[0].score >= ranked[1].score
