"""How many sentences a second do servers of embeddings answer, with 64 clients of one sentence each?

serving.py AKIN INFINITY MODEL ONNX_MODEL CORPUS.jsonl [--rounds 3] [--seconds 10]

AKIN and INFINITY are programs, MODEL is the directory of all-MiniLM-L6-v2, ONNX_MODEL the same with onnx/model.onnx (and, if it is
there, onnx/model_quantized.onnx), CORPUS lines of JSON with `text`. wrk sends POST /v1/embeddings over 64 connections, each server in
its turn, several rounds; the median of each and its ratio to ours are printed.
"""

import argparse
import http.client
import json
import os
import random
import re
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

CLIENTS = 64


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def ask(port, text):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    body = json.dumps({"model": "all-MiniLM-L6-v2", "input": text})
    connection.request("POST", "/v1/embeddings", body, {"Content-Type": "application/json"})
    answer = connection.getresponse()
    vector = json.loads(answer.read())["data"][0]["embedding"]
    connection.close()
    return vector


def cosine(a, b):
    length = lambda v: sum(x * x for x in v) ** 0.5
    return sum(x * y for x, y in zip(a, b)) / length(a) / length(b)


class Serving:
    """A server that runs, warm."""

    def __init__(self, command, texts):
        self.port = free_port()
        self.child = subprocess.Popen([part.replace("PORT", str(self.port)) for part in command],
                                      env={**os.environ, "HF_HUB_OFFLINE": "1", "INFINITY_BETTERTRANSFORMER": "false"},
                                      stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        end = time.monotonic() + 180
        while True:
            try:
                self.vectors = [ask(self.port, text) for text in texts]
                return
            except (OSError, ValueError, KeyError, http.client.HTTPException):
                if self.child.poll() is not None or time.monotonic() > end:
                    self.stop()
                    raise SystemExit(f"this does not serve: {' '.join(command)}")
                time.sleep(0.5)

    def stop(self):
        self.child.terminate()
        self.child.wait()


def load(port, script, seconds):
    command = ["wrk", "-t1", f"-c{CLIENTS}", f"-d{seconds}s", "--timeout", "60s", "-s", str(script), f"http://127.0.0.1:{port}/v1/embeddings"]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    if "Non-2xx" in said or "Socket errors" in said:
        raise SystemExit(said)
    return float(re.search(r"Requests/sec:\s+([\d.]+)", said)[1])


def main():
    parser = argparse.ArgumentParser()
    for name in ("akin", "infinity", "model", "onnx_model", "corpus"):
        parser.add_argument(name)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=int, default=10)
    options = parser.parse_args()
    ours = lambda precision: [options.akin, "serve", "--model", options.model, "--precision", precision, "--listen", "127.0.0.1:PORT"]
    theirs = lambda engine, model: [options.infinity, "v2", "--model-id", model, "--engine", engine, "--device", "cpu", "--port", "PORT",
                                    "--host", "127.0.0.1", "--url-prefix", "/v1", "--served-model-name", "all-MiniLM-L6-v2",
                                    "--batch-size", "64", "--pooling-method", "mean"]
    servers = {
        "Akin int8": ours("int8"),
        "Akin f32": ours("f32"),
        "infinity, ONNX Runtime": theirs("optimum", options.onnx_model),
        "infinity, PyTorch": theirs("torch", options.model),
    }
    with open(options.corpus, encoding="utf-8") as lines:
        texts = [json.loads(line)["text"] for line, _ in zip(lines, range(20_000))]
    random.Random(1).shuffle(texts)
    texts = texts[:5000]
    rates, first = {name: [] for name in servers}, None
    with tempfile.TemporaryDirectory() as folder:
        script = Path(folder) / "load.lua"
        bodies = "\n".join(json.dumps({"model": "all-MiniLM-L6-v2", "input": text}) for text in texts)
        (Path(folder) / "bodies").write_text(bodies, encoding="utf-8")
        script.write_text(
            f'local bodies = {{}}\nfor line in io.lines("{folder}/bodies") do bodies[#bodies + 1] = line end\n'
            'local at = 0\nwrk.method = "POST"\nwrk.headers["Content-Type"] = "application/json"\n'
            "function request() at = at % #bodies + 1 return wrk.format(nil, nil, nil, bodies[at]) end\n"
        )
        for turn in range(options.rounds):
            for name, command in list(servers.items()):
                try:
                    serving = Serving(command, texts[:5])
                except SystemExit as error:
                    print(f"{name} is left out: {error}", file=sys.stderr)
                    del servers[name]
                    continue
                first = first or serving.vectors
                if turn == 0:
                    print(f"{name}: least cosine with the first {min(map(cosine, serving.vectors, first)):.4f}", flush=True)
                load(serving.port, script, 3)
                rates[name].append(load(serving.port, script, options.seconds))
                serving.stop()
                print(f"round {turn + 1}: {name} {rates[name][-1]:.0f} sentences a second", flush=True)
    best = {kind: statistics.median(rates[f"Akin {kind}"]) for kind in ("int8", "f32")}
    for name, found in rates.items():
        if found:
            middle = statistics.median(found)
            ratios = ", ".join(f"Akin {kind} / this {rate / middle:.2f}" for kind, rate in best.items())
            print(f"{name}: median {middle:.0f} of {len(found)} rounds ({min(found):.0f} to {max(found):.0f}); {ratios}")


main()
