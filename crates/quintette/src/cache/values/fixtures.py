"""Writes fixtures.json: one session as each serializer and compressor of django-redis writes it.

Needs django, django-redis, lz4 and pyzstd:

    python fixtures.py > fixtures.json
"""

import json
import lzma

import django
from django.conf import settings

SESSION = {
    "_auth_user_id": "1",
    "cart": [{"sku": "book", "price": 0.1}, None, True],
    "name": "\ud55c\uad6d",
    "large": 2**70,
    "text": "to be repeated, " * 20,
}
SERIALIZERS = ["pickle.Pickle", "json.JSON"]
COMPRESSORS = ["identity.Identity", "zlib.Zlib", "gzip.Gzip", "lz4.Lz4", "lzma.Lzma", "zstd.ZStd"]


def written(serializer, compressor):
    options = {
        "SERIALIZER": f"django_redis.serializers.{serializer}Serializer",
        "COMPRESSOR": f"django_redis.compressors.{compressor}Compressor",
    }
    from django_redis.cache import RedisCache

    client = RedisCache("redis://127.0.0.1", {"OPTIONS": options}).client
    return {
        "serializer": options["SERIALIZER"],
        "compressor": options["COMPRESSOR"],
        "session": client.encode(SESSION).hex(),
        "short": client.encode({}).hex(),
        "none": client.encode(None).hex(),
        "bomb": compressor == "lzma.Lzma" and lzma.compress(b" " * ((16 << 20) + 1), preset=4).hex() or None,
    }


settings.configure()
django.setup()
print(json.dumps([written(s, c) for s in SERIALIZERS for c in COMPRESSORS], indent=1))
