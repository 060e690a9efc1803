"""Every part of the contract is a module with its own `urlpatterns`; add a module here to serve it."""

from . import accounts, benchmarks, context, csrf, messages_, operations, signed, tasks

PARTS = (operations, benchmarks, signed, accounts, csrf, messages_, context, tasks)

urlpatterns = [pattern for part in PARTS for pattern in part.urlpatterns]
