"""How many sentences a second does a model without layers take us, and model2vec?

    python3 -m venv m2v && m2v/bin/pip install model2vec==0.10.0
    m2v/bin/python benches/peers/static.py AKIN TOKENIZER.json CORPUS.jsonl [ROUNDS]

AKIN is the program, TOKENIZER.json that of all-MiniLM-L6-v2, CORPUS.jsonl has a `text` in each line. The vectors are random,
256 numbers for each token: what they are does not change the time. Both take turns on all processors. Ours is `akin encode` as
a process, reading the corpus and writing the matrix, less the time that it takes for one text; model2vec's is `encode` alone,
with threads and without. The medians are divided, and the vectors are compared.
"""

import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from model2vec import StaticModel
from tokenizers import Tokenizer

WIDTH = 256


def make(tokenizer_path, folder):
    tokenizer = Tokenizer.from_file(tokenizer_path)
    tokenizer.no_padding()
    vectors = np.random.default_rng(1).normal(size=(tokenizer.get_vocab_size(), WIDTH)).astype(np.float32)
    StaticModel(vectors, tokenizer, {"model_type": "model2vec"}, normalize=True).save_pretrained(folder)
    return StaticModel.from_pretrained(folder)


def seconds(call):
    begun = time.perf_counter()
    call()
    return time.perf_counter() - begun


def main():
    akin, tokenizer, corpus = sys.argv[1:4]
    rounds = int(sys.argv[4]) if len(sys.argv) > 4 else 5
    work = Path(tempfile.mkdtemp())
    model = make(tokenizer, work / "model")
    texts = [json.loads(line)["text"] for line in open(corpus, encoding="utf-8")]
    (work / "one.txt").write_text("one\n")

    def ours(path):
        command = [akin, "encode", path, "--model", str(work / "model"), "--output", str(work / "ours.npy"), "--quiet"]
        subprocess.run(command, check=True)

    times = {"akin": [], "model2vec": [], "model2vec in one thread": []}
    for _ in range(rounds):
        load = seconds(lambda: ours(str(work / "one.txt")))
        times["akin"].append(seconds(lambda: ours(corpus)) - load)
        times["model2vec"].append(seconds(lambda: model.encode(texts)))
        times["model2vec in one thread"].append(seconds(lambda: model.encode(texts, use_multiprocessing=False)))
    ours_rows, theirs = np.load(work / "ours.npy"), model.encode(texts)
    cosines = (ours_rows * theirs).sum(1)[np.linalg.norm(theirs, axis=1) > 0]
    rates = {name: len(texts) / statistics.median(found) for name, found in times.items()}
    for name, rate in rates.items():
        print(f"{name}: {rate:,.0f} sentences a second ({', '.join(f'{t:.2f}' for t in times[name])} s)")
    best = max(rates["model2vec"], rates["model2vec in one thread"])
    print(f"{len(texts):,} texts, ratio to the better of model2vec {rates['akin'] / best:.2f}, least cosine {cosines.min():.6f}")


if __name__ == "__main__":
    main()
