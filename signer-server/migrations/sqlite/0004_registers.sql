-- What registers report, and what status lists say.

ALTER TABLE relying_party ADD COLUMN may_report INTEGER NOT NULL DEFAULT 0 CHECK (may_report IN (0, 1));

-- Events about its holder's documents so far: a batch that an event overtook is not given out.
ALTER TABLE installation ADD COLUMN document_events INTEGER NOT NULL DEFAULT 0 CHECK (document_events >= 0);

-- 0 valid, 1 revoked; the standing of the installation comes on top.
ALTER TABLE credential ADD COLUMN state INTEGER NOT NULL DEFAULT 0 CHECK (state IN (0, 1));

-- Events taken, by a hash of who reported, source and id. No person and no document is in it.
CREATE TABLE register_event (
    id BLOB PRIMARY KEY CHECK (length(id) = 32),
    content BLOB NOT NULL CHECK (length(content) = 32),
    -- 0 applied, 1 late
    outcome INTEGER NOT NULL CHECK (outcome IN (0, 1)),
    at INTEGER NOT NULL CHECK (at >= 0)
) STRICT, WITHOUT ROWID;

CREATE INDEX register_event_by_time ON register_event (at);

-- The highest sequence applied, by a hash of who reported, source, person and kind of document.
CREATE TABLE register_order (
    about BLOB PRIMARY KEY CHECK (length(about) = 32),
    sequence INTEGER NOT NULL CHECK (sequence >= 0),
    at INTEGER NOT NULL CHECK (at >= 0)
) STRICT, WITHOUT ROWID;

CREATE INDEX register_order_by_time ON register_order (at);

-- When a key made to follow another came into use; of a purpose the last one is in use, and the first where there is none.
ALTER TABLE server_key ADD COLUMN activated INTEGER CHECK (activated >= 0);

-- One row: the trust list given out, the root that signed it, and the one that was pinned then.
CREATE TABLE trust_list (
    only_row INTEGER PRIMARY KEY CHECK (only_row = 1),
    number INTEGER NOT NULL CHECK (number >= 0),
    root BLOB NOT NULL CHECK (length(root) = 33),
    pinned BLOB NOT NULL CHECK (length(pinned) = 33),
    bytes BLOB NOT NULL
) STRICT;
