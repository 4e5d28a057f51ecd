"""Each call refuses what it cannot take, or what comes too late, by an exception: the interpreter never ends by it."""

import asyncio
import shutil

import numpy as np
import pytest

import akin
from conftest import python

HALF = "half \ud800 a character"


@pytest.mark.parametrize(
    "bad",
    [
        np.array([[object()] * 16]),
        np.array([[None] * 16]),
        np.array([["a"] * 16]),
        [[1.0, 2.0], [3.0]],
        b"bytes",
        np.full((1, 16), 1e300),
        np.full((1, 16), -np.inf),
        np.zeros((1, 2, 8)),
        np.zeros((1, 0)),
        {"a": 1},
        7,
    ],
)
@pytest.mark.filterwarnings("error")
def test_what_are_no_vectors_is_refused(vectors, bad):
    index, _ = vectors
    for call in (lambda: index.add(["a"], vectors=bad), lambda: index.search_many(bad)):
        with pytest.raises((akin.InvalidArgument, TypeError)) as refused:
            call()
        assert len(str(refused.value)) > 15 and "\n" not in str(refused.value)
    assert len(index) == 300


@pytest.mark.parametrize(
    "made",
    [
        lambda rows: rows.astype(np.float64),
        lambda rows: rows.astype(object),
        lambda rows: np.asfortranarray(rows),
        lambda rows: np.repeat(rows, 2, axis=1)[:, ::2],
        lambda rows: rows[::-1][::-1],
        lambda rows: rows.astype(">f4"),
        lambda rows: rows.tolist(),
        lambda rows: [list(row) for row in rows],
    ],
    ids=["float64", "objects", "columns first", "every second column", "backwards", "big endian", "lists", "lists of numbers"],
)
def test_vectors_in_any_layout_are_those_of_float32(tmp_path, made):
    rows = np.random.default_rng(5).standard_normal((40, 16)).astype(np.float32)
    with akin.open(tmp_path / "i", create=True, dimension=16) as index:
        index.add([""] * 40, ids=range(40), vectors=made(rows))
        unit = rows / np.linalg.norm(rows, axis=1, keepdims=True)
        assert all(np.allclose(index.vectors(str(number)), row, atol=1e-6) for number, row in enumerate(unit))
        assert [hits.ids for hits in index.search_many(made(rows), k=1)] == [[str(number)] for number in range(40)]


def test_nothing_gives_nothing(index, encoder, scorer):
    before = index.generation
    assert index.add([]) == (0, 0, 0, 0, []) and index.add(iter(())) == (0, 0, 0, 0, [])
    assert index.add([], vectors=np.zeros((0, 32))) == (0, 0, 0, 0, [])
    assert index.delete([]) == 0 and index.get_many([]) == [] and index.search_many([]) == []
    assert index.search_many(np.zeros((0, 32))) == [] and index.generation == before
    assert encoder.encode([]).shape == (0, 32) and encoder.tokenize_lengths([]) == []
    assert scorer.predict([]).shape == (0,) and scorer.rank("a", []) == []
    assert akin.semantic_search(np.zeros((0, 4)), np.eye(4)) == [] and akin.semantic_search(np.eye(2), np.zeros((0, 2))) == [[], []]
    assert akin.paraphrase_mining(encoder, []) == [] and akin.community_detection(np.zeros((0, 4))) == [] and akin.dedup([]) == []


def test_numbers_that_are_none_are_refused_by_all_that_compares(encoder):
    rows = np.eye(4)
    rows[2, 1] = np.nan
    calls = {
        "semantic_search": lambda: akin.semantic_search(np.eye(4), rows),
        "its queries": lambda: akin.semantic_search(rows, np.eye(4)),
        "community_detection": lambda: akin.community_detection(rows, min_community_size=1),
        "paraphrase_mining_embeddings": lambda: akin.paraphrase_mining_embeddings(rows),
        "dedup": lambda: akin.dedup(rows),
        "cluster": lambda: akin.cluster(rows, k=2),
    }
    for name, call in calls.items():
        with pytest.raises(akin.InvalidArgument, match="row 2 of .* no finite number"):
            print(name)
            call()


