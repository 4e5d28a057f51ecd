"""BERTopic with vectors made by Akin."""

import numpy as np
import pytest

bertopic = pytest.importorskip("bertopic", reason="BERTopic is not here: pip install bertopic")

from akin.bertopic import AkinBackend  # noqa: E402

BAKERS = ["bread", "flour", "oven", "yeast", "dough", "cake"]
RIDERS = ["horse", "saddle", "rider", "stable", "race", "hoof"]


@pytest.fixture(scope="module")
def texts():
    random = np.random.default_rng(1)
    return [" ".join(random.choice(words, 12)) for words in (BAKERS, RIDERS) for _ in range(60)]


def test_the_backend_makes_vectors(tiny, encoder):
    backend = AkinBackend(tiny)
    wanted = encoder.encode(["one", "another"])
    for made in (backend.embed(["one", "another"]), backend.embed_documents(["one", "another"]), backend.embed_words(["one", "another"])):
        assert made.dtype == np.float32 and np.allclose(made, wanted, atol=1e-6)
    assert AkinBackend(encoder).embedding_model is encoder


def test_topics_are_found_kept_and_used_again(tmp_path, encoder, texts):
    from sklearn.cluster import KMeans
    from sklearn.decomposition import PCA

    # Small parts of scikit-learn stand for UMAP and HDBSCAN, which compile for a minute.
    model = bertopic.BERTopic(
        embedding_model=AkinBackend(encoder), umap_model=PCA(5, random_state=1), hdbscan_model=KMeans(2, n_init=3, random_state=1)
    )
    topics, _ = model.fit_transform(texts)
    truth = np.repeat([0, 1], 60)
    agreed = np.mean(np.array(topics) == truth)
    assert max(agreed, 1 - agreed) > 0.9
    words = {word for topic in (0, 1) for word, _ in model.get_topic(topic)}
    assert words - {""} == {*BAKERS, *RIDERS}
    assert model.transform(texts[:3])[0] == topics[:3]
    assert len(model.find_topics("oven", top_n=2)[0]) == 2
    model.save(str(tmp_path / "kept"), serialization="safetensors", save_ctfidf=True)
    again = bertopic.BERTopic.load(str(tmp_path / "kept"), embedding_model=AkinBackend(encoder))
    assert list(again.transform(texts[:3])[0]) == topics[:3]
    model.save(str(tmp_path / "pickled"), serialization="pickle")
    assert list(bertopic.BERTopic.load(str(tmp_path / "pickled")).transform(texts[:3])[0]) == topics[:3]
