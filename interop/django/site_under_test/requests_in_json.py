"""Reading what a request holds, and refusing what the contract does not allow, before anything runs."""

import json

from django.http import JsonResponse


class Refused(Exception):
    """The request does not keep to the contract: 400, and nothing has changed."""


def body_of(request, kind):
    """The request's JSON body, which must be a `kind` (list or dict)."""
    try:
        value = json.loads(request.body, parse_constant=refuse_constant)
    except (ValueError, RecursionError):
        raise Refused("the body is no JSON") from None
    if not isinstance(value, kind):
        raise Refused(f"the body is no JSON {'array' if kind is list else 'object'}")
    return value


def refuse_constant(name):
    # Python reads NaN and Infinity, which JSON does not have.
    raise ValueError(name)


def refusing(view):
    """Answers 400 where `view` raises Refused."""

    def answer(request, *arguments, **keywords):
        try:
            return view(request, *arguments, **keywords)
        except Refused as refusal:
            return JsonResponse({"error": str(refusal)}, status=400)

    return answer
