-- Version 1 of the store. An event is two rows: the attempt, on disk before anything leaves, and the outcome.
-- Nothing is changed but what `gatectl erase` takes out; only what is older than the mark `kept_from_us` may be
-- deleted. A new kind of event, result or fault is a new value: it needs no new version.

PRAGMA application_id = 0x67617465; -- "gate" at byte 68 of the file: a gatectl store, also to file(1)

CREATE TABLE journal (
    id       TEXT NOT NULL, -- 32 hex digits, made with the store: two stores never have the same
    carrying TEXT           -- the damaged store's file beside this one whose events are not all here yet
) STRICT;
INSERT INTO journal VALUES (lower(hex(randomblob(16))), NULL);

CREATE TABLE attempts (
    seq        INTEGER PRIMARY KEY AUTOINCREMENT, -- the order of the attempts, whatever the clock did
    id         TEXT    NOT NULL,                  -- UUIDv7
    kind       TEXT    NOT NULL,                  -- scan, manual
    at_us      INTEGER NOT NULL,                  -- when the code was complete, µs since the epoch
    "of"       TEXT,                              -- the ID of the event that this one belongs to
    tenant     TEXT    NOT NULL,
    studio     TEXT    NOT NULL,
    door       TEXT    NOT NULL,
    scanner    TEXT,
    credential TEXT,
    partner    TEXT,
    member     TEXT,
    customer   TEXT,
    budget_ms  INTEGER,                           -- null where nobody was going to be asked
    boot       TEXT    NOT NULL,                  -- the kernel's boot ID, 32 hex digits: systemd's _BOOT_ID
    since_boot_us INTEGER NOT NULL                -- at_us on the clock that nobody sets (CLOCK_BOOTTIME)
) STRICT;

-- No index belongs to a constraint of its table: each can be made anew where it is damaged.
-- A column's index holds `seq` behind it, so the newest come first.
CREATE UNIQUE INDEX attempts_by_id ON attempts (id);
CREATE INDEX attempts_by_member ON attempts (member, partner, seq); -- "his last scans"; settling
CREATE INDEX attempts_by_time ON attempts (at_us);                  -- --since, pruning
CREATE INDEX attempts_by_door ON attempts (door);
CREATE INDEX attempts_by_partner ON attempts (partner);
CREATE INDEX attempts_of_modes ON attempts (seq) WHERE kind = 'mode';  -- the orders that still count at a start
CREATE INDEX attempts_of ON attempts ("of") WHERE "of" IS NOT NULL;

CREATE TABLE outcomes (
    ended       INTEGER PRIMARY KEY, -- the order of the decisions, without a gap, never used twice; what -f follows
    seq         INTEGER NOT NULL REFERENCES attempts (seq),
    result      TEXT    NOT NULL,
    basis       TEXT,                              -- why the gate opened; null where it did not
    message     TEXT    NOT NULL,
    verdict     TEXT CHECK (verdict IN ('allowed', 'not_allowed', 'not_found', 'none')),
    status      INTEGER,
    fault       TEXT,
    detail      TEXT,
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
    open_ms     INTEGER,
    evident     INTEGER NOT NULL DEFAULT 0,        -- whether the exchange's evidence, which follows, was recorded
    dialled_us  INTEGER,                           -- when the look-up began; null: no connection was begun
    look_up_ms  REAL,                              -- null, here and below: not done
    stale       INTEGER,                           -- whether the addresses were an earlier answer's
    connect_ms  REAL,
    tls_ms      REAL,                              -- null also without TLS
    body_bytes  INTEGER,                           -- null: no whole answer came
    body_sha256 BLOB,                              -- null also of a body that names somebody
    facts       TEXT CHECK (json_type(facts) = 'object') -- what only some kinds of events have
) STRICT;

CREATE UNIQUE INDEX outcomes_by_attempt ON outcomes (seq);
CREATE INDEX outcomes_by_result ON outcomes (result, seq);
CREATE INDEX outcomes_of_grace ON outcomes (seq) WHERE basis = 'grace'; -- the list for settling an outage