def test_halves_of_characters_are_refused_wherever_a_text_goes(index, encoder, scorer, tmp_path):
    calls = [
        lambda: index.search(HALF),
        lambda: index.search_many(["a", HALF]),
        lambda: index.search("a", filter=akin.field("kind") == HALF),
        lambda: index.search("a", filter=akin.field(HALF) == 1),
        lambda: index.search("a", mode=HALF),
        lambda: index.search("a", like=HALF),
        lambda: index.search("a", facets=[HALF]),
        lambda: index.add({"id": HALF, "text": "a"}),
        lambda: index.add(["a"], ids=[HALF]),
        lambda: index.add([{"id": "a", "text": "b", HALF: 1}]),
        lambda: index.add([HALF]),
        lambda: index.add([akin.Document("a", "b", {"c": {"d": [HALF]}})]),
        lambda: index.add(tmp_path, include=[HALF]),
        lambda: index.delete(HALF),
        lambda: index.get(HALF),
        lambda: index[HALF],
        lambda: index.vectors(HALF),
        lambda: encoder.encode(["a", HALF]),
        lambda: encoder.encode("a", prompt=HALF),
        lambda: encoder.encode(HALF, output_value="token_embeddings"),
        lambda: encoder.tokenize_lengths([HALF]),
        lambda: scorer.predict([("a", HALF)]),
        lambda: scorer.rank(HALF, ["a"]),
        lambda: akin.SentenceEncoder(HALF),
        lambda: akin.open(tmp_path / "i", create=True, model=HALF),
        lambda: akin.SentenceEncoder(encoder.directory, query_prompt=HALF),
    ]
    for number, call in enumerate(calls):
        with pytest.raises((akin.Error, ValueError)) as refused:
            call()
        assert "\n" not in str(refused.value), number
    assert len(index) == 5


class Mine(Exception):
    """What a callback raises here."""


def fails(*seen):
    raise Mine


def test_what_a_callback_raises_comes_out(index, encoder, scorer, tmp_path):
    rows = np.random.default_rng(1).standard_normal((6000, 64)).astype(np.float32)
    folder = tmp_path / "texts"
    folder.mkdir()
    for number in range(40):
        (folder / f"{number}.txt").write_text(f"text {number} " * 400)
    calls = {
        "add": lambda: index.add([f"text {number}" for number in range(10)], progress=fails),
        "add files": lambda: index.add(folder, progress=fails),
        "pairs": lambda: akin.paraphrase_mining_embeddings(rows, show_progress_bar=fails),
        "score": lambda: akin.semantic_search(rows[:2], rows, score_function=fails),
        "encode": lambda: encoder.encode(["some words " * 60] * 4000, show_progress_bar=fails),
        "tokens": lambda: encoder.encode(["some words " * 60] * 2000, show_progress_bar=fails, output_value="token_embeddings"),
    }
    for name, call in calls.items():
        with pytest.raises(Mine):
            print(name)
            call()
    # The index is as usable as before.
    assert index.search("A man is eating food.", k=1, mode="semantic").ids == ["food"]
    index.add(["another"])
    index.verify()


def test_what_an_iterator_raises_comes_out(index):
    def rows(kind):
        yield kind
        raise Mine

    async def beside():
        await index.aadd(rows("a text"))

    def rest():
        yield "one"
        raise Mine

    calls = [
        lambda: index.add(rows("a text")),
        lambda: index.add(["a", "b"], ids=rest()),
        lambda: index.delete(rest()),
        lambda: index.get_many(rest()),
        lambda: index.search_many(rest()),
        lambda: asyncio.run(beside()),
    ]
    for call in calls:
        with pytest.raises(Mine):
            call()
    assert len(index) <= 7 and index.search("A man is eating food.", k=1, mode="semantic").ids == ["food"]


