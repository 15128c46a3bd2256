"""Runs moto's server on a free port, prints the port, and ends when standard input closes.

Standard input is a pipe from the process that started this one: it closes when that process ends, however it ends.
"""

import logging
import os
import sys

from moto.server import ThreadedMotoServer

logging.getLogger("werkzeug").setLevel(logging.ERROR)
server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
server.start()
_, port = server.get_host_and_port()
print(port, flush=True)
sys.stdin.read()
os._exit(0)
