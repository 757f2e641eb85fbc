-- Whether ingest reaches the broker, for the monitor: while it does not, no gate can be heard.
CREATE TABLE broker (
    only_one boolean PRIMARY KEY DEFAULT true CHECK (only_one),
    connected boolean NOT NULL,
    since timestamptz NOT NULL DEFAULT now(),
    lost_at timestamptz  -- when the connection was lost last
);
