"""Every part of the contract is a module with its own `urlpatterns`; add a module here to serve it."""

from . import benchmarks, operations, signed

PARTS = (operations, benchmarks, signed)

urlpatterns = [pattern for part in PARTS for pattern in part.urlpatterns]
