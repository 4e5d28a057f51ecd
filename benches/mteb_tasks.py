#!/usr/bin/env python3
"""Does MTEB give Akin's vectors the scores that it gives those of sentence-transformers, and that `akin eval` gives?

    pip install akin 'mteb>=2'
    python benches/mteb_tasks.py DATA [TASK...] --akin target/release/akin [--torch]

The tasks are MTEB's own. Their data is read from files in the place of its hub: DATA has `stsb/test.tsv`, `sick/test.tsv`, `sts12/test.tsv` … with the
columns `score`, `sentence1` and `sentence2`, and `retrieval/scifact/` in BEIR's form.
"""

import argparse
import csv
import json
import os
import re
import subprocess
import time

import datasets
import mteb

import akin
from akin.mteb import AkinModel

STS = {"STSBenchmark": "stsb", "SICK-R": "sick", **{f"STS{year}": f"sts{year}" for year in range(12, 17)}}
RETRIEVAL = {"SciFact": "scifact"}


def rows(path, **columns):
    """The rows of a file of tab-separated values."""
    with open(path, encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE, **columns))


def records(path):
    with open(path, encoding="utf-8") as file:
        return [json.loads(line) for line in file]


def with_local_data(name, folder):
    """A task of MTEB that has its data already."""
    task = mteb.get_task(name, eval_splits=["test"])
    if name in STS:
        kept = ["score", "sentence1", "sentence2"]
        pairs = [[row[column] for column in kept] for row in rows(os.path.join(folder, STS[name], "test.tsv"))]
        test = {"score": [float(pair[0]) for pair in pairs], kept[1]: [pair[1] for pair in pairs], kept[2]: [pair[2] for pair in pairs]}
        task.dataset = datasets.DatasetDict(test=datasets.Dataset.from_dict(test))
    else:
        folder = os.path.join(folder, "retrieval", RETRIEVAL[name])
        relevant = {}
        for row in rows(os.path.join(folder, "qrels", "test.tsv")):
            relevant.setdefault(row["query-id"], {})[row["corpus-id"]] = int(row["score"])
        corpus = [
            {"id": one["_id"], "title": one.get("title", ""), "text": one["text"]} for one in records(os.path.join(folder, "corpus.jsonl"))
        ]
        queries = [{"id": one["_id"], "text": one["text"]} for one in records(os.path.join(folder, "queries.jsonl"))]
        split = {
            "corpus": datasets.Dataset.from_list(corpus),
            "queries": datasets.Dataset.from_list([query for query in queries if query["id"] in relevant]),
            "relevant_docs": relevant,
            "top_ranked": None,
        }
        task.dataset = {"default": {"test": split}}
    task.data_loaded = True
    return task


def by_program(program, name, folder, precision):
    """The figure of `akin eval`: Spearman of the cosine, or nDCG at 10 of the model alone, as MTEB computes it."""
    if name in STS:
        command = [program, "eval", "sts", os.path.join(folder, STS[name], "test.tsv")]
    else:
        command = [program, "eval", "retrieval", os.path.join(folder, "retrieval", RETRIEVAL[name])]
    said = subprocess.run([*command, "--precision", precision, "--quiet"], capture_output=True, text=True)
    return said.stdout.strip() or said.stderr.strip()


def score(model, name, folder):
    begun = time.monotonic()
    result = mteb.evaluate(model, with_local_data(name, folder), cache=None, show_progress_bar=False)
    return result.task_results[0].get_score(), time.monotonic() - begun


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("data")
    parser.add_argument("tasks", nargs="*", default=[*STS, *RETRIEVAL])
    parser.add_argument("--akin", help="the program, to compare with `akin eval`")
    parser.add_argument("--torch", action="store_true", help="whether to run sentence-transformers too")
    parser.add_argument("--precision", default="f32")
    options = parser.parse_intermixed_args()
    ours = AkinModel(precision=options.precision)
    print(f"{ours.mteb_model_meta.name} revision {ours.mteb_model_meta.revision[:12]}")
    theirs = None
    if options.torch:
        from sentence_transformers import SentenceTransformer

        theirs = SentenceTransformer(ours.encoder.directory, device="cpu")
    for name in options.tasks:
        found, seconds = score(ours, name, options.data)
        line = f"{name:13} akin {100 * found:.4f} in {seconds:.1f} s"
        if theirs is not None:
            found, seconds = score(theirs, name, options.data)
            line += f", sentence-transformers {100 * found:.4f} in {seconds:.1f} s"
        print(line, flush=True)
        if options.akin:
            print("    akin eval: " + re.sub(r"\s+", " ", by_program(options.akin, name, options.data, options.precision)), flush=True)


if __name__ == "__main__":
    main()
