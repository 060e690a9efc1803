"""`sessions list` and `sessions show KEY`: stands in for the `quintette` command when the tests run against Django alone."""

import json

from django.contrib.sessions.models import Session
from django.core.management.base import BaseCommand, CommandError


class Command(BaseCommand):
    def add_arguments(self, parser):
        parser.add_argument("action", choices=["list", "show"])
        parser.add_argument("key", nargs="?")

    def handle(self, *, action, key, **options):
        if action == "list":
            for session in Session.objects.all():
                self.stdout.write(f"{session.session_key}  {session.expire_date.isoformat()}")
            return
        try:
            session = Session.objects.get(session_key=key)
        except Session.DoesNotExist:
            raise CommandError(f"no session has the key {key}") from None
        self.stdout.write(json.dumps(session.get_decoded(), indent=2))
