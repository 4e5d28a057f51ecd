"""Processes and threads: forks, signals, ends, and many readers beside a writer."""

import os
import signal
import subprocess
import sys
import threading
import time

import numpy as np
import pytest

import akin
from conftest import python


def test_a_fork_is_told(index):
    if not hasattr(os, "fork"):
        pytest.skip("there is no fork here")
    code = """
import os, sys, akin
index = akin.open(sys.argv[1])
index.search("food")
child = os.fork()
if child == 0:
    try:
        index.search("food")
        os._exit(1)
    except akin.Forked as error:
        os._exit(0 if "spawn" in str(error) else 2)
_, status = os.waitpid(child, 0)
sys.exit(os.WEXITSTATUS(status))
"""
    assert python(code, index.path).returncode == 0


def test_a_child_may_use_what_its_parent_only_imported(index):
    code = """
import os, sys, akin
child = os.fork()
if child == 0:
    os._exit(0 if len(akin.open(sys.argv[1]).search("food")) else 1)
_, status = os.waitpid(child, 0)
sys.exit(os.WEXITSTATUS(status))
"""
    assert python(code, index.path).returncode == 0


LONG = {
    "encode": "encoder.encode(['some words to encode ' * 20] * 100000)",
    "pairs": "akin.paraphrase_mining_embeddings(np.random.rand(30000, 256))",
    "cluster": "akin.cluster(np.random.rand(100000, 256), k=1000)",
    "add": "index.add([f'text {n} ' * 50 for n in range(200000)])",
}


@pytest.mark.parametrize("call", sorted(LONG))
def test_ctrl_c_is_heard_at_once(call, tmp_path, tiny):
    code = f"""
import os, signal, sys, threading, time
import numpy as np
import akin
encoder = akin.SentenceEncoder(sys.argv[1])
index = akin.open(sys.argv[2], create=True, model=encoder)
sent = []
def interrupt():
    time.sleep(1.5)
    sent.append(time.monotonic())
    os.kill(os.getpid(), signal.SIGINT)
threading.Thread(target=interrupt, daemon=True).start()
try:
    {LONG[call]}
    print("done")
except KeyboardInterrupt:
    print(time.monotonic() - sent[0])
os._exit(0)
"""
    ended = python(code, tiny, str(tmp_path / "i"))
    assert ended.returncode == 0, ended.stderr
    # A tenth of a second is what is promised; a machine with more to do than processors takes longer to wake a thread.
    assert float(ended.stdout) < (0.1 if os.getloadavg()[0] < os.cpu_count() else 1.0), ended.stdout


def test_the_interpreter_ends_while_threads_search(index):
    code = """
import sys, threading, time, akin
index = akin.open(sys.argv[1])
index.search("food")
def work():
    while True:
        index.search("food", k=3)
for _ in range(4):
    threading.Thread(target=work, daemon=True).start()
time.sleep(0.5)
"""
    for _ in range(3):
        ended = python(code, index.path)
        assert ended.returncode == 0 and ended.stderr == "", (ended.returncode, ended.stderr)


def test_threads_search_while_one_adds(index):
    stop, failed, searched = threading.Event(), [], [0]

    def search():
        try:
            while not stop.is_set():
                hits = index.search("A man is eating food.", k=1, mode="semantic")
                if hits.ids != ["food"]:
                    failed.append(hits.ids)
                searched[0] += 1
        except Exception as error:  # noqa: BLE001 - the test reports it
            failed.append(error)

    threads = [threading.Thread(target=search) for _ in range(8)]
    [thread.start() for thread in threads]
    for number in range(30):
        index.add([f"number {number} and {other}" for other in range(20)])
        index.delete(f"never {number}")
    stop.set()
    [thread.join() for thread in threads]
    assert not failed and searched[0] > 30


def test_processes_search_while_one_adds(index):
    code = """
import sys, time, akin
index = akin.open(sys.argv[1])
end, searched = time.time() + 4, 0
while time.time() < end:
    assert index.search("A man is eating food.", k=1, mode="semantic").ids == ["food"]
    searched += 1
print(searched, len(index))
"""
    readers = [
        subprocess.Popen([sys.executable, "-c", code, index.path], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for _ in range(4)
    ]
    end = time.time() + 3
    number = 0
    while time.time() < end:
        index.add([f"number {number} and {other}" for other in range(20)])
        number += 1
    for reader in readers:
        said, wrong = reader.communicate(timeout=60)
        assert reader.returncode == 0, wrong
        assert int(said.split()[0]) > 0


def test_use_after_close_and_after_the_folder_is_gone(tmp_path, encoder):
    import shutil

    index = akin.open(tmp_path / "i", create=True, model=encoder)
    index.add(["one", "two"])
    shutil.rmtree(tmp_path / "i")
    try:
        index.search("one")
    except akin.Error:
        pass
    with pytest.raises(akin.Error):
        index.add(["three"])
    index.close()
    for call in (lambda: index.search("one"), lambda: index.add(["x"]), lambda: index["one"], index.stat, index.snapshot):
        with pytest.raises(akin.Closed):
            call()
    index.close()


def test_nothing_is_leaked(vectors):
    resource = pytest.importorskip("resource")
    index, rows = vectors

    def work(rounds):
        for number in range(rounds):
            index.search_many(rows[:32], k=20)
            index.search(rows[number % 300], k=20)
            index.get(str(number % 300))
            try:
                index.search(rows[0], filter="(")
            except akin.FilterError:
                pass

    work(100)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    work(500)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 16 << 10
