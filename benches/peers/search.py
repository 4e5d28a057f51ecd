"""How many queries a second does Akin answer at recall@10 of 0.95 and 0.99, beside other libraries?

    make peers build                                # once: the libraries, and our binary
    python benches/peers/search.py BASE.npy QUERIES.npy  # the matrices as `akin encode` writes them

All build on all processors and search on one, one after another, over the same vectors and queries. A peer
is asked a query at a time and all queries at once, and the faster of the two counts. Akin's build is the whole of
`akin import`, the disk included; a peer's is in memory.
"""

import argparse
import json
import math
import os
import subprocess
import tempfile
import time

import numpy as np

K = 10
TARGET = os.environ.get("CARGO_TARGET_DIR") or os.path.join(os.path.dirname(__file__), "../../target")
TARGETS = (0.95, 0.99)


class Peer:
    """An index of a library: `one(query)` and `all(queries)` find row numbers with the effort set last."""

    efforts = (16, 24, 32, 48, 64, 96, 128, 256)


class Hnswlib(Peer):
    def __init__(self, base, threads):
        import hnswlib

        self.index = hnswlib.Index("ip", base.shape[1])
        self.index.init_index(len(base), M=16, ef_construction=200)
        self.index.add_items(base, num_threads=threads)

    def set(self, effort):
        self.index.set_ef(effort)

    def one(self, query):
        return self.index.knn_query(query, K, num_threads=1)[0][0]

    def all(self, queries):
        return self.index.knn_query(queries, K, num_threads=1)[0]


class Faiss(Peer):
    def __init__(self, base, threads):
        import faiss

        faiss.omp_set_num_threads(threads)
        self.index = faiss.IndexHNSWFlat(base.shape[1], 16, faiss.METRIC_INNER_PRODUCT)
        self.index.hnsw.efConstruction = 200
        self.index.add(base)
        faiss.omp_set_num_threads(1)

    def set(self, effort):
        self.index.hnsw.efSearch = effort

    def one(self, query):
        return self.index.search(query[None], K)[1][0]

    def all(self, queries):
        return self.index.search(queries, K)[1]


class Usearch(Peer):
    def __init__(self, base, threads):
        from usearch.index import Index

        self.index = Index(ndim=base.shape[1], metric="ip", dtype="f32", connectivity=16, expansion_add=200)
        self.index.add(np.arange(len(base)), base, threads=threads)

    def set(self, effort):
        self.index.expansion_search = effort

    def one(self, query):
        return self.index.search(query, K, threads=1).keys

    def all(self, queries):
        return self.index.search(queries, K, threads=1).keys


class Svs(Peer):
    efforts = (10, 12, 16, 24, 32, 48, 64, 96, 128)

    def __init__(self, base, threads):
        import svs

        parameters = svs.VamanaBuildParameters(graph_max_degree=32, window_size=200, alpha=0.95)
        self.index = svs.Vamana.build(parameters, base, svs.DistanceType.MIP, num_threads=threads)
        self.index.num_threads = 1

    def set(self, effort):
        self.index.search_window_size = effort

    def one(self, query):
        return self.index.search(query[None], K)[0][0]

    def all(self, queries):
        return self.index.search(queries, K)[0]


class Scann(Peer):
    efforts = (10, 15, 20, 30, 40, 60, 80, 120, 160, 240, 320)

    def __init__(self, base, threads):
        import scann

        builder = scann.scann_ops_pybind.builder(base, K, "dot_product")
        builder = builder.tree(num_leaves=int(len(base) ** 0.5), num_leaves_to_search=20, training_sample_size=len(base))
        builder.set_n_training_threads(threads)
        self.index = builder.score_ah(2, anisotropic_quantization_threshold=0.2).reorder(100).build()

    def set(self, effort):
        self.options = dict(leaves_to_search=effort, pre_reorder_num_neighbors=100, final_num_neighbors=K)

    def one(self, query):
        return self.index.search(query, **self.options)[0]

    def all(self, queries):
        return self.index.search_batched(queries, **self.options)[0]


PEERS = {"hnswlib": Hnswlib, "faiss": Faiss, "usearch": Usearch, "svs": Svs, "scann": Scann}


def nearest(base, queries, at_once=50):
    """The score of the true Kth nearest of every query, by all products."""
    least = []
    for first in range(0, len(queries), at_once):
        scores = queries[first : first + at_once] @ base.T
        least.extend(np.partition(scores, -K, axis=1)[:, -K].tolist())
    return least