class Treacherous:
    """A sequence that changes while it is read."""

    def __len__(self):
        return 3

    def __iter__(self):
        yield "a"

    def __getitem__(self, at):
        raise Mine


def test_a_sequence_that_lies_about_its_length_is_refused(vectors):
    index, rows = vectors
    with pytest.raises(akin.InvalidArgument, match="each needs one"):
        index.add(Treacherous(), vectors=rows[:3])


CLOSED = {
    "search": lambda index: index.search("a"),
    "search a vector": lambda index: index.search(np.zeros(32)),
    "search_many": lambda index: index.search_many(["a"]),
    "add": lambda index: index.add(["a"]),
    "add files": lambda index: index.add(__file__),
    "delete": lambda index: index.delete("a"),
    "get": lambda index: index.get("a"),
    "get_many": lambda index: index.get_many(["a"]),
    "item": lambda index: index["a"],
    "in": lambda index: "a" in index,
    "len": len,
    "iter": list,
    "vectors": lambda index: index.vectors("a"),
    "snapshot": lambda index: index.snapshot(),
    "stat": lambda index: index.stat(),
    "verify": lambda index: index.verify(),
    "map": lambda index: index.map(),
    "optimize": lambda index: index.optimize(),
    "compact": lambda index: index.compact(),
    "release": lambda index: index.release(),
    "adopt": lambda index: index.adopt("a"),
    "path": lambda index: index.path,
    "dimension": lambda index: index.dimension,
    "generation": lambda index: index.generation,
    "model": lambda index: index.model,
    "asearch": lambda index: asyncio.run(index.asearch("a")),
}


@pytest.mark.parametrize("call", sorted(CLOSED))
def test_use_after_close_is_told(index, call):
    index.close()
    with pytest.raises(akin.Closed, match="open it again with akin.open"):
        CLOSED[call](index)
    assert index.closed and repr(index) == "Index(closed)"


def test_what_was_made_of_an_index_outlives_it(index):
    pinned, rest, hits = index.snapshot(), iter(index), index.search("food")
    index.close()
    assert len(list(rest)) == 5 and len(hits) == 5 and hits[0].text
    assert len(pinned.search("food")) == 5
    with pytest.raises(akin.InvalidArgument, match="a snapshot is not changed"):
        pinned.add(["a"])


@pytest.mark.parametrize("call", sorted(set(CLOSED) - {"iter", "adopt", "map"}))
def test_an_index_whose_folder_is_gone_answers_or_tells(tmp_path, encoder, call):
    index = akin.open(tmp_path / "i", create=True, model=encoder)
    index.add(["one", {"id": "a", "text": "two"}])
    index.release()
    shutil.rmtree(tmp_path / "i")
    try:
        CLOSED[call](index)
    except (akin.Error, OSError) as error:
        assert "\n" not in str(error) and len(str(error)) > 15
    index.close()
    with pytest.raises(akin.IndexNotFound):
        akin.open(tmp_path / "i")


@pytest.mark.parametrize(
    "work",
    [
        "index.search_many(['food', 'bread'] * 50)",
        "encoder.encode(['some words to encode'] * 500)",
        "index.add([f'text {time.monotonic_ns()} {n}' for n in range(50)])",
        "akin.paraphrase_mining_embeddings(np.random.rand(500, 64))",
        "[document.text for document in index]",
    ],
)
def test_the_interpreter_ends_while_threads_are_in_a_call(index, tiny, work):
    path = index.path
    index.close()
    code = f"""
import sys, threading, time
import numpy as np
import akin
index = akin.open(sys.argv[1])
encoder = akin.SentenceEncoder(sys.argv[2])
begun = threading.Event()
def work():
    while True:
        {work}
        begun.set()
for _ in range(3):
    threading.Thread(target=work, daemon=True).start()
begun.wait(60)
"""
    ended = python(code, path, tiny)
    assert ended.returncode == 0 and ended.stderr == "", (ended.returncode, ended.stderr)
