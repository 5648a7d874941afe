-- Enrolments and refreshes under way, so that each message of one may come to another server process.
CREATE TABLE ceremony (
    -- A device has one at most.
    device BLOB PRIMARY KEY CHECK (length(device) = 16),
    id BLOB NOT NULL CHECK (length(id) = 16),
    device_key BLOB NOT NULL CHECK (length(device_key) = 33),
    -- Hash of the enrolment code; none in a refresh.
    code BLOB CHECK (length(code) = 32),
    -- 1 begun, 2 keyed, 3 its confirmation is evaluated
    stage INTEGER NOT NULL CHECK (stage BETWEEN 1 AND 3),
    -- A seed and the phone's messages, wrapped for this ceremony and stage.
    state BLOB NOT NULL,
    started INTEGER NOT NULL CHECK (started >= 0),
    -- Who evaluates it, and since when.
    run INTEGER NOT NULL DEFAULT 0,
    taken INTEGER NOT NULL DEFAULT 0 CHECK (taken >= 0)
) STRICT, WITHOUT ROWID;

CREATE INDEX ceremony_by_code ON ceremony (code) WHERE code IS NOT NULL;
CREATE INDEX ceremony_by_start ON ceremony (started);
