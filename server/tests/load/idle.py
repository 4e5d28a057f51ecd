"""Does a server answer its clients while thousands of connections say nothing?

idle.py AKIN INDEX [--connections 10000]

Serves INDEX, asks it one question at a time, opens the connections (half of them begin a request and do not end it), and asks again
while they are there and after they are gone. The server gives a head 300 s, so that the first connections are there until the last are.
Prints a line of JSON: milliseconds of an answer, the resident memory of the server, and how many connections it has ended. Fails when a
question was not answered. Only the standard library is used.
"""

import argparse
import json
import resource
import select
import socket
import sys
import tempfile
import time
from pathlib import Path

from server import Server, ask

QUESTIONS = 200


def answered(server, name):
    """Median and worst milliseconds of an answer."""
    times = []
    for at in range(QUESTIONS):
        began = time.perf_counter()
        status, answer = ask(server.port, "POST", f"/v1/indexes/{name}/query", {"text": f"fear of {at}", "k": 10})
        if status != 200:
            sys.exit(f"idle: question {at} got {status}: {answer}")
        times.append(1e3 * (time.perf_counter() - began))
    times.sort()
    return {"p50_ms": round(times[QUESTIONS // 2], 2), "most_ms": round(times[-1], 2)}


def opened(port, count):
    connections, refused = [], 0
    for at in range(count):
        try:
            connection = socket.create_connection(("127.0.0.1", port), timeout=10)
            if at % 2:
                connection.sendall(b"POST /v1/indexes HTTP/1.1\r\nHost: 127.0.0.1\r\n")
            connections.append(connection)
        except OSError:
            refused += 1
    return connections, refused


def ended(connections):
    """How many of them the server has closed or answered."""
    poll = select.poll()
    for connection in connections:
        poll.register(connection, select.POLLIN | select.POLLHUP | select.POLLERR)
    return len(poll.poll(0))


def measure(server, options):
    told = {"before": answered(server, options.index.name), "memory_mib": round(server.memory()["rss"])}
    began = time.perf_counter()
    connections, refused = opened(server.port, options.connections)
    told |= {"connections": len(connections), "refused": refused, "opening_s": round(time.perf_counter() - began, 1)}
    told |= {"with_them": answered(server, options.index.name), "memory_with_them_mib": round(server.memory()["rss"])}
    told["ended_by_the_server"] = ended(connections)
    for connection in connections:
        connection.close()
    told |= {"after": answered(server, options.index.name), "memory_after_mib": round(server.memory()["rss"])}
    print(json.dumps(told))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("akin")
    parser.add_argument("index", type=Path)
    parser.add_argument("--connections", type=int, default=10_000)
    options = parser.parse_args()
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = options.connections + 1000
    if hard != resource.RLIM_INFINITY and hard < wanted:
        sys.exit(f"idle: a process may open {hard} files, and {wanted} are needed: raise `ulimit -Hn`")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, wanted), hard))
    with tempfile.TemporaryDirectory() as folder:
        server = Server(options.akin, Path(folder), options.index, "int8")
        server.command += ["--connections", str(options.connections + 100), "--head-timeout", "300"]
        server.start()
        try:
            measure(server, options)
        finally:
            server.kill()


if __name__ == "__main__":
    main()
