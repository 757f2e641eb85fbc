-- One writer, ingest: it holds an advisory lock for as long as it writes.

-- A gate's machine, by the name in its certificate.
CREATE TABLE device (
    device text PRIMARY KEY,
    tenant text,
    studio text,
    first_seen timestamptz NOT NULL DEFAULT now(),
    state jsonb,            -- its health, as it was last sent
    state_at timestamptz,
    online boolean NOT NULL DEFAULT false,
    online_at timestamptz,  -- since when it is online or offline
    session text,
    replaced text[] NOT NULL DEFAULT '{}'  -- earlier processes, the latest last
);

-- A journal as it is committed: the mark is the number of its last event here. `mark_id` outlives the event.
CREATE TABLE journal (
    device text NOT NULL REFERENCES device,
    journal text NOT NULL,
    generation integer NOT NULL,
    mark bigint NOT NULL,
    mark_id uuid,
    opened_at timestamptz NOT NULL,
    moved_at timestamptz NOT NULL DEFAULT now(),
    pruned bigint NOT NULL DEFAULT 0,  -- numbers that the gate had pruned before they could be sent
    PRIMARY KEY (device, journal, generation)
);

-- The event as `gatectl events --json` prints it, without what stays at the gate. Fields that this version does
-- not know, or whose value is not of the column's kind, are in `extra`.
CREATE TABLE event (
    id uuid PRIMARY KEY,
    journal text NOT NULL,
    generation integer NOT NULL,
    number bigint NOT NULL,
    device text NOT NULL,
    kind text NOT NULL,
    at timestamptz NOT NULL,
    "of" text,
    tenant text,
    studio text,
    door text,
    scanner text,
    credential text,
    partner text,
    member text,
    customer text,
    result text,
    basis text,
    message text,
    verdict text,
    status integer,
    fault text,
    detail text,
    reason jsonb,
    outage boolean,
    request jsonb,
    gate jsonb,
    extra jsonb,
    -- Another event has the same number: two machines write under one name.
    conflict boolean NOT NULL DEFAULT false,
    -- Ascends in the order of the commits, as there is one writer: readers go by it.
    received bigint GENERATED ALWAYS AS IDENTITY,
    received_at timestamptz NOT NULL DEFAULT now()
);
CREATE UNIQUE INDEX event_number ON event (journal, generation, number) WHERE NOT conflict;
CREATE UNIQUE INDEX event_received ON event (received);
CREATE INDEX event_studio ON event (studio, at);
CREATE INDEX event_device ON event (device, at);
CREATE INDEX event_member ON event (member, at) WHERE member IS NOT NULL;
CREATE INDEX event_result ON event (result, at);
CREATE INDEX event_received_at ON event USING brin (received_at);

-- What people at head office should know, once for each device and kind.
CREATE TABLE alarm (
    device text NOT NULL REFERENCES device,
    kind text NOT NULL,  -- two_machines, new_generation, pruned, refused
    first_at timestamptz NOT NULL DEFAULT now(),
    last_at timestamptz NOT NULL DEFAULT now(),
    count bigint NOT NULL DEFAULT 1,
    about text NOT NULL,
    PRIMARY KEY (device, kind)
);
