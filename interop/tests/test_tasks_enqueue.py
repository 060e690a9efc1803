"""`probe enqueue`: as many tasks as it says are sent, and each of them runs once, whoever runs them."""

import re

import pytest

import celerys
import servers
from celerys import PROBE, Outcome, until

COUNT = 200


@pytest.mark.parametrize("version", [PROBE, *celerys.versions()])
@pytest.mark.places("redis", "amqp+rpc", "sqlite")
def test_each_of_many_runs_exactly_once(place, version):
    # Named by the place, too: brokers are shared.
    worker = place.start_worker(version, f"many-{version}-{place.kind}-{place.token}")
    command = [*servers.probe_command(), "enqueue", "probe.noop", "--count", str(COUNT), "--queue", worker.queue]
    printed = servers.run(command, place.settings, place.directory).stdout
    assert re.fullmatch(rf"{COUNT} tasks in \d+\.\d{{3}} s\n", printed)

    def done():
        return re.findall(r"Task probe\.noop\[([^]]+)\] succeeded", worker.log())

    try:
        until(lambda: len(done()) >= COUNT, f"{COUNT} tasks have run", place=place)
        # Behind all of them.
        client = place.client(celerys.newest() if version != PROBE else PROBE)
        last = client.send("probe.add", 1, 2, queue=worker.queue)
        if place.kind != "sqlite" or version != "5.5":
            assert client.outcome(last) == Outcome("SUCCESS", 3)
        else:
            # Its results are pickles, which the newest does not read.
            until(lambda: f"Task probe.add[{last}] succeeded" in worker.log(), "the last has run", place=place)
        assert len(done()) == COUNT and len(set(done())) == COUNT
    finally:
        worker.stop()
