"""How many texts a second does a model of any size take, beside ONNX Runtime and OpenVINO, all in f32?

models.py MODEL CORPUS.jsonl [--texts 200] [--tokens N] [--rounds 5] [--random LAYERSxWIDTH]

MODEL is a sentence-transformers directory, CORPUS lines of JSON with `text`. `--tokens N` joins texts of the corpus to texts of N tokens.
`--random 6x384` takes nothing but the tokenizer of MODEL, for a BERT of random weights that reads 8,192 tokens. Text goes in and a vector
of length 1 comes out, on both sides; everybody has all threads and takes turns. Printed are the medians of the rounds, by the clock and
in processor time, and how they relate to Akin's. Needs the wheel of Akin beside the packages of requirements.txt.
"""

import argparse
import json
import os
import statistics
import tempfile
import time
from pathlib import Path

os.environ["TOKENIZERS_PARALLELISM"] = "true"
os.environ["HF_HUB_OFFLINE"] = "1"

import akin
import numpy as np
import onnxruntime
import openvino
import torch
from export import export_f32
from tokenizers import Tokenizer
from transformers import AutoTokenizer, BertConfig, BertModel

THREADS = len(os.sched_getaffinity(0))
# Larger batches are no faster for the peers: they leave the cache.
BATCH = 32


def random_model(shape, tokenizer_of, folder):
    """A BERT of random weights, with mean pooling, that reads 8,192 tokens."""
    from sentence_transformers import SentenceTransformer, models

    layers, width = map(int, shape.split("x"))
    tokenizer = AutoTokenizer.from_pretrained(tokenizer_of)
    tokenizer.model_max_length = 8192
    config = BertConfig(vocab_size=len(tokenizer), hidden_size=width, num_hidden_layers=layers, num_attention_heads=width // 32,
                        intermediate_size=4 * width, max_position_embeddings=8192)
    if width >= 768:
        config.num_attention_heads = width // 64
    torch.manual_seed(1)
    BertModel(config).save_pretrained(folder / "network")
    tokenizer.save_pretrained(folder / "network")
    network = models.Transformer(str(folder / "network"), max_seq_length=8192)
    SentenceTransformer(modules=[network, models.Pooling(width)], device="cpu").save(str(folder / "model"))
    return folder / "model"


class Peer:
    """Anything that turns token ids and a mask into hidden states: the rest is the same for all."""

    def __init__(self, model, hidden):
        self.tokenizer = Tokenizer.from_file(str(model / "tokenizer.json"))
        self.tokenizer.no_padding()
        self.tokenizer.enable_truncation(json.loads((model / "sentence_bert_config.json").read_text()).get("max_seq_length", 8192))
        self.hidden = hidden

    def encode(self, texts):
        sentences = [encoding.ids for encoding in self.tokenizer.encode_batch(texts)]
        order = sorted(range(len(texts)), key=lambda row: -len(sentences[row]))
        vectors = [None] * len(texts)
        for start in range(0, len(order), BATCH):
            rows = order[start : start + BATCH]
            for row, vector in zip(rows, self.embed([sentences[row] for row in rows])):
                vectors[row] = vector
        return np.stack(vectors)

    def embed(self, sentences):
        ids = np.zeros((len(sentences), max(map(len, sentences))), np.int64)
        mask = np.zeros_like(ids)
        for row, sentence in enumerate(sentences):
            ids[row, : len(sentence)] = sentence
            mask[row, : len(sentence)] = 1
        weights = mask.astype(np.float32) / mask.sum(1, keepdims=True)
        vectors = np.matmul(weights[:, None, :], self.hidden(ids, mask))[:, 0]
        return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def onnx_runtime(file):
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = THREADS
    session = onnxruntime.InferenceSession(file, options, providers=["CPUExecutionProvider"])
    return lambda ids, mask: session.run(None, {"input_ids": ids, "attention_mask": mask})[0]


def open_vino(file):
    settings = {"INFERENCE_NUM_THREADS": THREADS, "INFERENCE_PRECISION_HINT": "f32", "PERFORMANCE_HINT": "LATENCY"}
    request = openvino.Core().compile_model(file, "CPU", settings).create_infer_request()
    return lambda ids, mask: request.infer({"input_ids": ids, "attention_mask": mask}, share_inputs=True)[0]


def texts_of(corpus, count, tokens, model):
    with open(corpus, encoding="utf-8") as lines:
        glosses = [json.loads(line)["text"] for line in lines]
    step = len(glosses) // (count + 1)
    if not tokens:
        return glosses[::step][:count]
    tokenizer = Tokenizer.from_file(str(model / "tokenizer.json"))
    tokenizer.no_padding()
    tokenizer.no_truncation()
    texts = []
    for row in range(count):
        joined = " ".join(glosses[row * step : row * step + tokens])
        encoding = tokenizer.encode(joined)
        texts.append(joined[: encoding.offsets[tokens - 2][1]])
    return texts


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("model", type=Path)
    parser.add_argument("corpus")
    parser.add_argument("--texts", type=int, default=200)
    parser.add_argument("--tokens", type=int)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--random")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        model = random_model(options.random, options.model, folder) if options.random else options.model
        export_f32(model, folder / "f32.onnx")
        texts = texts_of(options.corpus, options.texts, options.tokens, model)
        ours = {precision: akin.SentenceEncoder(str(model), precision=precision) for precision in ("f32", "int8")}
        contenders = {f"Akin {precision}": encoder.encode for precision, encoder in ours.items()}
        contenders["ONNX Runtime f32"] = Peer(model, onnx_runtime(str(folder / "f32.onnx"))).encode
        contenders["OpenVINO f32"] = Peer(model, open_vino(str(folder / "f32.onnx"))).encode
        expected = None
        for name, encode in contenders.items():
            vectors = np.asarray(encode(texts))
            vectors = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
            expected = vectors if expected is None else expected
            print(f"{name}: least cosine with Akin f32 {np.einsum('ij,ij->i', vectors, expected).min():.6f}", flush=True)
        wall, spent = {name: [] for name in contenders}, {name: [] for name in contenders}
        for _ in range(options.rounds):
            for name, encode in contenders.items():
                before, start = time.process_time(), time.perf_counter()
                encode(texts)
                wall[name].append(time.perf_counter() - start)
                spent[name].append(time.process_time() - before)
        median = lambda times: statistics.median(times)
        first = median(wall["Akin f32"]), median(spent["Akin f32"])
        for name in contenders:
            took, used = median(wall[name]), median(spent[name])
            print(f"{name}: {len(texts) / took:.1f} texts a second ({len(texts) / max(wall[name]):.1f} to {len(texts) / min(wall[name]):.1f}), "
                  f"{1e3 * used / len(texts):.2f} ms of processor time a text; time / Akin f32 {took / first[0]:.2f}, processor time {used / first[1]:.2f}")


main()
