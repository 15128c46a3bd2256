"""Runs moto's server on a free port, prints the port, and ends when standard input closes.

Standard input is a pipe from the process that started this one: it closes when that process ends, however it ends.
"""

import logging
import os
import sys
import threading

from moto.events.utils import EventTemplateParser
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, MotoRequestHandler, create_backend_app
from werkzeug.serving import make_server


class AtomicConditionalWrites:
    """Handles one conditional write at a time: of several at once S3 accepts one, and moto any number."""

    def __init__(self, app):
        self.app = app
        self.lock = threading.Lock()

    def __call__(self, environ, start_response):
        is_write = environ["REQUEST_METHOD"] in ("PUT", "POST", "DELETE")
        if is_write and ("HTTP_IF_MATCH" in environ or "HTTP_IF_NONE_MATCH" in environ):
            with self.lock:
                return self.app(environ, start_response)
        return self.app(environ, start_response)


transform = EventTemplateParser.parse


def parse(input_template, input_paths_map, event):
    """What a target gets of an event: the event itself, unless the target transforms it.

    By itself moto takes every event apart by JSON paths and puts it together again, and needs a package more for that.
    """
    if input_template:
        return transform(input_template, input_paths_map, event)
    return {name: value for name, value in event.items() if name != "ingestion-time"}


EventTemplateParser.parse = staticmethod(parse)
logging.getLogger("werkzeug").setLevel(logging.ERROR)
moto = AtomicConditionalWrites(DomainDispatcherApplication(create_backend_app))
server = make_server("127.0.0.1", 0, moto, threaded=True, request_handler=MotoRequestHandler)
threading.Thread(target=server.serve_forever, daemon=True).start()
print(server.server_address[1], flush=True)
sys.stdin.read()
os._exit(0)
