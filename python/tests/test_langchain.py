"""LangChain's own tests of vector stores and embeddings, and what they do not try."""

import pytest

pytest.importorskip("langchain_core")
tests = pytest.importorskip("langchain_tests.integration_tests")

from akin.langchain import AkinEmbeddings, AkinReranker, AkinStore  # noqa: E402
from conftest import TINY  # noqa: E402


class TestVectorStore(tests.VectorStoreIntegrationTests):
    """With embeddings of LangChain's own."""

    @pytest.fixture
    def vectorstore(self, tmp_path):
        yield AkinStore(tmp_path / "store", self.get_embeddings())


class TestEmbeddings(tests.EmbeddingsIntegrationTests):
    @property
    def embeddings_class(self):
        return AkinEmbeddings

    @property
    def embedding_model_params(self):
        return {"model": str(TINY)}


def test_texts_are_found_by_a_model_of_akin(tmp_path, encoder):
    store = AkinStore.from_texts(
        ["A man is eating food.", "A woman plays the guitar."],
        AkinEmbeddings(encoder),
        [{"kind": "meal"}, {"kind": "music"}],
        path=tmp_path / "s",
    )
    assert store.similarity_search("food", k=1, mode="keyword")[0].metadata == {"kind": "meal"}
    assert [one.metadata["kind"] for one in store.similarity_search("a", k=2, filter={"kind": "music"})] == ["music"]
    assert len(store.max_marginal_relevance_search("a man", k=2)) == 2
    document, score = store.similarity_search_with_relevance_scores("A man is eating food.", k=1)[0]
    assert document.page_content == "A man is eating food." and 0.5 < score <= 1
    assert len(AkinStore(tmp_path / "s").similarity_search("food", k=2)) == 2


def test_documents_are_ranked_again(scorer):
    from langchain_core.documents import Document

    documents = [Document(page_content=text) for text in ("one", "two", "three", "four")]
    ranked = AkinReranker(encoder=scorer, top_n=2).compress_documents(documents, "two")
    scores = [one.metadata["relevance_score"] for one in ranked]
    assert len(ranked) == 2 and scores == sorted(scores, reverse=True)


def test_vectors_of_another_kind_are_chosen_to_differ(tmp_path):
    from langchain_core.embeddings import Embeddings

    class Plane(Embeddings):
        places = {"a": [1.0, 0.0], "same": [1.0, 0.01], "other": [0.6, 0.8]}

        def embed_documents(self, texts):
            return [self.places[text] for text in texts]

        def embed_query(self, text):
            return self.places.get(text, [1.0, 0.0])

    store = AkinStore.from_texts(["a", "same", "other"], Plane(), path=tmp_path / "s")
    assert [one.page_content for one in store.similarity_search("a", k=2)] == ["a", "same"]
    assert [one.page_content for one in store.max_marginal_relevance_search("a", k=2, lambda_mult=0.1)] == ["a", "other"]
    with pytest.raises(TypeError, match="fliter"):
        store.similarity_search("a", fliter={})
