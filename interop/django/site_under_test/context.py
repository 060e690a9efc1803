"""`GET /context`: a template that knows nothing but what the context processors give."""

from django.shortcuts import render
from django.urls import path
from django.views.decorators.http import require_GET


@require_GET
def context(request):
    return render(request, "context.html")


urlpatterns = [path("context", context)]
