"""Millions of sessions, written by the database itself: half of them expired, anywhere among the others."""

import random
import sqlite3

TABLE = "django_session"


class Rows:
    """The table of one contender's database, however many ways there are to ask."""

    def __init__(self, store, process):
        self.store, self.process = store, process
        self.database = (process.url or "").rsplit("/", 1)[1]

    def execute(self, statement):
        if self.store == "sqlite":
            with sqlite3.connect(self.process.url.removeprefix("sqlite://"), timeout=60) as connection:
                return "\n".join(str(row[0]) for row in connection.execute(statement))
        return self.process.servers[0].execute(statement, self.database)

    def count(self):
        return int(self.execute(f"SELECT count(*) FROM {TABLE}"))

    def fill(self, count):
        getattr(self, f"fill_{self.store}")(count)

    def fill_postgres(self, count):
        self.execute(f"""
            INSERT INTO {TABLE} SELECT md5(i::text), (SELECT session_data FROM {TABLE} LIMIT 1),
                now() + (CASE WHEN i % 2 = 0 THEN -1 ELSE 1 END) * (random() * 13 + 0.5) * interval '1 day'
            FROM generate_series(1, {count}) i""")
        self.execute(f"VACUUM ANALYZE {TABLE}")
        self.execute("CHECKPOINT")

    def fill_mariadb(self, count):
        # In the order of the keys, which is that of the rows: many times faster, and the same table in the end.
        self.execute(f"""
            INSERT INTO {TABLE} SELECT MD5(seq), (SELECT session_data FROM {TABLE} LIMIT 1),
                UTC_TIMESTAMP(6) + INTERVAL IF(seq % 2 = 0, -1, 1) * (RAND() * 13 + 0.5) * 86400 SECOND
            FROM seq_1_to_{count} ORDER BY 1""")
        self.execute(f"ANALYZE TABLE {TABLE}")

    def fill_sqlite(self, count):
        data = self.execute(f"SELECT session_data FROM {TABLE} LIMIT 1")
        keys = sorted(f"{random.getrandbits(128):032x}" for _ in range(count))
        expire_date = "strftime('%Y-%m-%d %H:%M:%f000', 'now', ? || ' seconds')"
        with sqlite3.connect(self.process.url.removeprefix("sqlite://"), timeout=60) as connection:
            connection.executemany(
                f"INSERT INTO {TABLE} VALUES (?, ?, {expire_date})",
                (
                    (key, data, (-1 if index % 2 == 0 else 1) * random.randint(43_200, 1_166_400))
                    for index, key in enumerate(keys)
                ),
            )
        self.execute("ANALYZE")
        self.execute("PRAGMA wal_checkpoint(TRUNCATE)")
