#!/usr/bin/env python3
"""How many steps of training by multiple negatives ranking a second do `akin train` and sentence-transformers take?

    pip install sentence-transformers
    python benches/peers/ranking.py AKIN MODEL PAIRS.tsv [--batch 64] [--steps 20] [--threads 2] [--rounds 3]

Both train the model in the folder MODEL on the first two columns of PAIRS.tsv by turns: AdamW 2e-5, weight decay 0.01,
warm-up 10 %, clipping at 1, at most 128 tokens, dropout on, as many threads. sentence-transformers runs its loss and its
modules in a plain loop, without the cost of its trainer, each batch padded to its longest text; its first two steps warm
up and are not timed. Of both the time in steps counts: reading, tokenising the file and saving do not, except that
sentence-transformers tokenises in its steps, as it does in its trainer. The last lines have the ratios of the medians: of
steps a second; and of steps a second of processor time, which says more on a busy machine and less than is true, since
loading and saving count in Akin's.
"""

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time

# The model is a folder: a hub out of reach would be waited for.
os.environ.setdefault("HF_HUB_OFFLINE", "1")


def read_pairs(path, count):
    with open(path, encoding="utf-8") as file:
        rows = [line.rstrip("\n").split("\t")[:2] for line in file][1:]
    # No text twice in a batch: what is left out of ranking would make the work unequal.
    seen, pairs = set(), []
    for anchor, positive in rows:
        if anchor not in seen and positive not in seen:
            seen.update((anchor, positive))
            pairs.append((anchor, positive))
    if len(pairs) < count:
        sys.exit(f"{path} has {len(pairs)} pairs of different texts, and {count} are needed")
    return pairs[:count]


def akin(arguments, pairs):
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "pairs.tsv")
        with open(path, "w", encoding="utf-8") as file:
            file.writelines(f"{anchor}\t{positive}\n" for anchor, positive in [("anchor", "positive")] + pairs)
        command = [arguments.akin, "train", "--objective", "ranking", "--base", arguments.model, "--train", path,
                   "--batch-size", str(arguments.batch), "--max-tokens", "128", "--output",
                   os.path.join(folder, "out"), "--json"]
        environment = dict(os.environ, RAYON_NUM_THREADS=str(arguments.threads))
        before = children_seconds()
        run = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
        report = json.loads(run.stdout)
        return report["steps_per_second"], report["steps"] / (children_seconds() - before)


def children_seconds():
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def peer(arguments, pairs):
    import torch
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.losses import MultipleNegativesRankingLoss

    torch.manual_seed(42)
    torch.set_num_threads(arguments.threads)
    model = SentenceTransformer(arguments.model, device="cpu")
    model.max_seq_length = 128
    model.train()
    loss_of = MultipleNegativesRankingLoss(model)
    decayed = lambda name: "bias" not in name and "LayerNorm" not in name
    named = list(model.named_parameters())
    optimizer = torch.optim.AdamW([
        {"params": [p for n, p in named if decayed(n)], "weight_decay": 0.01},
        {"params": [p for n, p in named if not decayed(n)], "weight_decay": 0.0}], lr=2e-5)
    preprocess = getattr(model, "preprocess", None) or model.tokenize

    def step(batch):
        features = [preprocess(list(side)) for side in zip(*batch)]
        loss = loss_of(features, torch.zeros(len(batch)))
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()

    batches = [pairs[first:first + arguments.batch] for first in range(0, len(pairs), arguments.batch)]
    for batch in batches[:2]:
        step(batch)
    begun, processor = time.perf_counter(), time.process_time()
    for batch in batches:
        step(batch)
    return len(batches) / (time.perf_counter() - begun), len(batches) / (time.process_time() - processor)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("akin")
    parser.add_argument("model")
    parser.add_argument("pairs")
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    pairs = read_pairs(arguments.pairs, arguments.batch * arguments.steps)
    rates = {"akin": [], "sentence-transformers": []}
    for _ in range(arguments.rounds):
        rates["akin"].append(akin(arguments, pairs))
        rates["sentence-transformers"].append(peer(arguments, pairs))
    for place, unit in enumerate(("a second", "a second of processor time")):
        medians = []
        for name, own in rates.items():
            own = [rate[place] for rate in own]
            print(f"{name}: {', '.join(f'{rate:.3f}' for rate in own)} steps {unit}")
            medians.append(statistics.median(own))
        print(f"ratio {medians[0] / medians[1]:.2f} of steps {unit}, batch {arguments.batch}, {arguments.steps} steps, "
              f"{arguments.threads} threads")


if __name__ == "__main__":
    main()
