#!/usr/bin/env python3
"""How many sentences a second does `akin encode` take on a GPU, beside the processor and beside sentence-transformers on that GPU?

    cargo build --release --features cuda
    python benches/gpu.py target/release/akin CORPUS.jsonl --device cuda

CORPUS is a file of JSON lines with a text each, as `fixtures/fetch-wordnet` leaves it. A rate is that of the later texts: what the program takes
for all of them less what it takes for the first ones, so that loading the model and compiling kernels do not count. The contenders take turns; a
ratio is the median of the rounds. The vectors of the GPU are compared with those of the processor. Needs NumPy; sentence-transformers and PyTorch where
they are to be beside.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time


def seconds(call):
    begun = time.perf_counter()
    call()
    return time.perf_counter() - begun


class Program:
    """`akin encode` on a device."""

    def __init__(self, options, device, folder):
        self.command = [options.akin, "encode", "--model", options.model, "--device", device, "--quiet"]
        self.folder, self.name = folder, f"akin --device {device}"
        self.file = os.path.join(folder, device.replace(":", "-"))

    def run(self, texts):
        corpus, output = self.file + ".jsonl", self.file + ".npy"
        with open(corpus, "w", encoding="utf-8") as lines:
            lines.writelines(json.dumps({"text": text}) + "\n" for text in texts)
        return subprocess.run([*self.command, corpus, "--output", output], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)

    def refusal(self):
        """What it says where it cannot compute on the device; None where it can."""
        done = self.run(["a text"])
        return done.stderr.strip() if done.returncode else None

    def time(self, texts):
        done = []
        taken = seconds(lambda: done.append(self.run(texts)))
        if done[0].returncode:
            sys.exit(f"{self.name} failed: {done[0].stderr.strip()}")
        return taken

    def rate(self, first, later):
        return len(later) / (self.time(first + later) - self.time(first))

    def vectors(self):
        import numpy as np

        return np.load(self.file + ".npy")


class SentenceTransformers:
    """`SentenceTransformer.encode` in f32, with batches that are large enough for a GPU."""

    def __init__(self, options, device):
        from sentence_transformers import SentenceTransformer

        self.model, self.batch = SentenceTransformer(options.model, device=device), options.batch
        self.name = f"sentence-transformers on {device}"

    def rate(self, first, later):
        self.model.encode(first, batch_size=self.batch)
        return len(later) / seconds(lambda: self.model.encode(later, batch_size=self.batch))


def peer(options):
    """sentence-transformers on the same device; None, and why is said, where it cannot be had."""
    try:
        import torch

        if options.device.startswith("cuda") and torch.cuda.is_available():
            return SentenceTransformers(options, options.device)
        print(f"PyTorch has no device {options.device} here: sentence-transformers is left out")
    except ImportError as error:
        print(f"sentence-transformers is left out: {error}")
    return None


def least_cosine(one, other):
    import numpy as np

    lengths = np.linalg.norm(one, axis=1) * np.linalg.norm(other, axis=1)
    return float(((one * other).sum(axis=1) / lengths).min())


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("akin", help="the program, built with the feature of the device")
    parser.add_argument("corpus")
    parser.add_argument("--device", default="cuda", help="cuda, wgpu, or one of several as in cuda:1")
    parser.add_argument("--model", default="all-MiniLM-L6-v2", help="its directory or hub id")
    parser.add_argument("--first", type=int, default=2000, help="texts that warm up")
    parser.add_argument("--texts", type=int, default=20000, help="texts that count")
    parser.add_argument("--batch", type=int, default=256, help="texts in a batch of sentence-transformers")
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    with open(options.corpus, encoding="utf-8") as lines:
        texts = [json.loads(line)["text"] for _, line in zip(range(options.first + options.texts), lines)]
    first, later = texts[: options.first], texts[options.first :]
    if not later:
        sys.exit(f"{options.corpus} has {len(texts)} texts, and {options.first} of them only warm up: name a larger corpus, or fewer with --first")
    with tempfile.TemporaryDirectory() as folder:
        gpu, processor = Program(options, options.device, folder), Program(options, "cpu", folder)
        said = gpu.refusal()
        if said is not None:
            print(f"no device {options.device} is at hand, and nothing was measured: {said}")
            return
        contenders = [contender for contender in (gpu, processor, peer(options)) if contender is not None]
        rates = {contender.name: [] for contender in contenders}
        for _ in range(options.rounds):
            for contender in contenders:
                rates[contender.name].append(contender.rate(first, later))
        print(f"{len(later):,} texts after {len(first):,}, {options.rounds} rounds, {options.model}, f32")
        for name, found in rates.items():
            ratio = statistics.median(ours / theirs for ours, theirs in zip(rates[gpu.name], found))
            print(f"{name:32} {statistics.median(found):10,.1f} sentences/s   {gpu.name} / this: {ratio:.2f}")
        # The last run of either was of the first texts.
        print(f"cosine of the vectors of both devices: {least_cosine(gpu.vectors(), processor.vectors()):.7f} at least")


if __name__ == "__main__":
    main()
