"""Does a server lose what it acknowledged when it is killed, starved of disk and badly treated by its clients?

load.py AKIN [--seconds N] [--model M] [--corpus FILE.jsonl] [--disk FOLDER] [--kill-every SECONDS] [--calm PART]

Runs `akin serve --writable` over an index, with clients that query, write, delete, read slowly and go away midway. Every
few minutes the server is killed with SIGKILL and started again, and every document is compared with what was
acknowledged. With --disk, a folder on a small file system of its own, the disk is full at times, also when the
server is started. For the last part of
the time (--calm) there are no kills, and the memory of the server is watched. Prints one line of JSON; fails when
anything acknowledged was lost.

Only the standard library is used.
"""

import argparse
import json
import random
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

from clients import WORDS, Load
from server import Server, ask
from truth import Truth


class Disk:
    """Fills the file system of a folder, and empties it again."""

    def __init__(self, folder):
        self.ballast = folder / "ballast"

    def fill(self):
        with open(self.ballast, "wb", buffering=0) as file:
            for part in (1 << 20, 4096):
                try:
                    while True:
                        file.write(b"\xaa" * part)
                except OSError:
                    pass

    def empty(self):
        self.ballast.unlink(missing_ok=True)


def recovers(load):
    """How long after the disk has room again a write is acknowledged."""
    began = time.monotonic()
    random_ = random.Random(load.version)
    while time.monotonic() - began < 30:
        version = load.next_version()
        body = {"documents": [load.document(random_, "after/full", version)]}
        status, answer = ask(load.server.port, "POST", load.path("documents"), body)
        if status == 200:
            load.truth.acknowledged(["after/full"], version)
            return time.monotonic() - began
        load.truth.unanswered(["after/full"], version)
        time.sleep(0.2)
    load.wrong(f"30 s after the disk had room again: {status} {answer[:200]!r}")
    return None


def answers_without_room(load):
    """A server that was started on a full disk answers queries."""
    status, answer = ask(load.server.port, "POST", load.path("query"), {"text": load.texts[0], "k": 1})
    load.count("starts on a full disk")
    if status != 200:
        load.wrong(f"a query on a full disk: {status} {answer[:200]!r}")


