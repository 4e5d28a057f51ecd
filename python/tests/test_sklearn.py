"""Akin in scikit-learn."""

import numpy as np
import pytest

pytest.importorskip("sklearn")

from sklearn.base import clone  # noqa: E402
from sklearn.linear_model import LogisticRegression  # noqa: E402
from sklearn.neighbors import KNeighborsTransformer as Plain  # noqa: E402
from sklearn.pipeline import make_pipeline  # noqa: E402

from akin.sklearn import KNeighborsTransformer, SentenceTransformer  # noqa: E402


def test_texts_are_classified(tiny):
    texts = [f"a cat sits {number}" for number in range(20)] + [f"the rain falls {number}" for number in range(20)]
    labels = [0] * 20 + [1] * 20
    model = make_pipeline(SentenceTransformer(tiny, normalize=True), LogisticRegression()).fit(texts, labels)
    assert model.score(texts, labels) > 0.7
    assert clone(model[0]).get_params()["model"] == tiny
    assert SentenceTransformer(tiny).fit_transform(np.array(texts)).shape == (40, 32)
    assert len(model[0].get_feature_names_out()) == 32


@pytest.mark.parametrize("metric", ["euclidean", "cosine"])
def test_neighbours_are_those_of_scikit_learn(metric):
    rows = np.random.default_rng(5).standard_normal((400, 12)).astype(np.float32)
    ours = KNeighborsTransformer(n_neighbors=5, metric=metric, exact=True).fit(rows).transform(rows)
    theirs = Plain(n_neighbors=5, metric=metric).fit(rows).transform(rows)
    assert ours.shape == theirs.shape and ours.nnz == theirs.nnz
    assert np.allclose(np.sort(ours.toarray(), axis=1), np.sort(theirs.toarray(), axis=1), atol=1e-3)


def test_ann_benchmarks_finds_what_is_near():
    from akin.ann_benchmarks import Akin

    rows = np.random.default_rng(6).standard_normal((500, 16)).astype(np.float32)
    for metric in ("angular", "euclidean"):
        algorithm = Akin(metric)
        algorithm.fit(rows)
        algorithm.set_query_arguments(100)
        assert algorithm.query(rows[3], 10)[0] == 3
        algorithm.batch_query(rows[:5], 10)
        assert [found[0] for found in algorithm.get_batch_results()] == [0, 1, 2, 3, 4]
        algorithm.done()
