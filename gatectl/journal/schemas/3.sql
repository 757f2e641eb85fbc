-- Version 3: the exchange's evidence for Support. An outcome of before has none. There are no checks, which
-- would have to read all rows of a year at the first start.

ALTER TABLE outcomes ADD COLUMN evident INTEGER NOT NULL DEFAULT 0; -- whether what follows was recorded
ALTER TABLE outcomes ADD COLUMN dialled_us INTEGER;  -- when the look-up began; null: no connection was begun
ALTER TABLE outcomes ADD COLUMN look_up_ms REAL;     -- null, here and below: not done
ALTER TABLE outcomes ADD COLUMN stale INTEGER;       -- whether the addresses were an earlier answer's
ALTER TABLE outcomes ADD COLUMN connect_ms REAL;
ALTER TABLE outcomes ADD COLUMN tls_ms REAL;         -- null also without TLS
ALTER TABLE outcomes ADD COLUMN body_bytes INTEGER;  -- null: no whole answer came
ALTER TABLE outcomes ADD COLUMN body_sha256 BLOB;    -- null also of a body that names somebody

DROP VIEW events;
CREATE VIEW events AS
SELECT a.seq, o.ended, a.id, a.kind, a.at_us, a.tenant, a.studio, a.door, a.scanner, a.credential,
       a.partner, a.member, o.result, o.message, o.verdict, o.status, o.fault, o.reason_key,
       o.reason_text, o.outage, o.asked, o.sent, o.sent_us, o.answered_us, o.elapsed_ms, a.budget_ms,
       o.connection, o.opened_us, o.after_ms, o.open_ms, a.boot, a.since_boot_us,
       o.evident, o.dialled_us, o.look_up_ms, o.stale, o.connect_ms, o.tls_ms, o.body_bytes, o.body_sha256
FROM attempts AS a JOIN outcomes AS o ON o.seq = a.seq;
