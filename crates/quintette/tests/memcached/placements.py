"""Where the Python clients keep each of 120 keys on three servers: writes placements.json.

    python3 -m venv venv && venv/bin/pip install pymemcache pylibmc && venv/bin/python placements.py

The servers are real ones, on fixed addresses, since the addresses are part of what is hashed.
"""

import json
import pathlib
import subprocess
import time

import pylibmc
import pymemcache

PORTS = [[("127.0.0.1", 22311), ("127.0.0.1", 22312), ("127.0.0.1", 22313)],
         [("127.0.0.1", 11211), ("127.0.0.2", 11211), ("127.0.0.3", 11211)]]
KEYS = [f":1:django.contrib.sessions.cache{n * 2654435761:032x}" for n in range(100)] + [
    f"caf\u00e9\u20ac\U0001f36a:1:django.contrib.sessions.cache{n:032x}" for n in range(20)
]


def wait(server):
    for _ in range(100):
        try:
            pymemcache.Client(server).version()
            return
        except OSError:
            time.sleep(0.05)


def placements(servers, client):
    clients = [pymemcache.Client(server, allow_unicode_keys=True) for server in servers]
    for one in clients:
        one.flush_all(noreply=False)
    for key in KEYS:
        assert client.set(key, "value")
    found = []
    for key in KEYS:
        holders = [n for n, one in enumerate(clients) if one.get(key) is not None]
        assert len(holders) == 1, (key, holders)
        found += holders
    return "".join(map(str, found))


def main():
    written = []
    for servers in PORTS:
        processes = [
            subprocess.Popen(["memcached", "-u", "nobody", "-U", "0", "-l", host, "-p", str(port)])
            for host, port in servers
        ]
        try:
            for server in servers:
                wait(server)
            names = [f"{host}:{port}" for host, port in servers]
            cases = [
                ("pymemcache", {}, pymemcache.HashClient(names, allow_unicode_keys=True, default_noreply=False)),
                ("pylibmc", {}, pylibmc.Client(names)),
            ]
            for behaviors in [
                {"ketama": True},
                {"distribution": "consistent"},
                {"distribution": "consistent ketama"},
                {"distribution": "modula", "hash": "default"},
            ]:
                cases.append(("pylibmc", behaviors, pylibmc.Client(names, behaviors=behaviors)))
            for client, behaviors, real in cases:
                placed = placements(servers, real)
                written.append({"client": client, "behaviors": behaviors, "servers": names, "placed": placed})
        finally:
            for process in processes:
                process.terminate()
                process.wait()
    document = {"keys": KEYS, "cases": written}
    path = pathlib.Path(__file__).with_name("placements.json")
    path.write_text(json.dumps(document, indent=1) + "\n")


main()
