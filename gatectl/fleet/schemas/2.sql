-- The monitor's list: the newest scan of all gates first.
CREATE INDEX event_at ON event (at, received);
