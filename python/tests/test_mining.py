"""Structure in vectors."""

import numpy as np
import pytest

import akin


def planted(groups=5, each=20, seed=3):
    random = np.random.default_rng(seed)
    centers = random.standard_normal((groups, 32))
    rows = np.repeat(centers, each, axis=0) + 0.05 * random.standard_normal((groups * each, 32))
    return rows.astype(np.float32), np.repeat(np.arange(groups), each)


def test_semantic_search_compares_all():
    rows, _ = planted()
    found = akin.semantic_search(rows[:7], rows, top_k=5)
    unit = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    for row, hits in zip(unit[:7], found):
        truth = np.argsort(-(unit @ row))[:5]
        assert [hit["corpus_id"] for hit in hits] == truth.tolist()
        assert np.allclose([hit["score"] for hit in hits], (unit @ row)[truth], atol=1e-6)
    assert len(akin.semantic_search(rows[0], rows)) == 1
    assert [len(hits) for hits in akin.semantic_search(rows[:2], rows[:3], top_k=10)] == [3, 3]
    assert akin.semantic_search(rows[:2], rows[:0]) == [[], []]
    dot = akin.semantic_search(rows[:1], rows, top_k=1, score_function=lambda a, b: a @ b.T)[0][0]
    assert dot["corpus_id"] == int(np.argmax(rows @ rows[0]))
    with pytest.raises(akin.InvalidArgument, match="32 numbers, and the corpus has 16"):
        akin.semantic_search(rows, rows[:, :16])


def test_pairs_come_best_first():
    rows, labels = planted()
    pairs = akin.paraphrase_mining_embeddings(rows, max_pairs=200)
    unit = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    scores = [score for score, _, _ in pairs]
    assert scores == sorted(scores, reverse=True) and len(pairs) == 200
    truth = np.sort((unit @ unit.T)[np.triu_indices(len(rows), 1)])[::-1][:200]
    assert np.allclose(scores, truth, atol=1e-5)
    assert all(labels[first] == labels[second] for _, first, second in pairs)
    assert akin.paraphrase_mining_embeddings(rows[:0]) == []
    with pytest.raises(akin.InvalidArgument, match="score_function"):
        akin.paraphrase_mining_embeddings(rows, score_function=min)


def test_communities_are_found():
    rows, labels = planted()
    communities = akin.community_detection(rows, threshold=0.9, min_community_size=10)
    assert len(communities) == 5
    assert sorted(row for community in communities for row in community) == list(range(100))
    assert all(len(set(labels[community])) == 1 for community in communities)
    assert akin.community_detection(rows, threshold=0.9, min_community_size=30) == []
    assert akin.community_detection(rows[:0]) == []


def test_duplicates_are_grouped():
    rows, _ = planted(3, 4)
    groups = akin.dedup(rows, threshold=0.9)
    assert [group.kept for group in groups] == [0, 4, 8]
    assert [[row for row, _ in group.duplicates] for group in groups] == [[1, 2, 3], [5, 6, 7], [9, 10, 11]]


@pytest.mark.parametrize("how", [{"k": 5}, {"threshold": 0.5}])
def test_clusters_are_found(how):
    rows, labels = planted()
    found = akin.cluster(rows, **how)
    assert found.labels.shape == (100,) and found.scores.shape == (100,)
    assert len({(cluster, label) for cluster, label in zip(found.labels, labels)}) == 5
    assert (akin.cluster(rows, **how).labels == found.labels).all()


def test_how_many_clusters_must_be_said():
    with pytest.raises(akin.InvalidArgument, match="give k= or threshold="):
        akin.cluster(np.eye(3))
    assert akin.cluster(np.zeros((0, 4)), k=2).labels.shape == (0,)


@pytest.mark.parametrize(
    ("bad", "said"),
    [
        (np.array([[1.0, np.nan]]), "row 0 of the embeddings"),
        (np.array([1.0, 2.0]), "shape"),
        (np.array([["a"]]), "numbers"),
        (np.array([[object()]]), "numbers"),
        (np.zeros((3, 0)), "no numbers"),
        (None, "numbers|shape"),
    ],
)
def test_what_is_no_matrix_is_refused(bad, said):
    with pytest.raises(akin.InvalidArgument, match=said):
        akin.dedup(bad)


def test_paraphrases_of_texts(minilm):
    texts = ["The cat sits on the mat.", "It will rain tomorrow.", "A cat is sitting on a mat.", "Tomorrow there will be rain."]
    pairs = akin.paraphrase_mining(minilm, texts)
    assert {tuple(pair[1:]) for pair in pairs[:2]} == {(0, 2), (1, 3)}
