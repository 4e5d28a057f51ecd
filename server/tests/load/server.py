"""The server under test as a process."""

import http.client
import json
import os
import random
import re
import signal
import socket
import subprocess
import time
from pathlib import Path


class Server:
    """The server under test, on one port for its whole life."""

    def __init__(self, akin, folder, index, precision):
        self.command = [akin, "serve", str(index), "--writable", "--precision", precision, "--timeout", "60"]
        self.log = open(folder / "server.log", "a+b")
        self.port = free_port()
        self.child = None
        self.peaks = []

    def start(self):
        command = self.command + ["--listen", f"127.0.0.1:{self.port}"]
        began = time.monotonic()
        self.child = subprocess.Popen(command, stdout=self.log, stderr=self.log)
        while True:
            if self.child.poll() is not None:
                self.log.seek(0)
                said = self.log.read()[-2000:].decode(errors="replace")
                raise SystemExit(f"the server ended with {self.child.returncode} when it was started: {said}")
            try:
                if ask(self.port, "GET", "/ready")[0] == 200:
                    return time.monotonic() - began
            except OSError:
                pass
            if time.monotonic() - began > 300:
                raise SystemExit("the server did not get ready within 300 s")
            time.sleep(0.05)

    def kill(self):
        self.child.send_signal(signal.SIGKILL)
        self.child.wait()

    def stop(self):
        self.child.send_signal(signal.SIGTERM)
        return self.child.wait(60)

    def memory(self):
        """Anonymous and all resident memory, in MiB, and how many files and threads there are."""
        status = Path(f"/proc/{self.child.pid}/status").read_text()
        of = lambda name: int(re.search(rf"{name}:\s+(\d+)", status)[1])
        files = len(os.listdir(f"/proc/{self.child.pid}/fd"))
        return {"anon": of("RssAnon") / 1024, "rss": of("VmRSS") / 1024, "files": files, "threads": of("Threads")}


def free_port():
    """A port that no connection gets by itself: while the server is down, a client that asks again and again would at last be given the
    port it asks, be connected with itself, and keep the server from listening there."""
    while True:
        with socket.socket() as listener:
            try:
                listener.bind(("127.0.0.1", random.randrange(10_000, 30_000)))
            except OSError:
                continue
            return listener.getsockname()[1]


def ask(port, method, path, body=None, timeout=120):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout)
    try:
        headers = {"Content-Type": "application/json"} if body is not None else {}
        connection.request(method, path, None if body is None else json.dumps(body), headers)
        answer = connection.getresponse()
        return answer.status, answer.read()
    except http.client.HTTPException as error:
        raise ConnectionError(str(error)) from error
    finally:
        connection.close()
