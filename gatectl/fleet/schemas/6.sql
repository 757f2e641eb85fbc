-- The list is in the order of the scans, but a scan that lies in the future by its gate's clock counts from when it
-- came in: else it would be on top until then. Each filter's index has this order too.
DROP INDEX event_at, event_studio, event_device, event_member, event_result, event_kind, event_basis,
    event_credential, event_partner, event_door;
CREATE INDEX event_at ON event (least(at, received_at), received);
CREATE INDEX event_studio ON event (studio, least(at, received_at));
CREATE INDEX event_device ON event (device, least(at, received_at));
CREATE INDEX event_member ON event (member, least(at, received_at)) WHERE member IS NOT NULL;
CREATE INDEX event_result ON event (result, least(at, received_at)) WHERE result <> 'admitted';
CREATE INDEX event_kind ON event (kind, least(at, received_at)) WHERE kind <> 'scan';
CREATE INDEX event_basis ON event (basis, least(at, received_at)) WHERE basis <> 'partner';
CREATE INDEX event_credential ON event (credential, least(at, received_at)) WHERE credential IS NOT NULL;
CREATE INDEX event_partner ON event (partner, least(at, received_at)) WHERE partner IS NOT NULL;
CREATE INDEX event_door ON event (door, least(at, received_at));
-- The planner knows nothing of an expression's values before.
ANALYZE event;
