"""A user model of the site's own, for `AUTH_USER_MODEL`."""

from django.contrib.auth.models import AbstractUser


class Customer(AbstractUser):
    """Django's user, in tables of another name."""
