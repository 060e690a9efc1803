"""Writes the tables that django-celery-beat's migrations make.

    $ python make.py sqlite:///new.sqlite3 > sqlite.sql
    $ python make.py postgres://postgres@127.0.0.1:5432/empty > postgres.sql
    $ python make.py mysql://root@127.0.0.1:3306/empty > mysql.sql

With django-celery-beat 2.9, psycopg or PyMySQL, and the dump programs of the servers. The migrations run against the
database, which is an empty one, and what it then holds is dumped.
"""

import re
import sqlite3
import subprocess
import sys
from urllib.parse import urlparse

import django
from django.conf import settings

url = urlparse(sys.argv[1])
if url.scheme == "mysql":
    import pymysql

    pymysql.version_info = (2, 2, 1, "final", 0)
    pymysql.install_as_MySQLdb()
engine = {"sqlite": "sqlite3", "postgres": "postgresql", "mysql": "mysql"}[url.scheme]
name = url.path[1:]
settings.configure(
    INSTALLED_APPS=["django_celery_beat"],
    DATABASES={
        "default": {
            "ENGINE": f"django.db.backends.{engine}",
            "NAME": name,
            "HOST": url.hostname or "",
            "PORT": url.port or "",
            "USER": url.username or "",
        }
    },
    USE_TZ=True,
    DEFAULT_AUTO_FIELD="django.db.models.AutoField",
)
django.setup()

from django.core.management import call_command

call_command("migrate", "django_celery_beat", verbosity=0)


def output(*command):
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout


if url.scheme == "sqlite":
    dump = "\n".join(line for line in sqlite3.connect(name).iterdump() if "migrations" not in line)
elif url.scheme == "postgres":
    dump = output("pg_dump", "-s", "-O", "-x", "--no-comments", "-T", "django_migrations", sys.argv[1])
    dump = "\n".join(line for line in dump.splitlines()
                     if line and not line.startswith(("--", "SET ", "SELECT ", "\\")))
else:
    server = ["-h", url.hostname, "-P", str(url.port), "-u", url.username, name]
    dump = output("mariadb-dump", "--no-data", "--compact", f"--ignore-table={name}.django_migrations", *server)
    dump = re.sub(r"/\*.*?\*/;?\n?", "", dump)
print(dump)
