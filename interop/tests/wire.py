"""Messages past Celery's client: put into a queue as they are, however wrong, and looked at as they lie there."""

import base64
import json
import sqlite3
from dataclasses import dataclass, field

import kombu
import redis

import services


@dataclass
class Message:
    body: bytes
    headers: dict = field(default_factory=dict)
    content_type: str = "application/json"
    content_encoding: str = "utf-8"
    properties: dict = field(default_factory=dict)


def wire(place):
    """That of a place's broker."""
    kinds = {"amqp+rpc": Amqp, "amqp+redis": Amqp, "sqlite": Sqlite}
    return kinds.get(place.kind, Redis)(place.settings["CELERY_BROKER_URL"])


class Wire:
    def __init__(self, url):
        self.connection = kombu.Connection(url)
        self.producer = self.connection.Producer()

    def put(self, queue, message):
        self.producer.publish(
            message.body,
            exchange="",
            routing_key=queue,
            content_type=message.content_type,
            content_encoding=message.content_encoding,
            headers=message.headers,
            **{"delivery_mode": 2} | message.properties,
        )

    def close(self):
        self.connection.release()


class Redis(Wire):
    """Lists, in which kombu keeps an object in JSON for each message."""

    def __init__(self, url):
        super().__init__(url)
        self.redis = redis.Redis.from_url(url)

    def put_raw(self, queue, text):
        self.redis.lpush(queue, text)

    def count(self, queue):
        return self.redis.llen(queue)

    def raw(self, queue):
        """What lies there, at every priority; the oldest first."""
        keys = [queue, *[f"{queue}\x06\x16{step}" for step in (3, 6, 9)]]
        return [text for key in keys for text in reversed(self.redis.lrange(key, 0, -1))]

    def look(self, queue):
        return [enveloped(text) for text in self.raw(queue)]


class Sqlite(Wire):
    """Rows, with the same objects."""

    def __init__(self, url):
        super().__init__(url)
        self.path = url.removeprefix("sqla+sqlite:///")

    def query(self, statement, *values):
        with sqlite3.connect(self.path, timeout=20) as database:
            return database.execute(statement, values).fetchall()

    def put_raw(self, queue, text):
        self.query(
            "insert into kombu_message (queue_id, visible, timestamp, payload, version)"
            " select id, 1, datetime(), ?, 1 from kombu_queue where name = ?",
            text,
            queue,
        )

    def count(self, queue):
        return len(self.raw(queue))

    def raw(self, queue):
        rows = self.query(
            "select payload from kombu_message join kombu_queue on kombu_queue.id = queue_id where name = ? and visible order by kombu_message.id",
            queue,
        )
        return [text for [text] in rows]

    def look(self, queue):
        return [enveloped(text) for text in self.raw(queue)]


def enveloped(text):
    envelope = json.loads(text)
    assert envelope["properties"].get("body_encoding") == "base64"
    return Message(
        base64.b64decode(envelope["body"]),
        envelope["headers"],
        envelope["content-type"],
        envelope["content-encoding"],
        envelope["properties"],
    )


class Amqp(Wire):
    """Queues of RabbitMQ's: who looks takes, and gives back."""

    put_raw = None

    def count(self, queue):
        try:
            return self.connection.default_channel.queue_declare(queue, passive=True).message_count
        except self.connection.channel_errors:
            # There is none yet, and the channel is closed for the question.
            self.connection.default_channel.close()
            self.connection._default_channel = None
            self.producer = self.connection.Producer()
            return 0

    def look(self, queue):
        with self.connection.channel() as channel:
            channel.auto_decode = False
            found = []
            while (got := channel.basic_get(queue)) is not None:
                found.append(got)
            # With the channel, all go back.
            return [self.message(got) for got in found]

    @staticmethod
    def message(got):
        properties = dict(got.properties)
        return Message(
            # An empty one is a text.
            bytes(got.body or b""),
            properties.pop("application_headers", {}),
            properties.pop("content_type", None),
            properties.pop("content_encoding", None),
            properties,
        )
