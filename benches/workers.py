#!/usr/bin/env python3
"""Which share of the rate of one `akin` on all cores do workers of Ray and Dask keep, and what is lost when one is killed?

    make wheel && pip install target/wheels/akin-*.whl 'ray[data]' 'dask[distributed]'
    python benches/workers.py CORPUS.jsonl FOLDER --with dask --texts 16000

Workers have one thread each, `akin` as many as there are workers; they take turns, and the cluster is there before. Ray starts its
workers for each dataset, which counts. Times are by the clock and of the processor, for other work disturbs the first. Then a worker is killed with -9
while it works, with Ray also a node with its workers, and what the parts hold is compared with an index that one process made: ids, texts, vectors.
"""

import argparse
import json
import os
import shutil
import signal
import statistics
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import psutil

import akin


def program(*arguments):
    """Runs the program, and gives the seconds that it took by the clock and of the processor."""
    before, begun = os.times(), time.perf_counter()
    subprocess.run([sys.executable, "-m", "akin", *map(str, arguments), "--quiet"], check=True, stdout=subprocess.DEVNULL)
    after = os.times()
    used = after.children_user + after.children_system - before.children_user - before.children_system
    return time.perf_counter() - begun, used


class Processor:
    """The seconds of the processor that this process's descendants use. Each is asked again and again, for nobody tells what one used that has ended:
    Ray starts workers anew for each dataset, and does not wait for them."""

    def __init__(self):
        self._used = {}
        self._seeing = threading.Lock()
        threading.Thread(target=self._watch, daemon=True).start()

    def _watch(self):
        while True:
            self.seconds()
            time.sleep(0.25)

    def seconds(self):
        """The seconds so far, of those that have ended too."""
        with self._seeing:
            for one in psutil.Process().children(recursive=True):
                try:
                    self._used[one.pid, one.create_time()] = sum(one.cpu_times()[:2])
                except psutil.Error:
                    pass  # it has ended since
            return sum(self._used.values())


def worked(processor, call):
    """What a call to the cluster gives, and the seconds that it took by the clock and of the processor."""
    before, begun = processor.seconds(), time.perf_counter()
    given = call()
    return given, time.perf_counter() - begun, processor.seconds() - before


class Dask:
    """Workers of Dask on this machine."""

    def __init__(self, workers, nodes):
        from distributed import Client, LocalCluster

        assert not nodes, "a worker of Dask is its own node"
        self._cluster = LocalCluster(n_workers=workers, threads_per_worker=1, dashboard_address=None)
        self._client = Client(self._cluster)

    def encode(self, texts, settings):
        import akin.dask

        return akin.dask.encode(self._client, texts, **settings)

    def index(self, shards, folder, options):
        import akin.dask

        return akin.dask.index_parts(self._client, shards, folder, options=options)

    def workers(self):
        return list(self._client.run(os.getpid).values())

    def close(self):
        self._client.close()
        self._cluster.close()


class Ray:
    """Workers of Ray on this machine: on one node, or one on each of as many nodes."""

    def __init__(self, workers, nodes):
        import ray
        from ray.cluster_utils import Cluster

        self._cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0 if nodes else workers})
        self._nodes = [self._cluster.add_node(num_cpus=1) for _ in range(workers if nodes else 0)]
        ray.init(address=self._cluster.address, log_to_driver=False)

    def encode(self, texts, settings, workers=2):
        import akin.ray
        import ray

        rows = ray.data.from_items([{"row": row, "text": text} for row, text in enumerate(texts)], override_num_blocks=8)
        found = akin.ray.encode(rows, workers=workers, **settings).to_pandas().sort_values("row")
        return np.stack(found["embedding"].to_list())

    def index(self, shards, folder, options):
        import akin.ray

        return akin.ray.index_parts(shards, folder, options=options, progress=False)

    def workers(self):
        return [one.pid for one in psutil.process_iter() if "index_part" in " ".join(one.cmdline()[:1])]

    def remove_node(self):
        self._cluster.remove_node(self._nodes.pop(), allow_graceful=False)

    def close(self):
        import ray

        ray.shutdown()
        self._cluster.shutdown()


def contents(path):
    """Text and vector of each document of an index."""
    with akin.open(path) as index:
        return {one.id: (one.text, np.asarray(index.vectors(one.id))) for one in index}