def recall(found, truth, base, queries):
    """The share of the hits that are as near as the true Kth: which of equal rows is found does not matter."""
    right = 0
    for rows, least, query in zip(found, truth, queries):
        rows = sorted({int(row) for row in rows if 0 <= row < len(base)})
        # Products of two kinds differ by some 1e-7; `akin bench` allows as much.
        right += min(K, int(np.sum(base[rows] @ query >= least - 1e-6)))
    return right / (K * len(queries))


def best_seconds(search, rounds=3):
    seconds = []
    for _ in range(rounds):
        begun = time.perf_counter()
        search()
        seconds.append(time.perf_counter() - begun)
    return min(seconds)


def measure_peer(name, base, queries, truth, threads):
    begun = time.perf_counter()
    peer = PEERS[name](base, threads)
    build = time.perf_counter() - begun
    curve = []
    for effort in peer.efforts:
        peer.set(effort)
        found = [peer.one(query) for query in queries]
        one = best_seconds(lambda: [peer.one(query) for query in queries])
        together = best_seconds(lambda: peer.all(queries))
        curve.append((effort, recall(found, truth, base, queries), len(queries) / min(one, together)))
    return build, curve


def measure_akin(akin, base_path, queries_path):
    with tempfile.TemporaryDirectory() as folder:
        index = os.path.join(folder, "index")
        begun = time.perf_counter()
        subprocess.run([akin, "--quiet", "import", index, "--vectors", base_path], check=True)
        build = time.perf_counter() - begun
        efs = "12,16,20,24,32,40,48,64,96,128,256"
        bench = [akin, "--quiet", "bench", index, "--vectors", queries_path, "-k", str(K), "--ef", efs, "--json"]
        lines = subprocess.run(bench, check=True, capture_output=True, text=True).stdout.splitlines()
    points = [json.loads(line) for line in lines]
    return build, [(point["ef"], point["recall"], point["qps"]) for point in points]


def at_recall(curve, target):
    """Queries a second at a recall, between the two nearest measurements; None if it was not reached."""
    below = [(r, q) for _, r, q in curve if r < target]
    above = [(r, q) for _, r, q in curve if r >= target]
    if not above:
        return None
    (high, slow) = max(above, key=lambda point: point[1])
    if not below:
        return slow
    (low, fast) = max(below)
    share = (target - low) / (high - low)
    return math.exp((1 - share) * math.log(fast) + share * math.log(slow))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("base", help="the vectors to search among")
    parser.add_argument("queries", help="the vectors to look for")
    parser.add_argument("--akin", default=os.path.join(TARGET, "release/akin"))
    parser.add_argument("--peers", default=",".join(PEERS), help="which ones, with commas between")
    arguments = parser.parse_args()
    base, queries = np.load(arguments.base), np.load(arguments.queries)
    threads = len(os.sched_getaffinity(0))
    truth = nearest(base, queries)
    print(f"{len(base)} vectors of {base.shape[1]}, {len(queries)} queries, k {K}; {threads} threads build, 1 searches")

    results = {}
    for name in ["akin", *arguments.peers.split(",")]:
        if name == "akin":
            build, curve = measure_akin(arguments.akin, arguments.base, arguments.queries)
        else:
            build, curve = measure_peer(name, base, queries, truth, threads)
        results[name] = (build, curve)
        print(f"\n{name}: built in {build:.1f} s")
        for effort, found, qps in curve:
            print(f"  effort {effort:4}  recall@{K} {found:.4f}  {qps:8.0f} queries/s", flush=True)
    print()
    for target in TARGETS:
        speeds = {name: at_recall(curve, target) for name, (_, curve) in results.items()}
        peers = {name: speed for name, speed in speeds.items() if name != "akin" and speed}
        best = max(peers, key=peers.get)
        shown = ", ".join(f"{name} {speed:.0f}" if speed else f"{name} -" for name, speed in speeds.items())
        print(f"queries/s at recall {target}: {shown}")
        if speeds["akin"]:
            print(f"  akin / best of the others ({best}): {speeds['akin'] / peers[best]:.2f}")
    if "hnswlib" in results:
        print(f"build, akin / hnswlib: {results['akin'][0] / results['hnswlib'][0]:.2f}")


if __name__ == "__main__":
    main()