-- With row IDs, whose trees have all rows in their leaves: what leads to them can be lost without a card.
CREATE TABLE cards (
    key      TEXT NOT NULL, -- the code as compared: hex card numbers in capitals
    code     TEXT NOT NULL, -- the code as enrolled
    partner  TEXT NOT NULL,
    member   TEXT NOT NULL,
    customer TEXT           -- null where the partner needs none
) STRICT;
CREATE UNIQUE INDEX cards_by_key ON cards (key);

-- The values that may change: events before `kept_from_us` may be deleted; every attempt up to `closed_to_seq`
-- has its outcome (so a start looks at the last run alone); decisions up to the number `pruned_to` were pruned
-- (so numbers go on where nothing is left); `erasing` is 1 inside the transaction of an erasure, and only there;
-- `purge_due` is 1 until the file's unused parts are rid of what was erased.
-- A store that took the place of a damaged one says when (`damaged_us`), how many cards and events it has of it,
-- and that its own decisions begin behind the number `carried_to`; `damaged_us` is 0 once somebody knows.
CREATE TABLE marks (
    name  TEXT PRIMARY KEY,
    value INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
INSERT INTO marks VALUES ('kept_from_us', 0), ('closed_to_seq', 0), ('pruned_to', 0), ('erasing', 0),
    ('purge_due', 0), ('damaged_us', 0), ('damaged_cards', 0), ('damaged_events', 0), ('carried_to', 0);

CREATE VIEW events AS
SELECT a.seq, o.ended, a.id, a.kind, a.at_us, a."of", a.tenant, a.studio, a.door, a.scanner, a.credential,
       a.partner, a.member, a.customer, o.result, o.basis, o.message, o.verdict, o.status, o.fault, o.detail,
       o.reason_key, o.reason_text, o.outage, o.asked, o.sent, o.sent_us, o.answered_us, o.elapsed_ms,
       a.budget_ms, o.connection, o.opened_us, o.after_ms, o.open_ms, a.boot, a.since_boot_us,
       o.evident, o.dialled_us, o.look_up_ms, o.stale, o.connect_ms, o.tls_ms, o.body_bytes, o.body_sha256,
       o.facts
FROM attempts AS a JOIN outcomes AS o ON o.seq = a.seq;

CREATE TRIGGER attempts_are_final BEFORE UPDATE OF
    seq, id, kind, at_us, "of", tenant, studio, door, scanner, partner, budget_ms, boot, since_boot_us ON attempts
BEGIN SELECT RAISE(ABORT, 'the journal is append-only'); END;

CREATE TRIGGER outcomes_are_final BEFORE UPDATE OF
    ended, seq, result, basis, verdict, status, fault, outage, asked, sent, sent_us, answered_us, elapsed_ms,
    connection, opened_us, after_ms, open_ms, evident, dialled_us, look_up_ms, stale, connect_ms, tls_ms,
    body_bytes ON outcomes
BEGIN SELECT RAISE(ABORT, 'the journal is append-only'); END;

CREATE TRIGGER attempts_keep_whose_they_are BEFORE UPDATE OF credential, member, customer ON attempts
WHEN (SELECT value FROM marks WHERE name = 'erasing') = 0
BEGIN SELECT RAISE(ABORT, 'the journal is append-only'); END;

CREATE TRIGGER outcomes_keep_their_words BEFORE UPDATE OF
    message, detail, reason_key, reason_text, body_sha256, facts ON outcomes
WHEN (SELECT value FROM marks WHERE name = 'erasing') = 0
BEGIN SELECT RAISE(ABORT, 'the journal is append-only'); END;

CREATE TRIGGER attempts_are_kept BEFORE DELETE ON attempts
WHEN OLD.at_us >= (SELECT value FROM marks WHERE name = 'kept_from_us')
BEGIN SELECT RAISE(ABORT, 'the journal is append-only'); END;

CREATE TRIGGER outcomes_are_kept BEFORE DELETE ON outcomes
WHEN (SELECT at_us FROM attempts WHERE seq = OLD.seq) >= (SELECT value FROM marks WHERE name = 'kept_from_us')
BEGIN SELECT RAISE(ABORT, 'the journal is append-only'); END;