def memory_growth(samples):
    """Anonymous memory at the end of the calm part over that at its begin, after a warm-up: medians of a tenth each."""
    anon = [sample["anon"] for sample in samples]
    part = max(1, len(anon) // 10)
    middle = lambda values: sorted(values)[len(values) // 2]
    warm = len(anon) // 5
    return middle(anon[warm : warm + part]), middle(anon[-part:])


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("akin")
    parser.add_argument("--seconds", type=float, default=30)
    parser.add_argument("--model")
    parser.add_argument("--corpus")
    parser.add_argument("--precision", default="int8")
    parser.add_argument("--disk", type=Path)
    parser.add_argument("--kill-every", type=float)
    parser.add_argument("--calm", type=float, default=0.25)
    parser.add_argument("--pause", type=float, default=0.05)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--quiet", action="store_true")
    options = parser.parse_args()
    kill_every = options.kill_every or max(5, min(150, options.seconds / 6))
    folder = Path(tempfile.mkdtemp(prefix="load-", dir=options.disk))
    try:
        return run(options, folder, kill_every)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def begin_index(options, folder):
    corpus = options.corpus
    if corpus is None:
        corpus, random_ = folder / "corpus.jsonl", random.Random(options.seed)
        lines = [{"id": f"c/{n}", "text": " ".join(random_.choices(WORDS, k=10))} for n in range(300)]
        corpus.write_text("\n".join(map(json.dumps, lines)))
    command = [options.akin, "index", str(folder / "notes"), str(corpus), "--precision", options.precision]
    subprocess.run(command + ["--quiet"] + (["--model", options.model] if options.model else []), check=True)


def run(options, folder, kill_every):
    begin_index(options, folder)
    server, truth = Server(options.akin, folder, folder / "notes", options.precision), Truth()
    load = Load(server, truth, "notes", options.seed)
    random_ = random.Random(options.seed)
    starts = [server.start()]
    found, documents = load.everything()
    truth.compare(found)
    load.texts = [document["text"][:200] for document in documents[:2000]]
    clients = [(load.write_and_delete, 3, 1), (load.query, 4, 1), (load.go_away, 2, 2), (load.read_slowly, 2, 4)]
    threads = [
        threading.Thread(target=load.client, args=(number, work, pause * options.pause), daemon=True)
        for work, n, pause in clients
        for number in range(n)
    ]
    for thread in threads:
        thread.start()
    began = time.monotonic()
    end, calm = began + options.seconds, began + options.seconds * (1 - options.calm)
    lost, samples, recoveries, kills, comparisons = [], [], [], 0, 0
    disk = Disk(folder) if options.disk else None
    say = (lambda *_: None) if options.quiet else lambda *what: print(*what, file=sys.stderr, flush=True)
    load.running.set()
    while time.monotonic() < end:
        is_calm = time.monotonic() >= calm
        until = end if is_calm else min(calm, time.monotonic() + random_.uniform(0.4, 1.6) * kill_every)
        # The disk is full for a while in two lives of three, sometimes until the kill.
        full_at = time.monotonic() + (until - time.monotonic()) * random_.uniform(0.2, 0.8)
        room_at = full_at + min(10, options.seconds / 15)
        fills = disk and not is_calm and random_.random() < 0.67
        state = "before"
        while (now := time.monotonic()) < until:
            if fills and state == "before" and now >= full_at:
                load.disk_is_full, state = True, "full"
                disk.fill()
                load.count("full disks")
            if state == "full" and now >= room_at:
                disk.empty()
                recoveries.append(recovers(load))
                load.disk_is_full, state = False, "after"
            if server.child.poll() is not None:
                raise SystemExit(f"the server ended by itself with {server.child.returncode}; see {folder}/server.log")
            if is_calm:
                samples.append(server.memory())
            time.sleep(min(0.5, options.seconds / 100))
        if not is_calm:
            before = server.memory()
            load.running.clear()
            server.kill()
            kills += 1
            load.rest()
            if state == "full" and random_.random() < 0.5:
                starts.append(server.start())
                answers_without_room(load)
            if disk:
                disk.empty()
            load.disk_is_full = False
            if server.child.poll() is not None:
                starts.append(server.start())
        else:
            load.rest()
            before = server.memory()
            # What clients that are gone had asked for may still be on its way.
            time.sleep(1)
        wrong, documents = load.compare(random_)
        comparisons += 1
        lost += wrong
        say(f"{time.monotonic() - began:.0f} s: {kills} kills, {documents} documents, {len(lost)} lost,",
            f"{before['anon']:.0f} MiB, {before['files']} files, started in {starts[-1]:.2f} s; {wrong[:3]}")
        load.running.set()
    load.rest()
    load.ending.set()
    code = server.stop()
    verified = subprocess.run([options.akin, "verify", str(folder / "notes")], capture_output=True, text=True)
    warm, last = memory_growth(samples)
    report = {
        "seconds": round(time.monotonic() - began), "kills": kills, "comparisons": comparisons, "lost": len(lost),
        "counts": dict(sorted(load.counts.items())), "unexpected": load.unexpected,
        "slowest_start_s": round(max(starts), 2), "recovered_from_full_disk_s": recoveries,
        "anon_mib_when_warm": round(warm, 1), "anon_mib_at_the_end": round(last, 1),
        "files_at_most": max(sample["files"] for sample in samples),
        "rss_mib_at_most": round(max(sample["rss"] for sample in samples), 1),
        "exit": code, "verify": verified.returncode,
    }
    print(json.dumps(report))
    if lost or code or verified.returncode or load.unexpected:
        for line in lost[:20]:
            print(line, file=sys.stderr)
        print(verified.stderr, file=sys.stderr)
        print((folder / "server.log").read_text(errors="replace")[-3000:], file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
