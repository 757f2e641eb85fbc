-- Each filter of the monitor finds its events by an index, also where the value is rare or not there at all:
-- else the list would look for its fifty rows through the whole table. Of most events' values there is no entry,
-- as enough of the newest events have them.
DROP INDEX event_result;
CREATE INDEX event_result ON event (result, at) WHERE result <> 'admitted';
CREATE INDEX event_kind ON event (kind, at) WHERE kind <> 'scan';
CREATE INDEX event_basis ON event (basis, at) WHERE basis <> 'partner';
CREATE INDEX event_credential ON event (credential, at) WHERE credential IS NOT NULL;
CREATE INDEX event_partner ON event (partner, at) WHERE partner IS NOT NULL;
CREATE INDEX event_door ON event (door, at);
