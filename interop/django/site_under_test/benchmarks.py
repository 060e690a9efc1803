"""`GET /bench/*`: the smallest views that do one thing each, to be driven with load."""

from django.http import HttpResponse
from django.urls import path


def plain(value):
    return HttpResponse(str(value), content_type="text/plain")


def none(request):
    return plain("ok")


def fill(request):
    request.session.update(
        {
            "_auth_user_id": "42",
            "_auth_user_backend": "django.contrib.auth.backends.ModelBackend",
            "_auth_user_hash": "a" * 64,
            "cart": [
                {
                    "sku": f"SKU-{index:05}",
                    "qty": index + 1,
                    "price": "19.99",
                    "name": f"Product number {index} with a name",
                }
                for index in range(10)
            ],
            "n": 0,
        }
    )
    return plain("ok")


def read(request):
    return plain(request.session.get("n", 0))


def write(request):
    request.session["n"] = number = request.session.get("n", 0) + 1
    return plain(number)


def new(request):
    request.session["n"] = 1
    return plain("ok")


urlpatterns = [
    path("bench/none", none),
    path("bench/fill", fill),
    path("bench/read", read),
    path("bench/write", write),
    # Django has no atomic change of one key; this is how its users count.
    path("bench/incr", write),
    path("bench/new", new),
]
