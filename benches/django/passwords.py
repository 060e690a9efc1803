"""`passwords.py ALGORITHM NUMBER`: what `benches/src/bin/passwords.rs` does, with Django's hashers."""

import json
import sys
import time

from django.conf import global_settings, settings
from django.contrib.auth.hashers import make_password

# Django has these two, too, but names them nowhere by default.
MORE = ["django.contrib.auth.hashers.BCryptPasswordHasher", "django.contrib.auth.hashers.MD5PasswordHasher"]


def main(algorithm, number):
    settings.configure(PASSWORD_HASHERS=[*global_settings.PASSWORD_HASHERS, *MORE])
    encoded = make_password("correct horse", hasher=algorithm)
    seconds = []
    for _ in range(int(number)):
        start = time.perf_counter()
        encoded = make_password("correct horse", hasher=algorithm)
        seconds.append(time.perf_counter() - start)
    print(json.dumps({"encoded": encoded, "seconds": seconds}))


main(*sys.argv[1:])
