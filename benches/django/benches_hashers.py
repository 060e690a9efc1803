"""The hasher of the routes for users: as many iterations as the environment says, as for the peers."""

import os

from django.contrib.auth.hashers import PBKDF2PasswordHasher


class PBKDF2(PBKDF2PasswordHasher):
    iterations = int(os.environ["ITERATIONS"])
