#!/usr/bin/env python3
"""Makes pairs of an English sentence and its translation, to distil a model over, of the STS benchmark in several languages.

    translations.py DATA LANGUAGE FOLDER

DATA is the folder `data` of stsb-multi-mt (by PhilipMay, on GitHub), LANGUAGE one of its languages, such as zh.
Writes talks.tsv, of the training split without any sentence that is in the development or test split in either language,
and dev.tsv and test.tsv, the other splits with their scores.
"""

import csv
import sys
from pathlib import Path


def rows(data, language, split):
    with open(data / f"stsb-{language}-{split}.csv", encoding="utf-8", newline="") as file:
        return [[" ".join(text.split()) for text in row] for row in csv.reader(file)]


def write(path, header, lines):
    content = "".join("\t".join(line) + "\n" for line in [header, *lines])
    path.write_text(content, encoding="utf-8")


def main():
    if len(sys.argv) != 4:
        sys.exit(__doc__)
    data, language, folder = Path(sys.argv[1]), sys.argv[2], Path(sys.argv[3])
    held_out = {
        text.lower()
        for split in ("dev", "test")
        for spoken in ("en", language)
        for row in rows(data, spoken, split)
        for text in row[:2]
    }
    english, translated = rows(data, "en", "train"), rows(data, language, "train")
    pairs = {
        pair: None
        for rows_of_both in zip(english, translated, strict=True)
        for pair in list(zip(*rows_of_both))[:2]
        if not any(text.lower() in held_out for text in pair)
    }
    folder.mkdir(parents=True, exist_ok=True)
    write(folder / "talks.tsv", ["english", "non_english"], pairs)
    for split in ("dev", "test"):
        scored = ([score, *texts] for *texts, score in rows(data, language, split))
        write(folder / f"{split}.tsv", ["score", "sentence1", "sentence2"], scored)
    print(f"{len(pairs)} pairs, of {2 * len(english)} sentences of the training split")


if __name__ == "__main__":
    main()
