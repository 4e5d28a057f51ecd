#!/usr/bin/env python3
"""What does Python cost? The wheel beside the program, and beside sentence-transformers, in one run.

    make wheel && pip install target/wheels/akin-*.whl          # in an environment, with sentence-transformers or without
    python benches/python.py INDEX CORPUS --akin target/release/akin

INDEX is an index with a graph, CORPUS a file of JSON lines with at least 8,000 texts, as `fixtures/fetch-wordnet` leaves it. Of each figure the best
of some rounds counts, with the programs taking turns: what disturbs one disturbs the other.
"""

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
import time

import numpy as np

import akin

TEXTS = 4000


def seconds(call):
    begun = time.perf_counter()
    call()
    return time.perf_counter() - begun


def program(akin_program, corpus, count, precision, folder):
    """How long `akin encode` takes for the first texts of a corpus, the load of its model included."""
    part = os.path.join(folder, "part.jsonl")
    with open(corpus, encoding="utf-8") as lines, open(part, "w", encoding="utf-8") as out:
        out.writelines(line for _, line in zip(range(count), lines))
    command = [akin_program, "encode", part, "--output", os.path.join(folder, "x.npy"), "--precision", precision, "--quiet"]
    return seconds(lambda: subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL))


def encode(options, precision, folder):
    """Texts a second of the wheel, of the program without its load, and of sentence-transformers where it is there."""
    with open(options.corpus, encoding="utf-8") as lines:
        texts = [json.loads(line)["text"] for _, line in zip(range(2 * TEXTS), lines)]
    encoder = akin.SentenceEncoder(precision=precision)
    encoder.encode(texts[:64])
    ours, theirs, torch = [], [], []
    model = None
    if options.torch:
        from sentence_transformers import SentenceTransformer

        model = SentenceTransformer(encoder.directory, device="cpu")
    for _ in range(options.rounds):
        # The second half, as what the program takes for both halves less what it takes for the first.
        ours.append(seconds(lambda: encoder.encode(texts[TEXTS:])))
        both = program(options.akin, options.corpus, 2 * TEXTS, precision, folder)
        theirs.append(both - program(options.akin, options.corpus, TEXTS, precision, folder))
        if model is not None:
            torch.append(seconds(lambda: model.encode(texts[TEXTS:], batch_size=32)))
    rate = [TEXTS / min(times) if times else None for times in (ours, theirs, torch)]
    print(f"encode {precision}: wheel {rate[0]:.0f}, program {rate[1]:.0f} texts/s: ratio {rate[0] / rate[1]:.3f}", end="")
    print(f"; sentence-transformers {rate[2]:.0f}: ratio {rate[0] / rate[2]:.2f}" if rate[2] else "")


def search(options, folder):
    """Queries a second of `index.search` with vectors, one thread, beside `akin bench`, which reads no documents."""
    with open(options.corpus, encoding="utf-8") as lines:
        texts = [json.loads(line)["text"] for _, line in zip(range(1000), lines)]
    index = akin.open(options.index, precision="int8")
    vectors = index.model.encode_query([" ".join(text.split()[:6]) for text in texts])
    path = os.path.join(folder, "queries.npy")
    np.save(path, vectors)
    ef = index.stat()["ef"]
    rows = list(vectors)
    for row in rows:
        index.search(row, k=10)
    ours, theirs = [], []
    for _ in range(options.rounds):
        for _ in range(3):
            ours.append(seconds(lambda: [index.search(row, k=10) for row in rows]))
        said = subprocess.run(
            [options.akin, "bench", options.index, "--vectors", path, "--ef", str(ef), "--threads", "1", "--json"],
            check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
        ).stdout
        theirs.append(float(re.search(r'"(?:qps|queries_per_second)":([0-9.]+)', said).group(1)))
    rate = len(rows) / min(ours)
    print(f"search, ef {ef}, k 10: wheel {rate:.0f} queries/s with documents, akin bench {max(theirs):.0f} without: "
          f"ratio {rate / max(theirs):.2f}")


def imported():
    """How long `import akin` takes, in processes of its own."""
    code = "import time; t = time.perf_counter(); import akin; print(time.perf_counter() - t)"
    times = [float(subprocess.run([sys.executable, "-c", code], check=True, stdout=subprocess.PIPE, text=True).stdout) for _ in range(15)]
    print(f"import akin: {min(times) * 1000:.1f} ms at best, {sorted(times)[7] * 1000:.1f} ms in the middle")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("index")
    parser.add_argument("corpus")
    parser.add_argument("--akin", default="target/release/akin", help="the program to compare with")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--torch", action="store_true", help="compare with sentence-transformers too")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        imported()
        search(options, folder)
        for precision in ("f32", "int8"):
            encode(options, precision, folder)


if __name__ == "__main__":
    main()
