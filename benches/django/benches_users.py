"""The routes of `benches/src/bin/users.rs`."""

from django.contrib.auth import authenticate, get_user_model, login
from django.contrib.auth.decorators import login_required
from django.http import HttpResponseForbidden
from django.urls import path
from django.views.decorators.http import require_POST

from site_under_test import benchmarks
from site_under_test.benchmarks import plain


def fill(request):
    benchmarks.fill(request)
    # Those of the standard session are nobody's.
    for key in ("_auth_user_id", "_auth_user_backend", "_auth_user_hash"):
        del request.session[key]
    login(request, get_user_model().objects.get(username="mei"))
    return plain("ok")


@login_required
def user(request):
    return plain(request.user.username)


@require_POST
def log_in(request):
    proven = authenticate(request, username=request.POST["username"], password=request.POST["password"])
    if proven is None:
        return HttpResponseForbidden()
    login(request, proven)
    return plain(proven.username)


urlpatterns = [
    path("bench/fill", fill),
    path("bench/user", user),
    path("bench/login", log_in),
]
