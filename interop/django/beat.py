"""Celery's beat over django-celery-beat's tables, with a line of JSON for each run in the place of a broker; and those tables.

    python beat.py            runs until it is told to stop, as `probe beat` does
    python beat.py tables     makes the tables, runs the Python of its standard input with the models at hand, and prints
                              its `answer` as JSON
"""

import json
import os
import signal
import sys
from datetime import datetime, timedelta, timezone

import django
from django.conf import settings

settings.configure(
    SECRET_KEY="beat",
    USE_TZ=True,
    TIME_ZONE="UTC",
    INSTALLED_APPS=["django_celery_beat"],
    DATABASES={
        "default": {
            "ENGINE": "django.db.backends.sqlite3",
            "NAME": os.environ["DATABASE_URL"].removeprefix("sqlite://"),
            "OPTIONS": {"timeout": 20},
        }
    },
    CELERY_TIMEZONE=os.environ.get("CELERY_TIMEZONE", "UTC"),
)
django.setup()

from celery import Celery
from celery.beat import Service
from django.core.management import call_command
from django_celery_beat.models import (
    ClockedSchedule,
    CrontabSchedule,
    IntervalSchedule,
    PeriodicTask,
    PeriodicTasks,
    SolarSchedule,
)
from django_celery_beat.schedulers import DatabaseScheduler, ModelEntry
from django_celery_beat.utils import now

app = Celery("beat", set_as_current=True)
app.config_from_object("django.conf:settings", namespace="CELERY")
# Celery puts one of its own into the tables otherwise.
app.conf.result_expires = None


class Printing(DatabaseScheduler):
    def apply_async(self, entry, producer=None, advance=True, **kwargs):
        options = dict(entry.options)
        options["headers"] = options["headers"] | {"celery_beat_task": True}
        line = {"name": entry.name, "task": entry.task, "args": entry.args, "kwargs": entry.kwargs, "options": options}
        print(json.dumps(line, default=lambda value: value.isoformat()), flush=True)

    @property
    def producer(self):
        return None


def main():
    if sys.argv[1:] == ["tables"]:
        call_command("migrate", "django_celery_beat", verbosity=0)
        names = globals().copy()
        exec(sys.stdin.read(), names)
        print(json.dumps(names.get("answer"), default=lambda value: value.isoformat()))
        return
    service = Service(app, scheduler_cls=Printing, max_interval=1)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: service.stop())
    service.start()


main()
