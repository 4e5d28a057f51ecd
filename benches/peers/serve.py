"""The peers behind a pipe: the bench writes a line of JSON, and reads one back.

serve.py MODEL ONNX_FOLDER THREADS

    {"do": "peers"}                               → {"peers": [{"name", "precision", "seconds"}…], "absent": {name: why}}
    {"do": "texts", "set": "glosses", "texts": […]} → {}
    {"do": "encode", "peer": …, "set": …}         → {"seconds": s}           all texts, batched as suits the peer
    {"do": "latency", "peer": …, "set": …}        → {"seconds": [s…]}        one text at a time
    {"do": "vectors", "peer": …, "set": …}        → {"vectors": [[x…]…]}

Text goes in and a vector of length 1 comes out, so tokenising and pooling are in every time. `seconds` of a peer is
from having its library imported to its first embedding.
"""

import json
import os
import sys
import time
from pathlib import Path

MODEL, FOLDER, THREADS = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
os.environ["RAYON_NUM_THREADS"] = str(THREADS)
os.environ["TOKENIZERS_PARALLELISM"] = "true"
os.environ["HF_HUB_OFFLINE"] = "1"

import numpy as np
import onnxruntime
import openvino
import torch
from sentence_transformers import SentenceTransformer
from tokenizers import Tokenizer

# Larger batches are no faster here: they leave the cache.
BATCH = 32


def length_one(vectors):
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


class OnnxPeer:
    """Anything that turns token ids and a mask into hidden states: the rest is the same for all."""

    def __init__(self):
        self.tokenizer = Tokenizer.from_file(str(MODEL / "tokenizer.json"))
        self.tokenizer.no_padding()
        limit = json.loads((MODEL / "sentence_bert_config.json").read_text())["max_seq_length"]
        self.tokenizer.enable_truncation(limit)

    def hidden(self, ids, mask):
        raise NotImplementedError

    def embed(self, sentences):
        longest = max(map(len, sentences))
        ids = np.zeros((len(sentences), longest), np.int64)
        mask = np.zeros_like(ids)
        for row, sentence in enumerate(sentences):
            ids[row, : len(sentence)] = sentence
            mask[row, : len(sentence)] = 1
        return self.pool(self.hidden(ids, mask), mask)

    def pool(self, hidden, mask):
        weights = mask.astype(np.float32) / mask.sum(1, keepdims=True)
        # One product instead of a masked sum: the fastest pooling that NumPy has.
        return length_one(np.matmul(weights[:, None, :], hidden)[:, 0])

    def encode(self, texts):
        sentences = [encoding.ids for encoding in self.tokenizer.encode_batch(texts)]
        order = sorted(range(len(texts)), key=lambda row: -len(sentences[row]))
        vectors = np.empty((len(texts), 384), np.float32)
        for start in range(0, len(order), BATCH):
            rows = order[start : start + BATCH]
            vectors[rows] = self.embed([sentences[row] for row in rows])
        return vectors

    def encode_one(self, text):
        return self.embed([self.tokenizer.encode(text).ids])


class OnnxRuntime(OnnxPeer):
    def __init__(self, file):
        super().__init__()
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = THREADS
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
        self.session = onnxruntime.InferenceSession(
            str(FOLDER / file), options, providers=["CPUExecutionProvider"]
        )

    def hidden(self, ids, mask):
        return self.session.run(None, {"input_ids": ids, "attention_mask": mask})[0]


class OpenVino(OnnxPeer):
    def __init__(self, file, precision):
        super().__init__()
        core = openvino.Core()
        if precision == "bf16" and "BF16" not in core.get_property("CPU", "OPTIMIZATION_CAPABILITIES"):
            raise RuntimeError("this processor does not multiply bf16")
        settings = {
            "INFERENCE_NUM_THREADS": THREADS,
            "INFERENCE_PRECISION_HINT": precision,
            "PERFORMANCE_HINT": "LATENCY",
        }
        self.model = core.compile_model(str(FOLDER / file), "CPU", settings)
        self.request = self.model.create_infer_request()

    def hidden(self, ids, mask):
        return self.request.infer({"input_ids": ids, "attention_mask": mask}, share_inputs=True)[0]


class SentenceTransformers:
    def __init__(self):
        torch.set_num_threads(THREADS)
        self.model = SentenceTransformer(str(MODEL), device="cpu")

    def encode(self, texts):
        return self.model.encode(texts, batch_size=BATCH, normalize_embeddings=True, show_progress_bar=False)

    def encode_one(self, text):
        return self.encode([text])


CANDIDATES = [
    ("ONNX Runtime f32", "f32", lambda: OnnxRuntime("f32.onnx")),
    ("ONNX Runtime int8", "int8", lambda: OnnxRuntime("int8.onnx")),
    ("OpenVINO f32", "f32", lambda: OpenVino("f32.onnx", "f32")),
    ("OpenVINO bf16", "bf16", lambda: OpenVino("f32.onnx", "bf16")),
    ("OpenVINO int8", "int8", lambda: OpenVino("int8.xml", "f32")),
    ("sentence-transformers", "f32", SentenceTransformers),
]


def load_all(only):
    peers, loaded, absent = {}, [], {}
    for name, precision, load in CANDIDATES:
        if only and not any(part.lower() in name.lower() for part in only):
            continue
        try:
            start = time.perf_counter()
            peer = load()
            peer.encode_one("hello, world")
            seconds = time.perf_counter() - start
        except RuntimeError as error:
            absent[name] = str(error).splitlines()[0]
            continue
        peers[name] = peer
        loaded.append({"name": name, "precision": precision, "seconds": seconds})
    return peers, {"peers": loaded, "absent": absent}


def timed(call):
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def main():
    # Libraries print to stdout as they please: answers have a channel of their own.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    peers, sets = {}, {}
    for line in sys.stdin:
        request = json.loads(line)
        peer, texts = peers.get(request.get("peer")), sets.get(request.get("set"))
        match request["do"]:
            case "peers":
                peers, answer = load_all(request["only"])
            case "texts":
                sets[request["set"]] = request["texts"]
                answer = {}
            case "encode":
                answer = {"seconds": timed(lambda: peer.encode(texts))}
            case "latency":
                answer = {"seconds": [timed(lambda: peer.encode_one(text)) for text in texts]}
            case "vectors":
                answer = {"vectors": peer.encode(texts).tolist()}
        answers.write(json.dumps(answer) + "\n")
        answers.flush()


main()
