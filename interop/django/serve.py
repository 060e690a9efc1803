#!/usr/bin/env python
"""Serves the contract with Django: one process, a thread a request. `PORT=8001 SECRET_KEY=… python serve.py`."""

import os
import socket
import sys
from socketserver import TCPServer, ThreadingMixIn
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer

LARGE = 1_000_000


class ThreadedServer(ThreadingMixIn, WSGIServer):
    daemon_threads = True
    request_queue_size = 256

    def server_bind(self):
        # The base class looks up this host's name, which may go to a name server.
        TCPServer.server_bind(self)
        self.server_name, self.server_port = self.server_address
        self.setup_environ()


class QuietHandler(WSGIRequestHandler):
    def log_message(self, *arguments):
        pass

    def finish(self):
        super().finish()
        # A connection that was closed without a request has no headers.
        if hasattr(self, "headers") and int(self.headers.get("Content-Length") or 0) > LARGE:
            self.read_what_is_left()

    def read_what_is_left(self):
        # Closed with a body unread, the connection would be reset, and the client would lose the answer.
        self.connection.shutdown(socket.SHUT_WR)
        self.connection.settimeout(1)
        try:
            while self.connection.recv(65_536):
                pass
        except OSError:
            pass


def main():
    os.environ["DJANGO_SETTINGS_MODULE"] = "site_under_test.settings"
    from django.core.exceptions import ImproperlyConfigured
    from django.core.wsgi import get_wsgi_application

    try:
        application = get_wsgi_application()
    except ImproperlyConfigured as error:
        sys.exit(f"error: {error}")
    address = ("127.0.0.1", int(os.environ.get("PORT", "8001")))
    with ThreadedServer(address, QuietHandler) as server:
        server.set_app(application)
        print(f"listening on http://127.0.0.1:{server.server_port}", flush=True)
        server.serve_forever()


if __name__ == "__main__":
    main()
