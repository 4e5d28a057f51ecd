#!/usr/bin/env python3
"""Which share of the time of indexing does it take to make one index of eight that were built apart?

    python benches/adopt.py CORPUS.jsonl FOLDER --akin target/release/akin --parts 8 --rows 125000

Each part has texts of CORPUS, again and again with other ids and endings, under vectors that are made: `akin import` builds it as `akin index` does, but for
encoding. FOLDER needs 4 GB for a million vectors of 384 numbers. What encoding would take is reckoned from the rate with the first 4,000 texts.
"""

import argparse
import itertools
import json
import os
import shutil
import subprocess
import time
from pathlib import Path

import numpy as np


def run(*command):
    """The seconds that a program took, by the clock and of the processor, and what it printed."""
    before, begun = os.times(), time.perf_counter()
    printed = subprocess.run([str(part) for part in command], check=True, stdout=subprocess.PIPE, encoding="utf-8").stdout
    after = os.times()
    used = after.children_user + after.children_system - before.children_user - before.children_system
    return time.perf_counter() - begun, used, printed


def write_part(folder, number, rows, dimension, texts, centers):
    """The documents and vectors of one part."""
    random = np.random.default_rng(number)
    vectors = centers[random.integers(len(centers), size=rows)] + 0.7 * random.standard_normal((rows, dimension), dtype=np.float32) / dimension**0.5
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    np.save(folder / "vectors.npy", vectors)
    with open(folder / "documents.jsonl", "w", encoding="utf-8") as out:
        for row in range(rows):
            at = number * rows + row
            out.write(json.dumps({"id": str(at), "text": f"{texts[at % len(texts)]} ({at // len(texts)})"}) + "\n")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("corpus", type=Path)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--akin", default="akin")
    parser.add_argument("--parts", type=int, default=8)
    parser.add_argument("--rows", type=int, default=125_000)
    parser.add_argument("--dimension", type=int, default=384)
    parser.add_argument("--precision", default="int8")
    arguments = parser.parse_args()
    folder, akin = arguments.folder, arguments.akin
    folder.mkdir(parents=True, exist_ok=True)
    with open(arguments.corpus, encoding="utf-8") as lines:
        texts = [json.loads(line)["text"] for line in lines]
    centers = np.random.default_rng(99).standard_normal((2000, arguments.dimension), dtype=np.float32) / arguments.dimension**0.5
    building = np.zeros(2)
    parts = [folder / f"part-{number}" for number in range(arguments.parts)]
    for number, part in enumerate(parts):
        shutil.rmtree(part, ignore_errors=True)
        write_part(folder, number, arguments.rows, arguments.dimension, texts, centers)
        building += run(akin, "import", part, "--vectors", folder / "vectors.npy", "--documents", folder / "documents.jsonl", "--quiet")[:2]
    some = folder / "some.jsonl"
    with open(folder / "documents.jsonl", encoding="utf-8") as lines:
        some.write_text("".join(itertools.islice(lines, 4000)), encoding="utf-8")
    encoding = np.array(run(akin, "encode", some, "--output", folder / "vectors.npy", "--precision", arguments.precision, "--quiet")[:2])
    count = arguments.parts * arguments.rows
    encoding *= count / min(4000, arguments.rows)
    whole = folder / "whole"
    for how in (), ("--copy",):
        shutil.rmtree(whole, ignore_errors=True)
        seconds, used, _ = run(akin, "adopt", whole, *parts, "--quiet", *how)
        print(f"adopt {' '.join(how)}: {seconds:.2f} s, {used:.2f} s of processor")
        print(f"  beside import ({building[0]:.0f} s, {building[1]:.0f} s of processor): {seconds / building[0]:.4f}, {used / building[1]:.5f}")
        both = building + encoding
        print(f"  beside encoding as reckoned ({encoding[0]:.0f} s, {encoding[1]:.0f} s of processor) and import: {seconds / both[0]:.4f}, {used / both[1]:.5f}")
        verified = run(akin, "verify", whole)
        print(f"  {verified[2].strip()}")
    os.remove(folder / "vectors.npy")


if __name__ == "__main__":
    main()
