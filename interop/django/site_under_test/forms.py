"""Reading the fields of a form or a query, and refusing what the contract does not allow."""

from .requests_in_json import Refused


def field(values, name):
    """The text of one field of `request.POST` or `request.GET`, which must be there."""
    try:
        return values[name]
    except KeyError:
        raise Refused(f"{name} is missing") from None
