"""The Celery app on the other side of the probe's: `celery -A tasks_under_test worker`, with all its settings from the environment."""

import os

from celery import Celery
from kombu.transport import sqlalchemy

from .environment import prepare_django, settings_from

prepare_django(os.environ)

# It looks for messages once a second, which no option changes.
sqlalchemy.Transport.polling_interval = 0.05

app = Celery("tasks_under_test", include=["tasks_under_test.tasks"])
app.conf.update(settings_from(os.environ))
