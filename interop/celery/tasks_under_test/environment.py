"""Celery's settings from the environment, as Django's settings name them: `CELERY_` first, JSON where a value is no plain string."""

import json
import sys
from pathlib import Path

PREFIX = "CELERY_"


def settings_from(environment):
    return {
        name.removeprefix(PREFIX).lower(): value(text)
        for name, text in environment.items()
        if name.startswith(PREFIX)
    }


def value(text):
    try:
        return json.loads(text)
    except ValueError:
        return text


def prepare_django(environment):
    """django-celery-results keeps results in the database of a Django: this needs one, be it without a site."""
    if environment.get("CELERY_RESULT_BACKEND") != "django-db":
        return
    environment.setdefault("DJANGO_SETTINGS_MODULE", "site_under_test.settings")
    site = str(Path(__file__).resolve().parents[2] / "django")
    if site not in sys.path:
        sys.path.append(site)
    import django
    from django.apps import apps

    if not apps.ready and not apps.app_configs:
        django.setup()
