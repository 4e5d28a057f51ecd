"""Akin on Ray and on Dask: two workers, one of which is killed."""

import json
import os
import signal

import numpy as np
import pytest

import akin

TEXTS = [f"text number {number} of some" for number in range(3000)]


@pytest.fixture
def shards(tmp_path):
    for shard in range(4):
        lines = [json.dumps({"id": f"{shard}-{row}", "text": TEXTS[shard * 50 + row]}) for row in range(50)]
        (tmp_path / f"shard-{shard}.jsonl").write_text("\n".join(lines) + "\n")
    return sorted(tmp_path.glob("shard-*.jsonl"))


def check(parts, shards):
    for number, part in enumerate(parts):
        with akin.open(part) as index:
            assert sorted(one.id for one in index) == sorted(f"{number}-{row}" for row in range(50))


@pytest.fixture(scope="module")
def client():
    """A client of Dask with two workers."""
    distributed = pytest.importorskip("distributed")
    with distributed.LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster:
        with distributed.Client(cluster) as client:
            yield client


@pytest.fixture(scope="module")
def ray():
    """Ray with two processors."""
    ray = pytest.importorskip("ray")
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False)
    yield ray
    ray.shutdown()


def test_a_part_that_a_lost_worker_still_writes_is_waited_for(tiny, shards, tmp_path, monkeypatch):
    from akin import _cluster

    part = tmp_path / "part"
    writer = akin.open(part, create=True, model=tiny)
    writer.add([{"id": "0-0", "text": TEXTS[0]}])
    waited = []
    monkeypatch.setattr(_cluster.time, "sleep", lambda seconds: waited.append(seconds) or writer.close())
    _cluster.index_part(str(shards[0]), str(part), ["--model", tiny], 1)
    assert len(waited) == 1
    check([part], shards)


class TestDask:
    def test_texts_are_encoded(self, client, tiny, encoder):
        import akin.dask

        vectors = akin.dask.encode(client, TEXTS, model=tiny, batch_size=200)
        assert np.allclose(vectors, encoder.encode(TEXTS), atol=1e-5)
        assert akin.dask.encode(client, [], model=tiny).shape == (0, 32)

    def test_a_worker_that_is_killed_is_made_good(self, client, tiny, encoder, shards, tmp_path):
        import akin.dask

        (victim, *_) = client.run(os.getpid).values()
        os.kill(victim, signal.SIGKILL)
        assert np.allclose(akin.dask.encode(client, TEXTS[:500], model=tiny, batch_size=50), encoder.encode(TEXTS[:500]), atol=1e-5)
        check(akin.dask.index_parts(client, shards, tmp_path / "parts", options=["--model", tiny]), shards)


class TestRay:
    def test_texts_are_encoded(self, ray, tiny, encoder):
        import akin.ray

        rows = ray.data.from_items([{"n": number, "text": text} for number, text in enumerate(TEXTS[:600])])
        found = akin.ray.encode(rows, model=tiny, workers=2, batch_size=100).take_all()
        wanted = encoder.encode(TEXTS[:600])
        assert len(found) == 600 and all(np.allclose(row["embedding"], wanted[row["n"]], atol=1e-5) for row in found)

    def test_shards_are_indexed(self, ray, tiny, shards, tmp_path):
        import akin.ray

        parts = akin.ray.index_parts(shards, tmp_path / "parts", options=["--model", tiny], progress=False)
        check(parts, shards)
        check(akin.ray.index_parts(shards, tmp_path / "parts", options=["--model", tiny], progress=False), shards)
