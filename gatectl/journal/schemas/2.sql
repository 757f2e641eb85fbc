-- Version 2: what a page filters by. A column's index holds `seq` behind it, so the newest come first.

CREATE INDEX attempts_by_door ON attempts (door);
CREATE INDEX attempts_by_partner ON attempts (partner);
CREATE INDEX outcomes_by_result ON outcomes (result, seq);
