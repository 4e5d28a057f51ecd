"""How long do the most similar pairs of the same vectors take us, and sentence-transformers?

    ~/.cache/akin-peers/venv/bin/python benches/peers/mining.py VECTORS.npy [ROWS] [ROUNDS]

Both take turns on all processors; the medians are divided.
"""

import json
import os
import statistics
import subprocess
import sys
import time

import numpy as np
import torch
from sentence_transformers import util

HERE = os.path.dirname(os.path.abspath(__file__))


def ours(path, rows):
    bench = ["cargo", "bench", "--quiet", "--bench", "pairs", "--", path, str(rows), "1"]
    output = subprocess.run(bench, check=True, capture_output=True, text=True, cwd=os.path.join(HERE, "../.."))
    return json.loads(output.stdout.splitlines()[-1])


def main():
    path = os.path.abspath(sys.argv[1])
    rows = int(sys.argv[2]) if len(sys.argv) > 2 else 10_000
    rounds = int(sys.argv[3]) if len(sys.argv) > 3 else 5
    base = torch.tensor(np.load(path)[:rows])
    ours(path, 100)  # built and warm
    results = {"akin": [], "paraphrase_mining_embeddings": []}
    for _ in range(rounds):
        found = ours(path, rows)
        results["akin"].append(found["seconds"])
        begun = time.perf_counter()
        pairs = util.paraphrase_mining_embeddings(base)
        results["paraphrase_mining_embeddings"].append(time.perf_counter() - begun)
        assert abs(found["best"] - pairs[0][0]) < 1e-4, (found["best"], pairs[0])
    medians = {name: statistics.median(seconds) for name, seconds in results.items()}
    print(f"{rows} vectors, median of {rounds}: " + ", ".join(f"{n} {s:.3f} s" for n, s in medians.items()))
    print(f"akin / sentence-transformers: {medians['akin'] / medians['paraphrase_mining_embeddings']:.3f}")


if __name__ == "__main__":
    main()
