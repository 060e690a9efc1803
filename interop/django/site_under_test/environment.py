"""Django settings from the environment, under their Django names: JSON, where a value is not a plain string."""

import difflib
import json
from urllib.parse import unquote, urlsplit

from django.conf import global_settings
from django.core.exceptions import ImproperlyConfigured

PREFIXES = ("SESSION_", "CSRF_", "MESSAGE_", "LOGIN_", "LOGOUT_", "AUTH", "PASSWORD_")
NAMES = (
    "ALLOWED_HOSTS",
    "CACHES",
    "DEBUG",
    "INTERNAL_IPS",
    "SECRET_KEY",
    "SECRET_KEY_FALLBACKS",
    "SECURE_PROXY_SSL_HEADER",
    "TIME_ZONE",
    "USE_TZ",
    "USE_X_FORWARDED_HOST",
    "USE_X_FORWARDED_PORT",
)

# What django-session-timeout reads; Django's own global settings do not list it.
SESSION_TIMEOUT = {
    "SESSION_EXPIRE_SECONDS": 0,
    "SESSION_EXPIRE_AFTER_LAST_ACTIVITY": False,
    "SESSION_EXPIRE_AFTER_LAST_ACTIVITY_GRACE_PERIOD": 1,
    "SESSION_TIMEOUT_REDIRECT": "",
}

# What django.contrib.messages has a default for, though Django's global settings do not list it.
MESSAGES = {"MESSAGE_LEVEL": 20, "MESSAGE_TAGS": {}}

# Settings that may be None, though their default is not.
OPTIONAL = ("CSRF_COOKIE_AGE",)

# Settings whose default, None, does not tell their type.
STRUCTURED = ("SECURE_PROXY_SSL_HEADER",)

DATABASE_ENGINES = {
    "sqlite": "django.db.backends.sqlite3",
    "postgres": "django.db.backends.postgresql",
    "postgresql": "django.db.backends.postgresql",
    "mysql": "django.db.backends.mysql",
    "mariadb": "django.db.backends.mysql",
}

DJANGO_REDIS_SENTINELS = "django_redis.pool.SentinelConnectionFactory"


def defaults():
    """Every setting the environment may give, with the default that tells its type."""
    known = {
        name: getattr(global_settings, name)
        for name in dir(global_settings)
        if name.isupper() and (name.startswith(PREFIXES) or name in NAMES)
    }
    return known | SESSION_TIMEOUT | MESSAGES


def settings_from(environment):
    """The settings that `environment` gives, each in its type."""
    known = defaults()
    for name in environment:
        if name.startswith("SESSION_") and name not in known:
            nearest = difflib.get_close_matches(name, known, n=1)
            hint = f"; did you mean {nearest[0]}?" if nearest else ""
            raise ImproperlyConfigured(f"{name} is no setting{hint}")
    settings = {
        name: parsed(name, environment[name], default)
        for name, default in known.items()
        if name in environment
    }
    if not settings.get("SECRET_KEY"):
        raise ImproperlyConfigured("SECRET_KEY is not set")
    if "DATABASE_URL" in environment:
        settings["DATABASES"] = {"default": database(environment["DATABASE_URL"])}
    if "CACHE_URL" in environment:
        settings["CACHES"] = {"default": cache(environment["CACHE_URL"])}
    caches = settings.get("CACHES", {}).values()
    for entry in caches:
        # Here, and nowhere in Django, a Cluster is an option of its Redis cache.
        if entry.get("OPTIONS", {}).get("cluster"):
            entry["BACKEND"] = "site_under_test.redis_servers.RedisClusterCache"
    if any("SENTINELS" in entry.get("OPTIONS", {}) for entry in caches):
        settings["DJANGO_REDIS_CONNECTION_FACTORY"] = DJANGO_REDIS_SENTINELS
    return settings


def parsed(name, text, default):
    if name in ("SESSION_COOKIE_SAMESITE", "CSRF_COOKIE_SAMESITE") and text.lower() == "false":
        return False
    if name in OPTIONAL and text == "null":
        return None
    if isinstance(default, str) or (default is None and name not in STRUCTURED):
        return None if text == "null" else text
    try:
        value = json.loads(text)
    except ValueError:
        raise ImproperlyConfigured(f"{name} holds {text!r}, which is not JSON") from None
    if isinstance(default, (bool, int)) and type(value) is not type(default):
        raise ImproperlyConfigured(f"{name} holds {text!r}, which is not of the type {type(default).__name__}")
    if name == "MESSAGE_TAGS":
        # JSON has no numbers for keys.
        return {int(level): tag for level, tag in value.items()}
    return tuple(value) if name in STRUCTURED and value is not None else value


def database(url):
    parts = urlsplit(url)
    if parts.scheme not in DATABASE_ENGINES:
        raise ImproperlyConfigured(f"DATABASE_URL holds {url!r}, whose scheme is none of {', '.join(DATABASE_ENGINES)}")
    engine = DATABASE_ENGINES[parts.scheme]
    if parts.scheme == "sqlite":
        return {"ENGINE": engine, "NAME": unquote(parts.path)}
    return {
        "ENGINE": engine,
        "NAME": unquote(parts.path.removeprefix("/")),
        "USER": unquote(parts.username or ""),
        "PASSWORD": unquote(parts.password or ""),
        "HOST": parts.hostname or "",
        "PORT": str(parts.port or ""),
    }


def cache(url):
    parts = urlsplit(url)
    scheme = parts.scheme
    if scheme in ("redis", "rediss"):
        return {"BACKEND": "django.core.cache.backends.redis.RedisCache", "LOCATION": url}
    if scheme == "redis+cluster":
        servers = [f"redis://{server}" for server in parts.netloc.split(",")]
        return {"BACKEND": "site_under_test.redis_servers.RedisClusterCache", "LOCATION": servers}
    if scheme == "redis+sentinel":
        return {"BACKEND": "site_under_test.redis_servers.RedisSentinelCache", "LOCATION": url}
    if scheme == "memcached":
        return {"BACKEND": "django.core.cache.backends.memcached.PyMemcacheCache", "LOCATION": parts.netloc}
    if scheme == "database":
        return {"BACKEND": "django.core.cache.backends.db.DatabaseCache", "LOCATION": parts.netloc}
    if scheme == "file":
        return {"BACKEND": "django.core.cache.backends.filebased.FileBasedCache", "LOCATION": unquote(parts.path)}
    if scheme == "locmem":
        return {"BACKEND": "django.core.cache.backends.locmem.LocMemCache", "LOCATION": parts.netloc}
    raise ImproperlyConfigured(
        f"CACHE_URL holds {url!r}, whose scheme is none of redis, rediss, redis+cluster, redis+sentinel, memcached, "
        "database, file, locmem"
    )
