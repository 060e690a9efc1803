"""Where the library differs from Django on purpose: every difference, in one place, with its reason."""

from dataclasses import dataclass


@dataclass
class Divergence:
    reason: str
    engines: tuple
    # Whether the sequence, under the given settings, shows the difference.
    shows: object

    def applies(self, engine, sequence, settings):
        return engine in self.engines and self.shows(sequence, settings)


def forged(sequence):
    return sequence.name.startswith("a cookie: ") or "elsewhere" in sequence.name or "forged" in sequence.name


def saved_every_time(sequence, settings):
    return settings.get("SESSION_SAVE_EVERY_REQUEST", False)


def unknown_key(sequence, settings):
    # An expired session is, to the next request, an unknown key.
    return forged(sequence) or "-1" in sequence.name or "-86400" in sequence.name or "past" in sequence.name


DIVERGENCES = [
    Divergence(
        "An unknown key never creates a session. Django, told to save every request, stores an empty session for each "
        "forged or outdated cookie, so that anybody can fill the store.",
        ("db", "cached_db", "cache", "file"),
        lambda sequence, settings: saved_every_time(sequence, settings)
        and (
            unknown_key(sequence, settings)
            or sequence.name in ("one character missing", "one character more", "a letter in an octal escape")
        ),
    ),
    Divergence(
        "An expired session never creates a session. Django's file engine stores an empty one under a new key whenever "
        "an expired file is read, even if the request only reads.",
        ("file",),
        lambda sequence, settings: unknown_key(sequence, settings) and not forged(sequence),
    ),
]


def divergence(engine, sequence, settings):
    """The divergence that explains why the two differ here, or None where they must not."""
    return next((d for d in DIVERGENCES if d.applies(engine, sequence, settings)), None)
