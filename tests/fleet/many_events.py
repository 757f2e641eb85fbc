"""Make a database of many events: for the tests of what a page reads, and for scripts/fleet-bench --stored N.

PostgreSQL makes the events itself, in the tables and with the indexes that ingest makes.
"""

import hashlib
import json

import psycopg
from office_rig import Office, status

GATES = 1000
STUDIOS = 500
MEMBERS = 500_000
DAYS = 90
RARE = 1_000_000
"""One event in so many has a kind, a result, a basis, a door or a partner of its own: the worst case for
a filter: the list would go on to the last event."""

CHUNK = 250_000

FILL_OPTIONS = ("fsync=off", "synchronous_commit=off", "full_page_writes=off", "max_wal_size=8GB")
FILL_OPTIONS += ("shared_buffers=1GB", "maintenance_work_mem=1GB", "autovacuum=off")

_DEVICES = f"""
INSERT INTO device (device, tenant, studio, online, online_at, state, state_at)
SELECT 'gate-' || n, 'FitCo GmbH', 'Studio ' || n %% {STUDIOS}, true, now(), %s, now()
FROM generate_series(0, {GATES - 1}) n
"""

# A tenth of the gates has a third of the scans, as in a city. IDs ascend, as UUIDs of version 7 do.
_EVENTS = f"""
INSERT INTO event (id, journal, generation, number, device, kind, at, tenant, studio, door, scanner,
    credential, partner, member, result, basis, message, verdict, status, outage, request, gate, received_at)
SELECT (lpad(to_hex((extract(epoch FROM at) * 1000)::bigint), 12, '0')
        || '7' || lpad(to_hex(n %% 4096), 3, '0') || '8' || substr(md5(n::text), 1, 15))::uuid,
    md5(gate::text), 1, n, 'gate-' || gate, CASE n %% {RARE} WHEN 1 THEN 'manual' ELSE 'scan' END, at,
    'FitCo GmbH', 'Studio ' || gate %% {STUDIOS}, CASE n %% {RARE} WHEN 2 THEN 'side' ELSE 'main' END,
    '/dev/ttyUSB0', 'p:' || md5('c' || member),
    CASE n %% {RARE} WHEN 3 THEN 'house' ELSE (ARRAY['wellhub', 'wellpass', 'egym'])[1 + n %% 3] END,
    'p:' || md5('m' || member),
    CASE WHEN n %% {RARE} = 4 THEN 'unknown' WHEN n %% 12 = 0 THEN 'rejected' ELSE 'admitted' END,
    CASE n %% {RARE} WHEN 5 THEN 'grace' ELSE 'partner' END, 'Aggregator member checked in', 'allowed', 200,
    false, jsonb_build_object('sent', true, 'sent_at', at, 'answered_at', at, 'elapsed_ms', 80 + n %% 100,
        'budget_ms', 2000, 'connection', 'warm'),
    jsonb_build_object('opened_at', at, 'after_ms', 1.5, 'open_ms', 3000), at + interval '0.3 s'
FROM (SELECT n, CASE WHEN random() < 0.25 THEN floor(random() * {GATES // 10})
            ELSE floor(random() * {GATES}) END::integer AS gate,
        floor(random() * {MEMBERS})::integer AS member,
        now() - make_interval(days => {DAYS}) + make_interval(secs => {DAYS} * 86400.0 * n / %s - 1) AS at
    FROM generate_series(%s::bigint, %s::bigint) n) AS made
"""


def fill(dsn, count):
    """Make the tables and so many events; indexes that only speed up reading are made at the end."""
    Office(dsn).close()  # ingest makes the tables
    with psycopg.connect(dsn, autocommit=True) as connection:
        indexes = connection.execute(
            "SELECT indexname, indexdef FROM pg_indexes WHERE tablename = 'event'"
            " AND indexname NOT IN (SELECT conname FROM pg_constraint)"
        ).fetchall()
        for name, _ in indexes:
            connection.execute(f"DROP INDEX {name}")
        connection.execute(_DEVICES, (json.dumps({"status": status(), "version": "1.0", "last": 1}),))
        for first in range(1, count + 1, CHUNK):
            connection.execute(_EVENTS, (count, first, min(first + CHUNK - 1, count)))
        for _, definition in indexes:
            connection.execute(definition)
        connection.execute("VACUUM ANALYZE")


def hashed(kind, number):
    """The pseudonym of a made member (`m`) or credential (`c`)."""
    return f"p:{hashlib.md5(f'{kind}{number}'.encode(), usedforsecurity=False).hexdigest()}"
