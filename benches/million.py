#!/usr/bin/env python3
"""Writes many real sentences, a JSON object a line, for figures of an index of a million.

    python3 benches/million.py million.jsonl            # 1,001,000 sentences: an index and queries that are not in it
    python3 benches/million.py some.jsonl --count 5000  # fewer, from fewer packages

They are the sentences of dictionaries, manuals and references in Debian's packages, which apt-get downloads into a
temporary folder, one after another until there are enough: some 80 MB and two minutes. Which they are depends on the
versions of the packages; within one set of versions every run writes the same file. No sentence comes twice, and one
without Latin letters does not come.
"""

import argparse
import gzip
import hashlib
import html
import json
import os
import random
import re
import shutil
import subprocess
import sys
import tempfile
import zlib

PACKAGES = """
    dict-gcide openjdk-17-doc python3.11-doc perl-doc gnome-user-docs vim-doc postgresql-doc-15 apache2-doc
    libboost1.74-doc erlang-manpages python-django-doc libreoffice-help-en-us dict-foldoc sqlite3-doc octave-doc
    manpages-dev python-pandas-doc manpages maxima-doc zsh-doc r-doc-html fortunes dict-jargon bash-doc
    debian-reference-en
""".split()

WORDS = range(5, 41)
MOST_CHARACTERS = 260
LEAST_LETTERS = 0.85
MOST_BYTES = 80_000_000

NO_TEXT = (".png", ".svg", ".svgz", ".js", ".css", ".jpg", ".gif", ".pdf", ".json", ".inv", ".woff", ".woff2", ".ttf", ".ico")
MARKUP = (".html", ".htm", ".xml", ".page", ".html.gz")

INVISIBLE = re.compile(r"<(script|style)[^>]*>.*?</\1>", re.S | re.I)
BLOCK = re.compile(r"</?(p|div|li|td|th|tr|h\d|pre|dd|dt|br|table|ul|ol|section|blockquote)\b[^>]*>", re.I)
TAG = re.compile(r"<[^>]+>")
ROFF_LINE = re.compile(r"^[.'].*$", re.M)
ROFF_ESCAPE = re.compile(r"\\f.|\\-|\\&|\\\(..")
PARAGRAPH = re.compile(r"\n\s*\n")
SENTENCE = re.compile(r'(?<=[.!?])\s+(?=[A-Z"“(])')


def unpacked(package, folder):
    """The folder into which the package was downloaded and unpacked; None, and why is said, if apt-get has none."""
    download = subprocess.run(["apt-get", "download", "-q", package], cwd=folder, capture_output=True, text=True)
    if download.returncode:
        why = (download.stderr.strip() or "apt-get download failed").splitlines()[-1]
        print(f"{package}: left out: {why}", file=sys.stderr)
        return None
    archive = next(name for name in os.listdir(folder) if name.endswith(".deb"))
    files = os.path.join(folder, "files")
    subprocess.run(["dpkg-deb", "-x", os.path.join(folder, archive), files], check=True)
    return files


def text_of(path):
    """The text of a file without its markup; None if it has none."""
    if os.path.islink(path) or path.endswith(NO_TEXT):
        return None
    try:
        with open(path, "rb") as file:
            data = file.read(MOST_BYTES)
        if path.endswith((".gz", ".dz")):
            data = gzip.decompress(data)
    except (OSError, EOFError, zlib.error):
        return None
    text = data.decode("utf-8", "ignore")
    if "\0" in text[:1000]:
        return None
    if path.endswith(MARKUP) or "<html" in text[:500].lower():
        return html.unescape(TAG.sub("", BLOCK.sub("\n\n", INVISIBLE.sub(" ", text))))
    if "/man/" in path:
        return ROFF_ESCAPE.sub("", ROFF_LINE.sub("\n", text))
    return text


def sentences_of(text):
    for paragraph in PARAGRAPH.split(text):
        for sentence in SENTENCE.split(paragraph):
            words = sentence.split()
            sentence = " ".join(words)
            letters = sum(character.isalpha() or character == " " for character in sentence)
            if len(words) in WORDS and len(sentence) <= MOST_CHARACTERS and letters >= LEAST_LETTERS * len(sentence):
                yield sentence


def collect(count):
    """At least `count` different sentences, if the packages have as many."""
    seen, sentences = set(), []
    for package in PACKAGES:
        with tempfile.TemporaryDirectory() as folder:
            files = unpacked(package, folder)
            if files is None:
                continue
            for path in sorted(os.path.join(root, name) for root, _, names in os.walk(files) for name in names):
                for sentence in sentences_of(text_of(path) or ""):
                    letters = re.sub(r"[^a-z]", "", sentence.lower())
                    key = hashlib.blake2b(letters.encode(), digest_size=8).digest()
                    if letters and key not in seen:
                        seen.add(key)
                        sentences.append(sentence)
        print(f"{package}: {len(sentences):,} sentences", file=sys.stderr)
        if len(sentences) >= count:
            break
    return sentences


def write(output, count):
    sentences = collect(count)
    if len(sentences) < count:
        sys.exit(f"only {len(sentences):,} sentences of {count:,}: run apt-get update, or ask for fewer")
    random.Random(7).shuffle(sentences)
    for number, sentence in enumerate(sentences[:count]):
        output.write(json.dumps({"id": str(number), "text": sentence}) + "\n")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("output")
    parser.add_argument("--count", type=int, default=1_001_000)
    arguments = parser.parse_args()
    if not shutil.which("apt-get"):
        sys.exit("apt-get is missing: the sentences are those of Debian's packages")
    try:
        output = open(arguments.output, "w", encoding="utf-8")
    except OSError as error:
        sys.exit(f"cannot write {arguments.output}: {error.strerror}")
    with output:
        write(output, arguments.count)


if __name__ == "__main__":
    main()