def compare(whole, parts, folder):
    """What an adopted index lacks, has twice or has otherwise."""
    adopted = folder / "adopted"
    shutil.rmtree(adopted, ignore_errors=True)
    program("adopt", adopted, *parts)
    program("verify", adopted)
    of_parts = []
    for part in parts:
        with akin.open(part) as index:
            of_parts += [one.id for one in index]
    one, other = contents(whole), contents(adopted)
    return {
        "documents": len(other),
        "lost": len(one.keys() - other.keys()),
        "foreign": len(other.keys() - one.keys()),
        "twice": len(of_parts) - len(set(of_parts)),
        "other text": sum(one[id][0] != other[id][0] for id in one.keys() & other.keys()),
        "other vector": sum(not np.array_equal(one[id][1], other[id][1]) for id in one.keys() & other.keys()),
    }


def begun(folder):
    return sum(1 for part in folder.glob("*") if (part / "manifest").exists())


def disturb(cluster, parts, how):
    """Disturbs the work once two parts have a first commit."""
    while begun(parts) < 2:
        time.sleep(0.05)
    if how == "node":
        cluster.remove_node()
        print("  removed a node", file=sys.stderr)
        return
    victim = cluster.workers()[0]
    os.kill(victim, signal.SIGKILL)
    print(f"  killed worker {victim}", file=sys.stderr)


def measure(cluster, arguments, corpus, shards, texts, folder):
    """Rates by turns: a whole, then by workers, and again."""
    options = ["--precision", arguments.precision]
    settings = {"precision": arguments.precision, "batch_size": arguments.batch}
    cluster.encode(texts[: 4 * arguments.batch], settings)  # workers that stay load the model; those of Ray load it for each dataset
    processor = Processor()
    rates = {"encode": [], "index": []}

    def told(name, turn, whole, parted):
        rates[name].append([one / other for one, other in zip(whole, parted)])
        print("  {} {}: {:.1f} s ({:.1f} s of processor), by workers {:.1f} s ({:.1f} s)".format(name, turn, *whole, *parted), flush=True)

    for turn in range(arguments.rounds):
        whole = program("encode", corpus, "--output", folder / "whole.npy", "--threads", arguments.workers, *options)
        vectors, *parted = worked(processor, lambda: cluster.encode(texts, settings))
        assert np.allclose(vectors, np.load(folder / "whole.npy"), atol=1e-4)
        told("encode", turn, whole, parted)
        for path in ("whole", "parts", "adopted"):
            shutil.rmtree(folder / path, ignore_errors=True)
        whole = program("index", folder / "whole", corpus, "--threads", arguments.workers, *options)
        parts, *parted = worked(processor, lambda: cluster.index(shards, folder / "parts", options))
        adopting = program("adopt", folder / "adopted", *parts)
        told("index", turn, whole, np.add(parted, adopting))
    for name, of_name in rates.items():
        by_clock, of_processor = (statistics.median(values) for values in zip(*of_name))
        print(f"{arguments.cluster}, {name}: {by_clock:.3f} of the rate of one process by the clock, {of_processor:.3f} by processor time (median of {len(of_name)})", flush=True)


def killed(cluster, arguments, corpus, shards, folder, how):
    options = ["--precision", arguments.precision]
    whole, parts = folder / "whole", folder / f"parts-{how}"
    shutil.rmtree(parts, ignore_errors=True)
    if not (whole / "manifest").exists():
        program("index", whole, corpus, *options)
    thread = threading.Thread(target=disturb, args=(cluster, parts, how))
    thread.start()
    made = cluster.index(shards, parts, options)
    thread.join()
    print(f"{arguments.cluster}, a {how} killed: {json.dumps(compare(whole, made, folder))}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("corpus", type=Path)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--with", dest="cluster", choices=["ray", "dask"], default="dask")
    parser.add_argument("--texts", type=int, default=16000)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--shards", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--batch", type=int, default=1024)
    parser.add_argument("--precision", default="int8")
    arguments = parser.parse_args()
    folder = arguments.folder.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    corpus = folder / "corpus.jsonl"
    with open(arguments.corpus, encoding="utf-8") as lines:
        kept = [line for line, _ in zip(lines, range(arguments.texts))]
    corpus.write_text("".join(kept), encoding="utf-8")
    shutil.rmtree(folder / "shards", ignore_errors=True)
    program("shard", corpus, "--parts", arguments.shards, "--output", folder / "shards")
    shards = sorted((folder / "shards").glob("part-*.jsonl"))
    texts = [json.loads(line)["text"] for line in kept]
    kind = Ray if arguments.cluster == "ray" else Dask
    cluster = kind(arguments.workers, False)
    try:
        if arguments.rounds:
            measure(cluster, arguments, corpus, shards, texts, folder)
        killed(cluster, arguments, corpus, shards, folder, "worker")
    finally:
        cluster.close()
    if arguments.cluster == "ray":
        cluster = kind(arguments.workers, True)
        try:
            killed(cluster, arguments, corpus, shards, folder, "node")
        finally:
            cluster.close()


if __name__ == "__main__":
    main()
