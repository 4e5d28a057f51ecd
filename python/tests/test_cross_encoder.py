"""Cross-encoders: scores of pairs, and documents in the order of their scores."""

import pickle

import numpy as np
import pytest

PAIRS = [("one", "two"), ("a longer first text", "short"), ("x", "y z"), ("one", "two")]


def test_pairs_are_scored(scorer):
    scores = scorer.predict(PAIRS)
    assert scores.shape == (4,) and scores.dtype == np.float32 and abs(scores[0] - scores[3]) < 1e-6
    assert np.ndim(scorer.predict(("one", "two"))) == 0 and abs(scorer.predict(["one", "two"]) - scores[0]) < 1e-5
    assert np.allclose(scorer.predict(PAIRS, batch_size=1), scores)
    assert len(scorer.predict([])) == 0
    many = scorer.predict([PAIRS[number % 4] for number in range(1500)])
    assert np.allclose(many[:4], scores, atol=1e-5) and np.allclose(many[-4:], scores, atol=1e-5)


def test_documents_are_ranked(scorer):
    documents = ["one", "two", "three", "four"]
    ranked = scorer.rank("two", documents, top_k=3, return_documents=True)
    scores = scorer.predict([("two", document) for document in documents])
    assert [one["corpus_id"] for one in ranked] == np.argsort(-scores)[:3].tolist()
    assert all(documents[one["corpus_id"]] == one["text"] for one in ranked)


def test_hits_are_ranked_again(index, scorer):
    hits = index.search("a man", k=5, rerank=scorer, mode="semantic")
    scores = {hit.id: scorer.predict(("a man", hit.text)) for hit in hits}
    assert hits.scores == sorted(hits.scores, reverse=True)
    assert all(abs(scores[hit.id] - hit.score) < 1e-5 for hit in hits)
    assert [one.ids for one in index.search_many(["a man"] * 20, k=5, rerank=scorer, mode="semantic")] == [hits.ids] * 20


def test_a_sentence_encoder_ranks_again_too(index, encoder):
    hits = index.search("a man", k=5, rerank=encoder, mode="semantic")
    texts = encoder.encode_document([hit.text for hit in hits])
    cosines = encoder.similarity(encoder.encode_query("a man"), texts)[0]
    assert np.allclose(hits.scores, cosines, atol=1e-5) and hits.scores == sorted(hits.scores, reverse=True)


def test_with_a_weight_the_search_counts_too(index, scorer):
    plain = index.search("a man", k=5, mode="semantic")
    assert index.search("a man", k=5, depth=5, rerank=scorer, weight=0, mode="semantic").ids == plain.ids
    most = index.search("a man", k=5, depth=5, rerank=scorer, weight=1000, mode="semantic")
    assert most.ids == index.search("a man", k=5, depth=5, rerank=scorer, mode="semantic").ids
    with pytest.raises(ValueError, match="weight is -1"):
        index.search("a man", rerank=scorer, weight=-1)
    with pytest.raises(ValueError, match="no rerank="):
        index.search("a man", weight=0.5)


def test_what_ranks_again_is_a_model(index):
    for search in (index.search, lambda query, **options: index.search_many([query], **options)):
        with pytest.raises(TypeError, match="rerank= is a model.*not of type str"):
            search("a man", rerank="all-MiniLM-L6-v2")


def test_a_scorer_is_pickled(scorer):
    again = pickle.loads(pickle.dumps(scorer))
    assert np.allclose(again.predict(PAIRS), scorer.predict(PAIRS)) and again.max_length > 0


@pytest.mark.parametrize("bad", [[("one",)], ["one"], [("a", "b", "c")], [("a", None)], [(b"a", "b")]])
def test_what_is_no_pair_is_refused(scorer, bad):
    with pytest.raises((TypeError, ValueError), match="two texts|must be a str"):
        scorer.predict(bad)
