"""Bothers a server of predictions until its standard input ends: `hostile.py URL CA TOKEN_FILE PATH`. It says `ready` once all of it goes on.

Ten thousand connections that say nothing, 200 requests whose bodies drip, and a hundred requests a second that are nonsense: malformed
tensors, wrong types, floods of NaN, bodies that announce a gigabyte.
"""

from __future__ import annotations

import contextlib
import json
import resource
import socket
import ssl
import sys
import threading
import time

IDLE = 10_000
SLOW = 200
PER_SECOND = 100

url, ca, token_file, path = sys.argv[1:]
host, port = url.removeprefix("https://").split(":")
token = open(token_file).read().strip()
context = ssl.create_default_context(cafile=ca)
stopped = threading.Event()


def connected():
    return context.wrap_socket(socket.create_connection((host, int(port)), timeout=60), server_hostname=host)


def head(length):
    lines = [f"POST {path} HTTP/1.1", f"Host: {host}", f"Authorization: Bearer {token}", "Content-Type: application/json"]
    return ("\r\n".join([*lines, f"Content-Length: {length}"]) + "\r\n\r\n").encode()


def nonsense():
    """Bodies, one after the other."""
    tensor = {"name": "input", "shape": [2, 20], "datatype": "FP64"}
    yield b"[" * 50_000
    yield json.dumps({"inputs": [{**tensor, "data": [1.0] * 39}]}).encode()
    yield json.dumps({"inputs": [{**tensor, "datatype": "BYTES", "data": ["x"] * 40}]}).encode()
    yield json.dumps({"inputs": [{**tensor, "shape": [1 << 62, 20], "data": []}]}).encode()
    yield json.dumps({"inputs": [{**tensor, "data": [float("nan")] * 40}]}).encode()
    yield b'{"inputs": [{"name": "' + b"x" * 100_000 + b'"}]}'


def drip(slow):
    while not stopped.wait(1):
        for connection in slow:
            with contextlib.suppress(OSError):
                connection.sendall(b" ")


def flood():
    bodies = list(nonsense())
    connection, number = None, 0
    while not stopped.wait(1 / PER_SECOND):
        number += 1
        try:
            connection = connection or connected()
            if number % 50 == 0:
                connection.sendall(head(1 << 30) + b"1" * 65_536)
            else:
                body = bodies[number % len(bodies)]
                connection.sendall(head(len(body)) + body)
            if b"connection: close" in connection.recv(65_536).lower() or number % 50 == 0:
                connection.close()
                connection = None
        except OSError:
            connection = None


soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
slow, idle = [], []
for _ in range(SLOW):
    slow.append(connected())
    slow[-1].sendall(head(100_000))
for _ in range(min(IDLE, hard - SLOW - 100)):
    with contextlib.suppress(OSError):
        idle.append(socket.create_connection((host, int(port)), timeout=5))
threads = [threading.Thread(target=drip, args=(slow,)), threading.Thread(target=flood)]
for thread in threads:
    thread.start()
time.sleep(1)
print(f"ready {len(idle)}", flush=True)
sys.stdin.read()
stopped.set()
for thread in threads:
    thread.join()
