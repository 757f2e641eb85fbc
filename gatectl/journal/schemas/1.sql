-- Version 1 of the store. A scan is two rows: the attempt, on disk before anything leaves, and the
-- outcome. Nothing is ever changed; only what is older than the mark `kept_from_us` may be deleted.

CREATE TABLE attempts (
    seq        INTEGER PRIMARY KEY AUTOINCREMENT, -- the order of the scans, whatever the clock did
    id         TEXT    NOT NULL UNIQUE,           -- UUIDv7
    kind       TEXT    NOT NULL CHECK (kind IN ('scan', 'manual')),
    at_us      INTEGER NOT NULL,                  -- when the code was complete, µs since the epoch
    tenant     TEXT    NOT NULL,
    studio     TEXT    NOT NULL,
    door       TEXT    NOT NULL,
    scanner    TEXT,
    credential TEXT,
    partner    TEXT,
    member     TEXT,
    budget_ms  INTEGER,                           -- null where nobody was going to be asked
    boot       TEXT    NOT NULL,                  -- the kernel's boot ID, 32 hex digits: systemd's _BOOT_ID
    since_boot_us INTEGER NOT NULL                -- at_us on the clock that nobody sets (CLOCK_BOOTTIME)
) STRICT;

CREATE INDEX attempts_by_member ON attempts (member, partner, seq); -- "his last scans"; settling
CREATE INDEX attempts_by_time ON attempts (at_us);                  -- --since, pruning

CREATE TABLE outcomes (
    ended       INTEGER PRIMARY KEY AUTOINCREMENT, -- the order of the decisions; what -f follows
    seq         INTEGER NOT NULL UNIQUE REFERENCES attempts (seq),
    result      TEXT    NOT NULL CHECK (result IN ('admitted', 'rejected', 'unknown')),
    message     TEXT    NOT NULL,
    verdict     TEXT CHECK (verdict IN ('allowed', 'not_allowed', 'not_found', 'none')),
    status      INTEGER,
    fault       TEXT,
    reason_key  TEXT,
    reason_text TEXT,
    outage      INTEGER NOT NULL DEFAULT 0,
    asked       INTEGER NOT NULL DEFAULT 0,        -- whether a request was tried; its record follows
    sent        INTEGER,                           -- null: not recorded
    sent_us     INTEGER,
    answered_us INTEGER,                           -- null exactly where no whole answer came
    elapsed_ms  REAL,
    connection  TEXT CHECK (connection IN ('warm', 'new')),
    opened_us   INTEGER,
    after_ms    REAL,
    open_ms     INTEGER
) STRICT;

CREATE TABLE cards (
    key     TEXT PRIMARY KEY, -- the code as compared: hex card numbers in capitals
    code    TEXT NOT NULL,    -- the code as enrolled
    partner TEXT NOT NULL,
    member  TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- What may change: `kept_from_us`, events before it may be deleted; `closed_to_seq`, every attempt up
-- to it has its outcome (so a start looks at the last run alone).
CREATE TABLE marks (
    name  TEXT PRIMARY KEY,
    value INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
INSERT INTO marks VALUES ('kept_from_us', 0), ('closed_to_seq', 0);

CREATE VIEW events AS
SELECT a.seq, o.ended, a.id, a.kind, a.at_us, a.tenant, a.studio, a.door, a.scanner, a.credential,
       a.partner, a.member, o.result, o.message, o.verdict, o.status, o.fault, o.reason_key,
       o.reason_text, o.outage, o.asked, o.sent, o.sent_us, o.answered_us, o.elapsed_ms, a.budget_ms,
       o.connection, o.opened_us, o.after_ms, o.open_ms, a.boot, a.since_boot_us
FROM attempts AS a JOIN outcomes AS o ON o.seq = a.seq;

CREATE TRIGGER attempts_are_final BEFORE UPDATE ON attempts
BEGIN SELECT RAISE(ABORT, 'the journal is append-only'); END;

CREATE TRIGGER outcomes_are_final BEFORE UPDATE ON outcomes
BEGIN SELECT RAISE(ABORT, 'the journal is append-only'); END;

CREATE TRIGGER attempts_are_kept BEFORE DELETE ON attempts
WHEN OLD.at_us >= (SELECT value FROM marks WHERE name = 'kept_from_us')
BEGIN SELECT RAISE(ABORT, 'the journal is append-only'); END;

CREATE TRIGGER outcomes_are_kept BEFORE DELETE ON outcomes
WHEN (SELECT at_us FROM attempts WHERE seq = OLD.seq) >= (SELECT value FROM marks WHERE name = 'kept_from_us')
BEGIN SELECT RAISE(ABORT, 'the journal is append-only'); END;
