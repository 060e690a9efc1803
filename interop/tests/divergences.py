"""Where the library differs from Django on purpose: every difference the comparison meets, with its reason.

Each entry's own behaviour is asserted in test_divergences.py.
"""

from collections.abc import Callable
from dataclasses import dataclass

from stores import STORING_ENGINES, engine_of


@dataclass
class Divergence:
    reason: str
    engines: tuple
    # Whether this sequence, under these settings, meets the difference.
    meets: Callable
    # The kinds of store that show it, or all of the engines.
    kinds: tuple | None = None


DIVERGENCES = [
    Divergence(
        "An unknown key never creates a session. Django, told to save every request, stores an empty session for each "
        "forged or outdated cookie of a request that does not look into it, so that anybody can fill the store.",
        STORING_ENGINES,
        lambda sequence, settings: settings.get("SESSION_SAVE_EVERY_REQUEST") and sequence.unread,
    ),
    Divergence(
        "A save under an unknown key is refused with `Vary: Cookie`, whatever the engine. Django's cache engine finds out "
        "without loading the session, which then does not count as accessed.",
        ("cache",),
        lambda sequence, settings: sequence.unread and {"op": "save"} in sequence.steps[0].operations,
    ),
    Divergence(
        "An expired session never creates a session. Django's file engine stores an empty one under a new key whenever "
        "it meets an expired file, even in a request that only reads.",
        ("file",),
        lambda sequence, settings: sequence.expired,
    ),
    Divergence(
        "Memcached counts time in 31 bits. An expiry beyond them lives as long as they last; in Django the entry is gone "
        "as soon as it is stored, and the visitor with it.",
        ("cache",),
        lambda sequence, settings: sequence.distant,
        kinds=("cache/memcached", "cache/memcached-pylibmc"),
    ),
]


def divergence(kind, sequence, settings):
    """The divergence that explains why the two differ here, or None where they must not."""
    shown = (d for d in DIVERGENCES if engine_of(kind) in d.engines and (d.kinds is None or kind in d.kinds))
    return next((d for d in shown if d.meets(sequence, settings)), None)
