-- Enrolments and refreshes under way, so that each message of one may come to another node.
CREATE TABLE ceremony (
    -- A device has one at most.
    device BYTEA PRIMARY KEY CHECK (length(device) = 16),
    id BYTEA NOT NULL CHECK (length(id) = 16),
    device_key BYTEA NOT NULL CHECK (length(device_key) = 33),
    -- Hash of the enrolment code; none in a refresh.
    code BYTEA CHECK (length(code) = 32),
    -- 1 begun, 2 keyed, 3 its confirmation is evaluated
    stage SMALLINT NOT NULL CHECK (stage BETWEEN 1 AND 3),
    -- A seed and the phone's messages, wrapped for this ceremony and stage.
    state BYTEA NOT NULL,
    started BIGINT NOT NULL CHECK (started >= 0),
    -- Who evaluates it, and since when.
    run INTEGER NOT NULL DEFAULT 0,
    taken BIGINT NOT NULL DEFAULT 0 CHECK (taken >= 0)
);

CREATE INDEX ceremony_by_code ON ceremony (code) WHERE code IS NOT NULL;
CREATE INDEX ceremony_by_start ON ceremony (started);
