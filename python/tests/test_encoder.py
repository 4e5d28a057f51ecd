"""Encoders: their vectors are those of sentence-transformers, and their calls too."""

import json
import pickle
import threading

import numpy as np
import pytest

import akin
from conftest import ROOT

REFERENCE = ROOT / "fixtures" / "references"


def test_one_text_and_many(encoder):
    one = encoder.encode("A man is eating food.")
    many = encoder.encode(["A man is eating food.", "The girl is carrying a baby."])
    assert one.shape == (encoder.dimension,) and one.dtype == np.float32
    assert many.shape == (2, encoder.dimension) and np.allclose(one, many[0], atol=1e-6)
    assert encoder.encode([]).shape == (0, encoder.dimension)
    assert isinstance(encoder.encode(["a"], convert_to_numpy=False), list)
    assert np.allclose(encoder.encode(["a", "b"], batch_size=1), encoder.encode(("a", "b")))


def test_what_is_not_known_is_refused(encoder, scorer):
    for call in (encoder.encode, encoder.encode_query):
        assert np.allclose(call(["a"], device="cpu", pool=None), encoder.encode(["a"]))
        with pytest.raises(TypeError, match="normalise_embeddings= is not known"):
            call(["a"], normalise_embeddings=True)
    with pytest.raises(TypeError, match="activation_fn= is not known"):
        scorer.predict([("a", "b")], activation_fn=abs)


def test_order_does_not_matter(encoder):
    texts = [("word " * (1 + number % 50)).strip() for number in range(500)]
    vectors = encoder.encode(texts)
    for number in (0, 49, 77, 499):
        assert np.allclose(vectors[number], encoder.encode(texts[number]), atol=1e-5)


def test_vectors_are_cut_and_normalised(encoder):
    whole = encoder.encode(["a text"])
    cut = encoder.encode(["a text"], truncate_dim=8)
    assert cut.shape == (1, 8) and np.allclose(cut, whole[:, :8])
    unit = encoder.encode(["a text", "another"], truncate_dim=8, normalize_embeddings=True)
    assert np.allclose(np.linalg.norm(unit, axis=1), 1, atol=1e-6)
    with pytest.raises(akin.InvalidArgument, match="truncate_dim=999"):
        encoder.encode("a", truncate_dim=999)


def test_prompts(tmp_path, tiny):
    import shutil

    shutil.copytree(tiny, tmp_path / "model")
    settings = tmp_path / "model" / "config_sentence_transformers.json"
    known = json.loads(settings.read_text()) if settings.exists() else {}
    settings.write_text(json.dumps({**known, "prompts": {"query": "query: ", "document": "passage: ", "other": "so: "}}))
    encoder = akin.SentenceEncoder(tmp_path / "model")
    plain = encoder.encode("query: a text")
    assert np.allclose(encoder.encode_query("a text"), plain, atol=1e-6)
    assert np.allclose(encoder.encode("a text", prompt_name="query"), plain, atol=1e-6)
    assert np.allclose(encoder.encode("a text", prompt="query: "), plain, atol=1e-6)
    assert np.allclose(encoder.encode_document("a text"), encoder.encode("passage: a text"), atol=1e-6)
    assert np.allclose(encoder.encode("a text", prompt_name="other"), encoder.encode("so: a text"), atol=1e-6)
    with pytest.raises(akin.InvalidArgument, match="no prompt of the name 'none'"):
        encoder.encode("a", prompt_name="none")


def test_vectors_in_fewer_bits(encoder):
    vectors = encoder.encode(["one text", "another", "a third one"])
    for name, kind in [("int8", np.int8), ("uint8", np.uint8), ("binary", np.int8), ("ubinary", np.uint8)]:
        few = encoder.encode(["one text", "another", "a third one"], precision=name)
        assert few.dtype == kind and few.shape == (3, 4 if "binary" in name else 32)
    bits = np.unpackbits(encoder.encode(["one text"], precision="ubinary"), axis=1)
    assert (bits[0] == (vectors[0] > 0)).all()
    assert (np.argsort(few := encoder.encode(["one text", "another", "a third one"], precision="uint8"), axis=0)
            == np.argsort(vectors, axis=0)).mean() > 0.9 and few.max() == 255
    with pytest.raises(ValueError, match="Precision 'int4' is not supported"):
        encoder.encode("a", precision="int4")


def test_prompts_may_be_given(tiny):
    encoder = akin.SentenceEncoder(tiny, prompts={"query": "q: ", "other": "so: "}, default_prompt_name="other")
    plain = akin.SentenceEncoder(tiny)
    assert np.allclose(encoder.encode("a text"), plain.encode("so: a text"), atol=1e-6)
    assert np.allclose(encoder.encode_query("a text"), plain.encode("q: a text"), atol=1e-6)
    again = pickle.loads(pickle.dumps(encoder))
    assert again.prompts == {"query": "q: ", "other": "so: "} and again.default_prompt_name == "other"
    encoder.prompts = {"other": ""}
    assert np.allclose(encoder.encode("a text"), plain.encode("a text"), atol=1e-6)
    with pytest.raises(akin.InvalidArgument, match="no prompt of the name 'none'"):
        akin.SentenceEncoder(tiny, default_prompt_name="none")


