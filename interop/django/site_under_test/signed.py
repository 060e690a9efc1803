"""`POST /signing/*`: django.core.signing over HTTP."""

from django.core import signing
from django.http import JsonResponse
from django.urls import path
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST

from .requests_in_json import Refused, body_of, refusing


def fields(request, required, optional):
    body = body_of(request, dict)
    for name, kind in (required | optional).items():
        if name not in body:
            if name in required:
                raise Refused(f"{name} is missing")
        elif not isinstance(body[name], kind) or (kind is int and isinstance(body[name], bool)):
            raise Refused(f"{name} is of the wrong type")
    return body


@csrf_exempt
@require_POST
@refusing
def dumps(request):
    body = fields(request, {"obj": object, "salt": str, "compress": bool}, {})
    return JsonResponse({"value": signing.dumps(body["obj"], salt=body["salt"], compress=body["compress"])})


@csrf_exempt
@require_POST
@refusing
def loads(request):
    body = fields(request, {"value": str, "salt": str}, {"max_age": int})
    try:
        loaded = signing.loads(body["value"], salt=body["salt"], max_age=body.get("max_age"))
    except signing.SignatureExpired:
        return JsonResponse({"error": "SignatureExpired"}, status=400)
    except Exception:
        # Django lets the errors of base64, zlib and JSON through; the contract has one name for them.
        return JsonResponse({"error": "BadSignature"}, status=400)
    return JsonResponse({"obj": loaded})


urlpatterns = [path("signing/dumps", dumps), path("signing/loads", loads)]
