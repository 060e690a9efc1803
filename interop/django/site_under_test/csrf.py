"""`/csrf/*`: a token, a view behind the check, and one beside it."""

from django.http import HttpResponse, JsonResponse
from django.middleware.csrf import get_token
from django.urls import path
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_GET, require_POST


@require_GET
def token(request):
    return JsonResponse({"token": get_token(request)})


def protected(request):
    return HttpResponse("ok", content_type="text/plain")


@csrf_exempt
@require_POST
def exempt(request):
    return HttpResponse("ok", content_type="text/plain")


urlpatterns = [path("csrf/token", token), path("csrf/protected", protected), path("csrf/exempt", exempt)]
