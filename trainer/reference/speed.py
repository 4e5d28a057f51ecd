#!/usr/bin/env python3
"""Steps a second and memory of the same training in PyTorch, for `akin train --objective regression` to be held against.

    pip install sentence-transformers
    trainer/reference/speed.py MODEL TRAIN.tsv [--epochs 1] [--dev DEV.tsv] [--seed 42]

sentence-transformers' modules in a plain loop: AdamW 2e-5, weight decay 0.01, batch 16, warm-up 10 %, linear decay,
clipping at 1, at most 128 tokens, dropout on, each batch padded to its longest sentence.
"""

import argparse
import os
import random
import resource
import time

# The model is a folder: a hub out of reach would be waited for.
os.environ.setdefault("HF_HUB_OFFLINE", "1")

import torch
from sentence_transformers import SentenceTransformer


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("model")
    parser.add_argument("train")
    parser.add_argument("--epochs", type=int, default=1)
    parser.add_argument("--seed", type=int, default=42)
    arguments = parser.parse_args()
    torch.manual_seed(arguments.seed)
    random.seed(arguments.seed)
    model = SentenceTransformer(arguments.model, device="cpu")
    model.max_seq_length = 128
    model.train()
    lines = open(arguments.train, encoding="utf-8").read().splitlines()
    header = lines[0].split("\t")
    rows = [dict(zip(header, line.split("\t"))) for line in lines[1:]]
    steps = -(-len(rows) // 16) * arguments.epochs
    decayed = lambda name: "bias" not in name and "LayerNorm" not in name
    named = list(model.named_parameters())
    optimizer = torch.optim.AdamW([
        {"params": [p for n, p in named if decayed(n)], "weight_decay": 0.01},
        {"params": [p for n, p in named if not decayed(n)], "weight_decay": 0.0}], lr=2e-5)
    warmup = -(-steps // 10)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: step / warmup if step < warmup else (steps - step) / (steps - warmup))
    begun, losses = time.time(), []
    for _ in range(arguments.epochs):
        random.shuffle(rows)
        for first in range(0, len(rows), 16):
            batch = rows[first:first + 16]
            u, v = (model(model.tokenize([row[side] for row in batch]))["sentence_embedding"]
                    for side in ("sentence1", "sentence2"))
            scores = torch.tensor([float(row["score"]) / 5 for row in batch])
            loss = torch.nn.functional.mse_loss(torch.cosine_similarity(u, v), scores)
            optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            schedule.step()
            losses.append(loss.item())
    seconds = time.time() - begun
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3
    print(f"{steps} steps, {steps / seconds:.3f} a second, loss {sum(losses) / len(losses):.4f}, peak {peak:.0f} MB, "
          f"{torch.get_num_threads()} threads")


if __name__ == "__main__":
    main()
