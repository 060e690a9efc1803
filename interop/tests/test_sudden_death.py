"""The program is killed in mid-load: what it acknowledged is there when it is back, and nothing that was ended."""

import http.client
import json
import threading

import pytest

from servers import REFERENCE
from stores import STORING

WRITERS = 16
ACKNOWLEDGED = 400

# A cache in the process's own memory dies with it.
OUTLIVING = [kind for kind in STORING if kind != "cache/locmem"]

pytestmark = pytest.mark.skipif(REFERENCE, reason="what Django loses, test_concurrency shows")


class Writer(threading.Thread):
    """Counts in one session, of its own or of all, until nobody answers."""

    def __init__(self, server, cookie, key, enough):
        super().__init__(daemon=True)
        self.server, self.cookie, self.key, self.enough = server, cookie, key, enough
        self.acknowledged = 0
        self.unanswered = 0

    def run(self):
        connection = http.client.HTTPConnection("127.0.0.1", self.server.port, timeout=30)
        while True:
            self.unanswered = 1
            try:
                status, _ = operate(connection, self.cookie, {"op": "incr", "key": self.key, "by": 1})
            except (OSError, http.client.HTTPException):
                return
            assert status == 200
            self.unanswered = 0
            self.acknowledged += 1
            self.enough.release()


def operate(connection, cookie, *operations):
    headers = {"Content-Type": "application/json"} | ({"Cookie": cookie} if cookie else {})
    connection.request("POST", "/ops", json.dumps(operations), headers)
    response = connection.getresponse()
    return response.status, json.loads(response.read() or "null")


def new_session(server):
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
    connection.request("POST", "/ops", json.dumps([{"op": "set", "key": "n", "value": 0}]))
    response = connection.getresponse()
    response.read()
    return response.headers["Set-Cookie"].split(";")[0]


def value(server, cookie, key):
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
    status, answer = operate(connection, cookie, {"op": "get", "key": key})
    assert status == 200
    return answer["results"][0]["ok"] or 0


@pytest.mark.parametrize("kind", OUTLIVING)
def test_no_acknowledged_write_is_lost_when_the_program_is_killed(new_store, probe_log, kind):
    store = new_store(kind)
    server, log = probe_log(**store.settings)
    assert server, log
    shared, flushed = new_session(server), new_session(server)
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
    assert operate(connection, flushed, {"op": "flush"})[0] == 200
    enough = threading.Semaphore(0)
    # Half of them in one session, a key each; half of them each in a session of its own.
    writers = [
        Writer(server, shared if n % 2 else new_session(server), f"key {n}", enough) for n in range(WRITERS)
    ]
    for writer in writers:
        writer.start()
    for _ in range(ACKNOWLEDGED):
        assert enough.acquire(timeout=60), "the writers do not come on"
    server.process.kill()
    server.process.wait()
    for writer in writers:
        writer.join(60)
        assert not writer.is_alive()

    server, log = probe_log(**store.settings)
    assert server, log
    for writer in writers:
        stored = value(server, writer.cookie, writer.key)
        assert writer.acknowledged <= stored <= writer.acknowledged + writer.unanswered
    assert sum(writer.acknowledged for writer in writers) >= ACKNOWLEDGED
    assert value(server, flushed, "n") == 0
