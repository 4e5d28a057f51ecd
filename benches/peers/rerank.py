"""How long it takes to rank 50 passages of 100 tokens again: `akin query --rerank` beside ONNX Runtime.

    ~/.cache/akin-peers/venv/bin/python benches/peers/rerank.py AKIN MODEL [THREADS] [ROUNDS] [FOLDER]

AKIN is the program, MODEL the folder of all-MiniLM-L6-v2, whose network gets a head of random numbers: times do not
depend on the weights. Both are given the same texts, and tokenising is in both times. ONNX Runtime gets what is the
fastest of its ways here: precision, per-channel weights, pairs together or one at a time. The two take turns.
"""

import json
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path
from statistics import median

AKIN, MODEL = sys.argv[1], Path(sys.argv[2])
THREADS, ROUNDS = (int(number) for number in (sys.argv[3:5] + ["2", "15"][len(sys.argv[3:5]):]))
FOLDER = Path(sys.argv[5] if len(sys.argv) > 5 else "rerank-bench").absolute()
os.environ |= {"RAYON_NUM_THREADS": str(THREADS), "TOKENIZERS_PARALLELISM": "true", "HF_HUB_OFFLINE": "1"}

import numpy as np
import onnxruntime
import torch
from onnxruntime.quantization import QuantType, quantize_dynamic
from tokenizers import Tokenizer
from transformers import AutoModelForSequenceClassification

PASSAGES, TOKENS, QUESTION = 50, 100, "how long does it take to rank some passages again"
NAMES = ["input_ids", "attention_mask", "token_type_ids"]
WORDS = "river winter engine letter garden market doctor window silver bridge".split()


class Logits(torch.nn.Module):
    def __init__(self, network):
        super().__init__()
        self.network = network

    def forward(self, input_ids, attention_mask, token_type_ids):
        return self.network(input_ids, attention_mask, token_type_ids).logits


def write_models():
    torch.manual_seed(1)
    network = AutoModelForSequenceClassification.from_pretrained(MODEL, num_labels=1, attn_implementation="eager").eval()
    network.save_pretrained(FOLDER / "model")
    for name in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copy(MODEL / name, FOLDER / "model")
    ids = torch.tensor([[101, 7592, 2088, 102], [101, 7592, 102, 0]])
    axes = {name: {0: "pairs", 1: "tokens"} for name in NAMES} | {"logits": {0: "pairs"}}
    torch.onnx.export(Logits(network), (ids, (ids > 0).long(), torch.zeros_like(ids)), FOLDER / "f32.onnx",
                      input_names=NAMES, output_names=["logits"], dynamic_axes=axes, opset_version=17, dynamo=False)
    for channels in (False, True):
        quantize_dynamic(FOLDER / "f32.onnx", FOLDER / f"int8-{'channels' if channels else 'tensors'}.onnx",
                         per_channel=channels, weight_type=QuantType.QInt8)


def passages():
    """Each has 100 tokens, and no two are equal."""
    return [" ".join(WORDS[(row * 7 + at * (1 + row % 9)) % len(WORDS)] for at in range(TOKENS)) for row in range(PASSAGES)]


def write_index(texts):
    lines = [json.dumps({"id": str(row), "text": text}) for row, text in enumerate(texts)]
    (FOLDER / "passages.jsonl").write_text("\n".join(lines) + "\n")
    subprocess.run([AKIN, "index", FOLDER / "index", FOLDER / "passages.jsonl", "--model", MODEL], check=True,
                   capture_output=True)


class Akin:
    """A session that is asked again and again, and says how long each ranking took."""

    def __init__(self, precision):
        command = [AKIN, "query", FOLDER / "index", "--rerank", FOLDER / "model", "--precision", precision, "--json",
                   "--verbose", "-k", str(PASSAGES), "--threads", str(THREADS)]
        self.session = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                        text=True)

    def rank(self):
        self.session.stdin.write(QUESTION + "\n")
        self.session.stdin.flush()
        answer = json.loads(self.session.stdout.readline())
        assert len(answer["hits"]) == PASSAGES
        while True:
            line = self.session.stderr.readline()
            if found := re.search(r"ranked \d+ passages again in ([\d.]+)(ms|s)\b", line):
                return float(found[1]) / (1000 if found[2] == "ms" else 1)


class OnnxRuntime:
    def __init__(self, file, texts, batch):
        self.texts, self.batch = texts, batch
        self.tokenizer = Tokenizer.from_file(str(FOLDER / "model" / "tokenizer.json"))
        self.tokenizer.enable_padding()
        self.tokenizer.enable_truncation(512)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = THREADS
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
        self.session = onnxruntime.InferenceSession(str(FOLDER / file), options, providers=["CPUExecutionProvider"])

    def rank(self):
        start = time.perf_counter()
        pairs = self.tokenizer.encode_batch([(QUESTION, text) for text in self.texts])
        for first in range(0, len(pairs), self.batch):
            part = pairs[first : first + self.batch]
            arrays = [[getattr(pair, name) for pair in part] for name in ("ids", "attention_mask", "type_ids")]
            self.session.run(None, dict(zip(NAMES, (np.array(rows, np.int64) for rows in arrays))))
        return time.perf_counter() - start


def main():
    FOLDER.mkdir(parents=True, exist_ok=True)
    if not (FOLDER / "int8-channels.onnx").exists():
        write_models()
    texts = passages()
    if not (FOLDER / "index").exists():
        write_index(texts)
    ranks = {f"akin {precision}": Akin(precision) for precision in ("f32", "int8")}
    for file in ("f32", "int8-tensors", "int8-channels"):
        for batch in (1, 5, 10, PASSAGES):
            ranks[f"onnxruntime {file}, {batch} together"] = OnnxRuntime(f"{file}.onnx", texts, batch)
    times = {name: [] for name in ranks}
    for turn in range(ROUNDS + 2):
        for name, ranking in ranks.items():
            seconds = ranking.rank()
            if turn >= 2:
                times[name].append(seconds)
    ours = "akin int8"
    for name, seconds in times.items():
        ratios = sorted(a / b for a, b in zip(times[ours], seconds))
        print(f"{name:38} {1000 * median(seconds):7.1f} ms median {1000 * min(seconds):7.1f} ms least; akin int8 takes "
              f"{median(ratios):.2f} of it, {ratios[len(ratios) // 4]:.2f} to {ratios[3 * len(ratios) // 4]:.2f}")


main()
