"""Writes a sentence-transformers model in the forms that the peers read, each the fastest of its kind that we found:

    f32.onnx    as it is
    int8.onnx   quantised for ONNX Runtime: weights a channel, activations on the fly
    int8.xml    quantised for OpenVINO by NNCF: activations by what some hundred texts of CORPUS make of them

export.py MODEL CORPUS OUT
"""

import json
import sys
from itertools import islice
from pathlib import Path

import numpy as np
import openvino
import torch
from tokenizers import Tokenizer
from transformers import AutoModel

AXES = {0: "sentences", 1: "tokens"}


class TokenStates(torch.nn.Module):
    """Token ids and their mask to the last hidden states: pooling is the caller's."""

    def __init__(self, directory):
        super().__init__()
        self.network = AutoModel.from_pretrained(directory, attn_implementation="eager").eval()

    def forward(self, input_ids, attention_mask):
        return self.network(input_ids, attention_mask).last_hidden_state


def export_f32(model, path):
    ids = torch.tensor([[101, 7592, 2088, 102], [101, 7592, 102, 0]])
    torch.onnx.export(
        TokenStates(model),
        (ids, (ids > 0).long()),
        path,
        input_names=["input_ids", "attention_mask"],
        output_names=["hidden"],
        dynamic_axes={name: AXES for name in ("input_ids", "attention_mask", "hidden")},
        opset_version=17,
        dynamo=False,
    )


def calibrating(model, corpus):
    """Some hundred texts as the network reads them: NNCF looks at the activations that they make."""
    import nncf

    tokenizer = Tokenizer.from_file(f"{model}/tokenizer.json")
    tokenizer.no_padding()

    def feed(text):
        ids = np.array([tokenizer.encode(text).ids], np.int64)
        return {"input_ids": ids, "attention_mask": np.ones_like(ids)}

    with open(corpus, encoding="utf-8") as lines:
        texts = [json.loads(line)["text"] for line in islice(lines, 0, None, 391)]
    return nncf.Dataset(texts, feed)


def main(model, corpus, out):
    import nncf
    from onnxruntime.quantization import QuantType, quantize_dynamic

    out = Path(out)
    out.mkdir(parents=True, exist_ok=True)
    f32, int8, openvino_int8 = out / "f32.onnx", out / "int8.onnx", out / "int8.xml"
    if not f32.exists():
        export_f32(model, f32)
    if not int8.exists():
        quantize_dynamic(f32, int8, per_channel=True, weight_type=QuantType.QInt8)
    if not openvino_int8.exists():
        network = openvino.Core().read_model(f32)
        texts = calibrating(model, corpus)
        network = nncf.quantize(network, texts, model_type=nncf.ModelType.TRANSFORMER)
        openvino.save_model(network, openvino_int8, compress_to_fp16=False)


if __name__ == "__main__":
    main(*sys.argv[1:])
