#!/usr/bin/env python3
"""What sentence-transformers makes of a model that Akin trained, or of one that it wrote itself.

    pip install sentence-transformers
    trainer/reference/embeddings.py MODEL SENTENCES OUT.npy [--rewrite DIR]

SENTENCES is text or, named .jsonl, an object with a text a line. With --rewrite the model is also saved again by sentence-transformers, for Akin to read.
"""

import json
import sys

import numpy as np
from sentence_transformers import SentenceTransformer


def main():
    model, sentences, output, *rewrite = sys.argv[1:]
    encoder = SentenceTransformer(model, device="cpu")
    lines = open(sentences, encoding="utf-8").read().split("\n")[:-1]
    texts = [json.loads(line)["text"] for line in lines] if sentences.endswith(".jsonl") else lines
    np.save(output, encoder.encode(texts, batch_size=1, show_progress_bar=False).astype("<f4"))
    if rewrite:
        encoder.save(rewrite[1])


if __name__ == "__main__":
    main()
