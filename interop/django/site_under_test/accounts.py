"""`/auth/*`: users, their passwords and their permissions, each a call or two of django.contrib.auth."""

from django.contrib import auth
from django.contrib.auth import hashers
from django.contrib.auth.decorators import login_required, permission_required
from django.contrib.auth.tokens import default_token_generator
from django.http import JsonResponse
from django.urls import path
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_GET, require_POST

from .forms import field
from .requests_in_json import Refused, refusing


def user_named(name):
    return auth.get_user_model()._default_manager.filter(username=name).first()


def existing_user_named(name):
    user = user_named(name)
    if user is None:
        raise Refused(f"no user is called {name!r}")
    return user


@csrf_exempt
@require_POST
@refusing
def log_in(request):
    user = auth.authenticate(
        request, username=field(request.POST, "username"), password=field(request.POST, "password")
    )
    if user is None:
        return JsonResponse({"user": None}, status=403)
    auth.login(request, user)
    return JsonResponse({"user": user.get_username()})


@csrf_exempt
@require_POST
def log_out(request):
    auth.logout(request)
    return JsonResponse({})


@require_GET
def current_user(request):
    user = request.user
    return JsonResponse(
        {
            "id": user.pk,
            "username": user.get_username() or None,
            "is_authenticated": user.is_authenticated,
            "is_staff": user.is_staff,
            "is_superuser": user.is_superuser,
            "permissions": sorted(user.get_all_permissions()),
        }
    )


@require_GET
@login_required
def required(request):
    return JsonResponse({"user": request.user.get_username()})


@require_GET
def with_permission(request, permission):
    @permission_required(permission, raise_exception=True)
    def allowed(request):
        return JsonResponse({})

    return allowed(request)


@csrf_exempt
@require_POST
@refusing
def change_password(request):
    if not request.user.is_authenticated:
        return JsonResponse({"user": None}, status=403)
    request.user.set_password(field(request.POST, "password"))
    request.user.save()
    auth.update_session_auth_hash(request, request.user)
    return JsonResponse({})


@csrf_exempt
@require_POST
@refusing
def set_password(request):
    user = existing_user_named(field(request.POST, "username"))
    user.set_password(field(request.POST, "password"))
    user.save()
    return JsonResponse({})


@csrf_exempt
@require_POST
@refusing
def make(request):
    users = auth.get_user_model()._default_manager
    create = users.create_superuser if request.POST.get("superuser") == "true" else users.create_user
    create(username=field(request.POST, "username"), password=field(request.POST, "password"))
    return JsonResponse({})


@require_GET
@refusing
def reset_token(request):
    return JsonResponse({"token": default_token_generator.make_token(existing_user_named(field(request.GET, "username")))})


@require_GET
@refusing
def check_reset_token(request):
    user = user_named(field(request.GET, "username"))
    return JsonResponse({"valid": default_token_generator.check_token(user, field(request.GET, "token"))})


@csrf_exempt
@require_POST
@refusing
def make_hash(request):
    password, algorithm = field(request.POST, "password"), field(request.POST, "algorithm")
    try:
        return JsonResponse({"encoded": hashers.make_password(password, hasher=algorithm)})
    except ValueError as error:
        raise Refused(str(error)) from error


@csrf_exempt
@require_POST
@refusing
def check(request):
    password, encoded = field(request.POST, "password"), field(request.POST, "encoded")
    try:
        return JsonResponse({"valid": hashers.check_password(password, encoded)})
    except Exception:
        # Where only the algorithm can be read, Django lets the hashers' own errors through; the contract knows none.
        return JsonResponse({"valid": False})


urlpatterns = [
    path("auth/login", log_in),
    path("auth/logout", log_out),
    path("auth/user", current_user),
    path("auth/required", required),
    path("auth/perm/<permission>", with_permission),
    path("auth/password", change_password),
    path("auth/set-password", set_password),
    path("auth/make", make),
    path("auth/reset-token", reset_token),
    path("auth/check-reset-token", check_reset_token),
    path("auth/hash", make_hash),
    path("auth/check", check),
]
