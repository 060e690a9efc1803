"""django-celery-beat's tables under two beats, one after the other: Celery's and the library's.

Both sides print a line for each run that they would send.
"""

import json
import subprocess
import sys
import time

import pytest

import servers
from servers import DJANGO_SITE, Server

PATIENCE = 30
BEAT = [sys.executable, str(DJANGO_SITE / "beat.py")]


class Side:
    """A beat of one kind, which is started and stopped over one database."""

    def __init__(self, name, command, settings, directory):
        self.name, self.command, self.settings, self.directory = name, command, settings, directory
        self.server = None

    def start(self):
        self.server = Server(self.name, self.command, self.settings, self.directory)

    def lines(self):
        return [json.loads(line) for line in self.server.log().splitlines() if line.startswith("{")]

    def stop(self):
        if self.server:
            self.server.stop()
            self.server = None


class Tables:
    def __init__(self, directory):
        self.settings = {"DATABASE_URL": f"sqlite://{directory}/db.sqlite3"}
        self.sides = {
            "celery": Side("celery-beat", BEAT, self.settings, directory),
            "probe": Side("probe-beat", [*servers.probe_command(), "beat"], self.settings, directory),
        }

    def run(self, code, **values):
        """Runs Python with Django's models; its `answer`."""
        given = "".join(f"{name} = {value!r}\n" for name, value in values.items())
        done = subprocess.run(
            [*BEAT, "tables"], input=given + code, env=servers.environment(self.settings), capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    def counts(self):
        return self.run("answer = dict(PeriodicTask.objects.values_list('name', 'total_run_count'))")


@pytest.fixture
def tables(tmp_path):
    made = Tables(tmp_path)
    made.run("pass")
    yield made
    for side in made.sides.values():
        side.stop()


def wait_for(what, is_so):
    end = time.monotonic() + PATIENCE
    while not (value := is_so()):
        assert time.monotonic() < end, f"waited in vain for {what}"
        time.sleep(0.1)
    return value


def run_over(tables, side, names):
    """What a side sends first of each of these."""
    side = tables.sides[side]
    side.start()
    wait_for(names, lambda: names <= {line["name"] for line in side.lines()})
    firsts = {}
    for line in side.lines():
        firsts.setdefault(line["name"], line)
    side.stop()
    return firsts


OPTIONS = """
second, _ = IntervalSchedule.objects.get_or_create(every=1, period="seconds")
PeriodicTask.objects.create(name="plain", task="shop.plain", interval=second)
PeriodicTask.objects.create(
    name="all", task="shop.all", interval=second, args='[1, "two", {"three": null}]', kwargs='{"x": [1.5]}', queue="slow",
    exchange="shop", routing_key="shop.slow", headers='{"tenant": 3}', priority=7, expire_seconds=60,
)
PeriodicTask.objects.create(name="until", task="shop.until", interval=second, expires=datetime(2099, 1, 1, tzinfo=timezone.utc))
PeriodicTask.objects.create(name="minute", task="shop.minute", crontab=CrontabSchedule.objects.create())
PeriodicTask.objects.create(
    name="clocked", task="shop.clocked", clocked=ClockedSchedule.objects.create(clocked_time=now()), one_off=True
)
PeriodicTask.objects.filter(name="minute").update(last_run_at=now() - timedelta(minutes=5))
"""


def test_both_send_the_same_with_the_same_options(tables):
    names = {"plain", "all", "until", "minute", "clocked"}
    said = {}
    for side in ("celery", "probe"):
        tables.run("PeriodicTask.objects.all().delete()\n" + OPTIONS)
        said[side] = run_over(tables, side, names)
    for name in names:
        ours, theirs = said["probe"][name], said["celery"][name]
        # The id is the library's own promise.
        ours["options"].pop("task_id", None)
        assert ours == theirs


@pytest.mark.parametrize("first, second", [("celery", "probe"), ("probe", "celery")])
def test_one_goes_on_where_the_other_stopped(tables, first, second):
    tables.run("""
second, _ = IntervalSchedule.objects.get_or_create(every=1, period="seconds")
hour, _ = IntervalSchedule.objects.get_or_create(every=1, period="hours")
PeriodicTask.objects.create(name="often", task="shop.often", interval=second)
PeriodicTask.objects.create(name="hourly", task="shop.hourly", interval=hour)
PeriodicTask.objects.filter(name="hourly").update(last_run_at=now() - timedelta(hours=2))
""")
    run_over(tables, first, {"often", "hourly"})
    before = tables.counts()
    assert before["often"] >= 1 and before["hourly"] == 1
    firsts = run_over(tables, second, {"often"})
    # The hour has begun with the other's run.
    assert "hourly" not in firsts
    assert tables.counts()["often"] > before["often"]
    assert tables.counts()["hourly"] == 1


def test_what_ran_once_is_disabled_and_runs_again_when_it_is_enabled(tables):
    tables.run("""
PeriodicTask.objects.create(
    name="clocked", task="shop.clocked", clocked=ClockedSchedule.objects.create(clocked_time=now()), one_off=True
)
""")
    side = tables.sides["probe"]
    side.start()
    state = "task = PeriodicTask.objects.get()\nanswer = [task.enabled, task.last_run_at, task.total_run_count]"
    wait_for("the run", side.lines)
    # Celery's own beat disables it when it reads its schedule the next time.
    tables.run("PeriodicTasks.update_changed()")
    wait_for("its end", lambda: tables.run(state) == [False, None, 0])
    assert len(side.lines()) == 1
    tables.run("task = PeriodicTask.objects.get()\ntask.enabled = True\ntask.save()")
    wait_for("the second run", lambda: len(side.lines()) == 2)


def test_a_change_in_the_admin_is_seen_within_seconds(tables):
    tables.run('IntervalSchedule.objects.create(every=1, period="seconds")')
    side = tables.sides["probe"]
    side.start()
    time.sleep(1)
    tables.run('PeriodicTask.objects.create(name="new", task="shop.new", interval=IntervalSchedule.objects.get())')
    wait_for("the new one", side.lines)
    tables.run('task = PeriodicTask.objects.get()\ntask.args = "[7]"\ntask.save()')
    wait_for("its new argument", lambda: side.lines()[-1]["args"] == [7])
    tables.run("PeriodicTask.objects.get().delete()")
    wait_for("quiet", lambda: quiet(side))


def quiet(side):
    before = len(side.lines())
    time.sleep(3)
    return len(side.lines()) == before


DUE = """
import random
random.seed(5)
for number in range(60):
    kind = number % 3
    fields = {}
    if kind == 0:
        fields["interval"] = IntervalSchedule.objects.create(
            every=random.choice([1, 5, 30]), period=random.choice(["minutes", "hours", "days"]))
    elif kind == 1:
        fields["crontab"] = CrontabSchedule.objects.create(
            minute=random.choice(["0", "*/7", "30"]), hour=random.choice(["*", "*/3"]),
            day_of_week=random.choice(["*", "mon-thu", "0,6"]), day_of_month=random.choice(["*", "1-15", "31"]),
            timezone=random.choice(["UTC", "Asia/Kathmandu", "America/St_Johns"]))
    else:
        offset = timedelta(hours=random.choice([-30, -2, 2, 30]))
        fields["clocked"] = ClockedSchedule.objects.create(clocked_time=now() + offset)
        fields["one_off"] = True
    if random.random() < 0.3:
        fields["start_time"] = now() + timedelta(hours=random.choice([-50, -1, 1]))
    if random.random() < 0.2:
        fields["expires"] = now() + timedelta(hours=random.choice([-1, 50]))
    PeriodicTask.objects.create(name=f"{number}", task="shop.any", **fields)
    if random.random() < 0.7:
        PeriodicTask.objects.filter(name=f"{number}").update(
            last_run_at=now() - timedelta(minutes=random.choice([3, 50, 400, 5000, 50000])))
answer = sorted(task.name for task in PeriodicTask.objects.all() if ModelEntry(task, app=app).is_due().is_due)
"""


def test_what_is_due_is_what_celery_says_is_due(tables):
    due = tables.run(DUE)
    assert 10 < len(due) < 55
    side = tables.sides["probe"]
    side.start()
    wait_for(due, lambda: len(side.lines()) >= len(due))
    sent = sorted({line["name"] for line in side.lines()})
    # A minute may have passed meanwhile, and have made one more due.
    assert set(due) <= set(sent) and len(sent) <= len(due) + 2
