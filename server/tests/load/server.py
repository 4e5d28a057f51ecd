"""The server under test as a process."""

import http.client
import json
import os
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
        self.log = open(folder / "server.log", "ab")
        self.port = free_port()
        self.child = None
        self.peaks = []

    def start(self):
        command = self.command + ["--listen", f"127.0.0.1:{self.port}"]
        began = time.monotonic()
        self.child = subprocess.Popen(command, stdout=self.log, stderr=self.log)
        while True:
            if self.child.poll() is not None:
                raise SystemExit(f"the server ended with {self.child.returncode} when it was started; see server.log")
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
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
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
