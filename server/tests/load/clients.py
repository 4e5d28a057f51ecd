"""Clients that query, write, delete, read slowly and go away midway."""

import json
import random
import socket
import threading
import time
from collections import Counter

from server import ask
from truth import GONE

WORDS = """river stone lamp winter bread captain garden mirror copper market violin harbour ladder forest engine candle
letter meadow window hammer island kettle pepper saddle thunder velvet willow anchor basket cellar desert echo falcon
glacier hollow ivory jungle kernel lantern marble needle orchard pillow quarry ribbon shadow timber umbrella valley
wagon yarn zebra bridge cotton dragon ember feather granite honey""".split()


class Load:
    def __init__(self, server, truth, name, seed):
        self.server, self.truth, self.name = server, truth, name
        self.seed = seed
        self.running, self.ending = threading.Event(), threading.Event()
        self.counts, self.counting = Counter(), threading.Lock()
        self.inside, self.resting = 0, threading.Condition()
        self.texts = []
        self.version = 0
        self.disk_is_full = False
        self.unexpected = []

    def count(self, what, n=1):
        with self.counting:
            self.counts[what] += n

    def wrong(self, what):
        self.count("unexpected")
        with self.counting:
            if len(self.unexpected) < 20:
                self.unexpected.append(what)

    def next_version(self):
        with self.counting:
            self.version += 1
            return self.version

    def client(self, number, work, pause):
        """A thread that does one thing again and again, and rests while the server is away."""
        random_ = random.Random(f"{self.seed}/{number}/{work.__name__}")
        while not self.ending.is_set():
            if not self.running.wait(0.2):
                continue
            with self.resting:
                if not self.running.is_set():
                    continue
                self.inside += 1
            try:
                work(random_, number)
            except (OSError, ValueError) as error:
                # While the server is killed every error is right; otherwise none is.
                if self.running.is_set() and self.server.child.poll() is None:
                    self.wrong(f"{work.__name__}: {type(error).__name__}: {error}")
            finally:
                with self.resting:
                    self.inside -= 1
                    self.resting.notify_all()
            time.sleep(random_.uniform(0, 2 * pause))

    def rest(self):
        """Waits until no client is in the middle of something."""
        self.running.clear()
        with self.resting:
            self.resting.wait_for(lambda: self.inside == 0, 300)

    def path(self, rest):
        return f"/v1/indexes/{self.name}/{rest}"

    def ids(self, random_, number, n):
        return self.truth.free({f"w{number}/{random_.randrange(1500)}" for _ in range(n)})

    def document(self, random_, id, version):
        text = " ".join(random_.choices(WORDS, k=random_.choice([6, 12, 25])))
        return {"id": id, "text": f"{text} {version}", "metadata": {"version": version}}

    def write(self, random_, number):
        version = self.next_version()
        ids = self.ids(random_, number, random_.choice([1, 1, 1, 4, 16]))
        body = {"documents": [self.document(random_, id, version) for id in ids]}
        self.change("POST", body, ids, version, "writes")

    def delete(self, random_, number):
        ids = self.ids(random_, number, random_.choice([1, 1, 8]))
        self.change("DELETE", {"ids": ids}, ids, GONE, "deletes")

    def change(self, method, body, ids, version, what):
        if not ids:
            return
        was_full = self.disk_is_full
        try:
            status, answer = ask(self.server.port, method, self.path("documents"), body)
        except OSError:
            self.truth.unanswered(ids, version)
            self.count(f"{what} without an answer")
            raise
        if status == 200:
            self.truth.acknowledged(ids, version)
            self.count(f"{what} acknowledged")
            return
        self.truth.unanswered(ids, version)
        self.count(f"{what} refused with {status}")
        if not (was_full or self.disk_is_full) and status not in (429, 503):
            self.wrong(f"{what}: {status} {answer[:200]!r}")
        elif not (was_full or self.disk_is_full):
            self.count(f"{what} refused while the disk had room")

    def write_and_delete(self, random_, number):
        (self.write if random_.random() < 0.7 else self.delete)(random_, number)

    def query(self, random_, number):
        text = random_.choice(self.texts) if random_.random() < 0.5 else " ".join(random_.choices(WORDS, k=4))
        body = {"text": text, "k": random_.choice([1, 10, 100])}
        if random_.random() < 0.2:
            body["filter"] = f"version > {random_.randrange(1 + self.version)}"
        if random_.random() < 0.2:
            body["mode"] = random_.choice(["keyword", "semantic"])
        status, answer = ask(self.server.port, "POST", self.path("query"), body)
        self.count("queries answered" if status == 200 else f"queries refused with {status}")
        if status not in (200, 429):
            self.wrong(f"query: {status} {answer[:200]!r}")

    def go_away(self, random_, number):
        """A client that ends its connection before it is answered, in the middle of its request or after it."""
        kind = random_.choice(["query", "write", "half", "head", "export"])
        version, id = self.next_version(), f"gone/{number}/{random_.randrange(1500)}"
        if not self.truth.free([id]):
            return
        body = json.dumps({"text": random_.choice(self.texts), "k": 50})
        path, method = self.path("query"), "POST"
        if kind == "write":
            path, body = self.path("documents"), json.dumps({"documents": [self.document(random_, id, version)]})
        if kind == "export":
            path, method, body = self.path("documents?vectors=true"), "GET", ""
        request = f"{method} {path} HTTP/1.1\r\nHost: 127.0.0.1:{self.server.port}\r\n"
        request += f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n{body}"
        if kind == "half":
            request = request[:-20]
        if kind == "head":
            request = request[:40]
        if kind == "write":
            self.truth.unanswered([id], version)
        with socket.create_connection(("127.0.0.1", self.server.port), 10) as stream:
            stream.sendall(request.encode())
            time.sleep(random_.choice([0, 0, 0.005, 0.05]))
            if random_.random() < 0.5:
                # Closed with a reset.
                stream.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        self.count("clients gone midway")

    def read_slowly(self, random_, number):
        """An export of which a little is taken now and then, and a request that is sent byte by byte."""
        deadline = time.monotonic() + random_.uniform(2, 15)
        path = self.path("documents?vectors=true")
        request = f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{self.server.port}\r\n\r\n".encode()
        with socket.create_connection(("127.0.0.1", self.server.port), 10) as stream:
            stream.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            stream.settimeout(1)
            try:
                for byte in request:
                    stream.sendall(bytes([byte]))
                    time.sleep(0.005)
                while time.monotonic() < deadline and self.running.is_set():
                    try:
                        if not stream.recv(512):
                            break
                    except TimeoutError:
                        pass
                    time.sleep(0.1)
            except (ConnectionResetError, BrokenPipeError):
                # A server may give up a client that is too slow: a loaded machine makes half a second of a request ten.
                self.count("slow readers that were given up")
                return
        self.count("slow readers")

    def everything(self):
        """The version of every document, from an export."""
        status, lines = ask(self.server.port, "GET", self.path("documents"), timeout=300)
        if status != 200:
            raise SystemExit(f"an export was answered with {status}: {lines[:300]!r}")
        documents = [json.loads(line) for line in lines.splitlines()]
        found = {document["id"]: document.get("metadata", {}).get("version", 0) for document in documents}
        if len(found) != len(documents):
            raise SystemExit("an export has an id twice")
        return found, documents

    def compare(self, random_):
        """Compares what the server has with what it acknowledged, and asks for some of it by words."""
        found, documents = self.everything()
        wrong = self.truth.compare(found)
        written = [document for document in documents if "version" in document.get("metadata", {})]
        for document in random_.sample(written, min(20, len(written))):
            body = {"text": str(document["metadata"]["version"]), "mode": "keyword", "k": 100}
            status, answer = ask(self.server.port, "POST", self.path("query"), body)
            hits = [hit["id"] for hit in json.loads(answer)["hits"]] if status == 200 else []
            if document["id"] not in hits and len(hits) < 100:
                wrong.append(f"{document['id']}: not found by its words, but exported ({status})")
        return wrong, len(found)