def test_similarity(encoder):
    vectors = encoder.encode(["a", "b", "a"])
    scores = encoder.similarity(vectors[:1], vectors)
    assert scores.shape == (1, 3) and abs(scores[0, 0] - 1) < 1e-5 and abs(scores[0, 2] - 1) < 1e-5
    assert encoder.similarity(vectors[0], vectors[1]).shape == (1, 1)
    assert encoder.similarity_fn_name == "cosine"
    pairs = encoder.similarity_pairwise(vectors, vectors[::-1])
    assert np.allclose(pairs, np.diag(encoder.similarity(vectors, vectors[::-1])), atol=1e-6) and pairs.shape == (3,)
    with pytest.raises(akin.InvalidArgument, match="pairs need the same"):
        encoder.similarity_pairwise(vectors, vectors[:2])


def test_tokens_have_vectors(encoder):
    texts = ["A man is eating food.", "word " * 1000, ""]
    of_tokens = encoder.encode(texts, output_value="token_embeddings")
    assert [len(vectors) for vectors in of_tokens] == encoder.tokenize_lengths(texts)
    whole = encoder.encode(texts, output_value=None, truncate_dim=8)
    for one, vectors, text in zip(whole, of_tokens, texts):
        assert one["input_ids"].shape == one["attention_mask"].shape == (len(vectors),) and all(one["attention_mask"] == 1)
        assert np.allclose(one["token_embeddings"], vectors, atol=1e-6)
        assert np.allclose(one["sentence_embedding"], encoder.encode(text, truncate_dim=8), atol=1e-6)
    # The tiny model takes the mean of its tokens.
    assert np.allclose(np.asarray(of_tokens[0]).mean(axis=0), encoder.encode(texts[0]), atol=1e-5)
    assert encoder.encode(texts[0], output_value="token_embeddings").shape == of_tokens[0].shape
    assert isinstance(encoder.encode(texts[0], output_value=None), dict)
    prompted = encoder.encode("food", prompt="eat ", output_value="token_embeddings")
    assert np.allclose(prompted, encoder.encode("eat food", output_value="token_embeddings"), atol=1e-6)
    assert encoder.encode([], output_value="token_embeddings") == encoder.encode([], output_value=None) == []


def test_what_is_no_output_is_refused(encoder):
    with pytest.raises(akin.InvalidArgument, match="output_value='logits' is not known"):
        encoder.encode("a", output_value="logits")
    with pytest.raises(akin.InvalidArgument, match="precision='int8' is for output_value"):
        encoder.encode("a", output_value="token_embeddings", precision="int8")


def test_vectors_of_tokens_are_those_of_sentence_transformers(tiny, minilm):
    transformers = pytest.importorskip("sentence_transformers", reason="sentence-transformers is not here to compare with")
    texts = ["A man is eating food.", "b", "A much longer text, which is padded by nobody here. " * 3, ""]
    for ours in (akin.SentenceEncoder(tiny), minilm):
        theirs = transformers.SentenceTransformer(ours.directory, device="cpu")
        for prompt in (None, "query: "):
            wanted = theirs.encode(texts, output_value="token_embeddings", prompt=prompt)
            found = ours.encode(texts, output_value="token_embeddings", prompt=prompt)
            for mine, other in zip(found, wanted):
                assert type(mine) is type(other) and mine.shape == other.shape and np.allclose(mine, other, atol=2e-4)
            for text in texts:  # one at a time, theirs are not padded either
                other, mine = (model.encode(text, output_value=None, prompt=prompt) for model in (theirs, ours))
                assert {"input_ids", "attention_mask", "token_embeddings", "sentence_embedding"} <= set(mine) & set(other)
                for name in mine:
                    assert mine[name].dtype == other[name].dtype and mine[name].shape == other[name].shape, name
                    assert np.allclose(mine[name], other[name], atol=2e-4), name


def test_properties_and_pickling(encoder):
    again = pickle.loads(pickle.dumps(encoder))
    assert again.fingerprint == encoder.fingerprint and len(encoder.fingerprint) == 64
    assert again.max_seq_length == encoder.get_max_seq_length() > 0
    assert again.get_sentence_embedding_dimension() == encoder.dimension
    assert encoder.tokenize_lengths(["one two"]) == encoder.tokenize_lengths("one two")
    assert "tiny-bert" in repr(encoder)


def test_threads_encode_at_once(encoder):
    wanted = encoder.encode([f"text {number}" for number in range(64)])
    failed = []

    def work():
        for _ in range(20):
            if not np.allclose(encoder.encode([f"text {number}" for number in range(64)]), wanted, atol=1e-5):
                failed.append(1)

    threads = [threading.Thread(target=work) for _ in range(8)]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
    assert not failed


@pytest.mark.parametrize("bad", [None, 7, b"bytes", [None], [b"a"], [1.5], {"a": 1}, [["a"]]])
def test_what_is_no_text_is_refused(encoder, bad):
    with pytest.raises(TypeError, match="must be|not iterable"):
        encoder.encode(bad)


def test_half_characters_are_refused(encoder):
    with pytest.raises(akin.InvalidArgument, match="halves of characters"):
        encoder.encode("a \ud800 b")


def test_models_that_are_not_there_are_told(tmp_path):
    with pytest.raises(akin.ModelNotFound):
        akin.SentenceEncoder("nobody/has-this-model")
    (tmp_path / "config.json").write_text("{")
    with pytest.raises(akin.ModelError, match="config.json|modules.json|tokenizer.json"):
        akin.SentenceEncoder(tmp_path)
    with pytest.raises(akin.InvalidArgument, match="there is no precision .int4."):
        akin.SentenceEncoder(tmp_path, precision="int4")


def test_texts_that_mean_the_same_are_near(minilm):
    vectors = minilm.encode(["A man is eating food.", "Someone has a meal.", "The moon is full."])
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    scores = minilm.similarity(vectors[:1], vectors[1:])[0]
    assert scores[0] > 0.5 > scores[1]
