"""An index in a bucket of an object store: it is read, and never changed. Left out where no object store can be started."""

import pickle
import subprocess
import sys
import tempfile

import pytest

import akin
from akin._program import call
from conftest import ROOT

# The folder of the other tests' object store: the package is installed once.
INSTALLED = f"{tempfile.gettempdir()}/akin-moto-5.2.5"


@pytest.fixture(scope="module")
def store():
    """The URL of an object store."""
    server = subprocess.Popen(
        [sys.executable, str(ROOT / "fixtures" / "s3"), INSTALLED], stdin=subprocess.PIPE, stdout=subprocess.PIPE, encoding="utf-8"
    )
    url = server.stdout.readline().strip()
    if url:
        yield url
    server.stdin.close()
    server.wait()
    if not url:
        pytest.skip("no object store can be started")


@pytest.fixture
def settled(store, tmp_path, monkeypatch):
    """The settings of whoever reads the object store, with a cache of their own."""
    for name, value in [
        ("AWS_ENDPOINT_URL", store),
        ("AWS_ACCESS_KEY_ID", "anybody"),
        ("AWS_SECRET_ACCESS_KEY", "anything"),
        ("AWS_REGION", "us-east-1"),
        ("AWS_ALLOW_HTTP", "true"),
        ("XDG_CACHE_HOME", str(tmp_path / "cache")),
    ]:
        monkeypatch.setenv(name, value)


@pytest.fixture
def place(settled, index, tmp_path):
    """The address of a copy of the notes."""
    place = f"s3://akin-tests/{tmp_path.name}/notes"
    call("copy", index.path, place)
    return place


def test_an_index_in_a_bucket_answers_as_the_one_that_was_copied(place, index):
    with akin.open(place) as copy:
        assert copy.path == place and len(copy) == len(index)
        assert {one.id: one for one in copy} == {one.id: one for one in index}
        for mode in ("semantic", "keyword", "hybrid"):
            asked = {"k": 3, "mode": mode}
            found = [(hit.id, hit.score) for hit in copy.search("a man is eating", **asked)]
            assert found == [(hit.id, hit.score) for hit in index.search("a man is eating", **asked)] and found
        assert copy.verify()["documents"] == len(index)
        again = pickle.loads(pickle.dumps(copy))
        assert again.path == place and again.get("food") == index.get("food")
        again.close()


def test_a_newer_commit_is_seen_after_it_was_asked_for(place, index):
    with akin.open(place) as copy:
        assert not copy.refresh()
        before = copy.snapshot()
        index.add([{"id": "new", "text": "Somebody paints a bridge."}])
        call("copy", index.path, place)
        assert "new" not in copy
        assert copy.refresh()
        assert "new" in copy and copy.generation == index.generation
        assert "new" not in before and before.get("food") == index.get("food")
    assert not index.refresh()


def test_nothing_is_changed_in_a_bucket_and_the_error_says_what_to_do(place, encoder, tmp_path):
    (tmp_path / "a.txt").write_text("A sentence.\n")
    with akin.open(place) as copy:
        changes = [
            lambda: copy.add([{"id": "new", "text": "Somebody paints a bridge."}]),
            lambda: copy.add(tmp_path / "a.txt"),
            lambda: copy.delete("food"),
            lambda: copy.optimize(),
            lambda: copy.compact(),
            lambda: akin.open(place, create=True, model=encoder),
        ]
        for change in changes:
            with pytest.raises(akin.InvalidArgument, match=f"`akin copy {place} FOLDER`"):
                change()
        with pytest.raises(akin.Error, match="`akin copy "):
            copy.adopt(tmp_path / "part")
        assert len(copy) == 5


def test_what_is_not_there_is_told_with_what_to_do(settled):
    with pytest.raises(akin.IndexNotFound, match="`akin copy FOLDER s3://BUCKET/PREFIX` puts one there"):
        akin.open("s3://akin-tests/nothing/here")
    with pytest.raises(akin.IndexNotFound, match="has no bucket no-such-bucket"):
        akin.open("s3://no-such-bucket/notes")
    with pytest.raises(akin.InvalidArgument, match="names no place in a bucket"):
        akin.open("s3://akin-tests")
