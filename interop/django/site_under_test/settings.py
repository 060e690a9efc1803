"""The site's settings: fixed here is what the contract fixes; everything else comes from the environment."""

import os

from .environment import settings_from

# Django 4.2 defaults to False; the contract is the same for every version.
USE_TZ = True
ALLOWED_HOSTS = ["*"]
# As `startproject` writes it; the table of migrations follows it.
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
ROOT_URLCONF = "site_under_test.urls"
WSGI_APPLICATION = None

INSTALLED_APPS = [
    "django.contrib.contenttypes",
    "django.contrib.auth",
    "django.contrib.sessions",
    "django.contrib.messages",
    "site_under_test",
]

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.debug",
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "django.template.context_processors.csrf",
            ]
        },
    }
]

globals().update(settings_from(os.environ))

if globals().get("AUTH_USER_MODEL") == "accounts.Customer":
    INSTALLED_APPS.append("accounts")
if os.environ.get("CELERY_RESULT_BACKEND") == "django-db":
    INSTALLED_APPS.append("django_celery_results")

MIDDLEWARE = ["django.contrib.sessions.middleware.SessionMiddleware"]
if "SESSION_EXPIRE_SECONDS" in globals():
    MIDDLEWARE.append("django_session_timeout.middleware.SessionTimeoutMiddleware")
MIDDLEWARE += [
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
]
