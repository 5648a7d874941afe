-- A suspension is taken back; frozen and revoked, in `standing`, are for good.
ALTER TABLE installation ADD COLUMN suspended INTEGER NOT NULL DEFAULT 0 CHECK (suspended IN (0, 1));

-- The certification request the key signed at enrolment, DER; none for suites without certificates.
ALTER TABLE signing_key ADD COLUMN request BLOB;

CREATE TABLE certificate (
    -- The order of issue: the highest of an installation is the one in use.
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    sha256 BLOB NOT NULL CHECK (length(sha256) = 32),
    device BLOB NOT NULL REFERENCES installation (device),
    serial BLOB NOT NULL CHECK (length(serial) BETWEEN 1 AND 20),
    -- From an authority elsewhere: not in our revocation list.
    imported INTEGER NOT NULL CHECK (imported IN (0, 1)),
    -- Wrapped: it names a person.
    wrapped_chain BLOB NOT NULL,
    not_before INTEGER NOT NULL CHECK (not_before >= 0),
    not_after INTEGER NOT NULL CHECK (not_after >= not_before),
    issued INTEGER NOT NULL CHECK (issued >= 0),
    -- 0 good, 1 suspended, 2 revoked; reasons as in RFC 5280 section 5.3.1.
    state INTEGER NOT NULL DEFAULT 0 CHECK (state BETWEEN 0 AND 2),
    reason INTEGER CHECK (reason IN (0, 1, 3, 4, 5, 6, 9)),
    changed INTEGER CHECK (changed >= 0),
    CHECK ((state = 0) = (reason IS NULL)),
    CHECK ((state = 1) = (reason IS 6)),
    CHECK ((state = 0) = (changed IS NULL)),
    CONSTRAINT certificate_sha256_unique UNIQUE (sha256)
) STRICT;

CREATE UNIQUE INDEX certificate_serial_unique ON certificate (serial) WHERE imported = 0;
CREATE INDEX certificate_by_device ON certificate (device, number);
CREATE INDEX certificate_listed ON certificate (serial) WHERE state <> 0 AND imported = 0;

-- One row: the built-in authority.
CREATE TABLE authority (
    only_row INTEGER PRIMARY KEY CHECK (only_row = 1),
    certificate BLOB NOT NULL,
    crl_number INTEGER NOT NULL DEFAULT 0 CHECK (crl_number >= 0),
    -- Changes of certificates' states: a list made at another number is out of date.
    changes INTEGER NOT NULL DEFAULT 0 CHECK (changes >= 0)
) STRICT;

CREATE TRIGGER certificate_state_changes AFTER UPDATE OF state ON certificate WHEN old.state <> new.state
BEGIN
    UPDATE authority SET changes = changes + 1;
END;
