-- Codes on display, checks that wait for the holder, misses.

-- Short codes that resolve now. Digits and bar code stand as keyed hashes; their uniqueness is the database's.
CREATE TABLE display (
    list INTEGER NOT NULL CHECK (list BETWEEN 0 AND 4294967295),
    idx INTEGER NOT NULL CHECK (idx BETWEEN 0 AND 4294967295),
    step INTEGER NOT NULL CHECK (step >= 0),
    n INTEGER NOT NULL CHECK (n BETWEEN 0 AND 15),
    device BLOB NOT NULL REFERENCES installation (device),
    -- 0 age, 1 minimal, 2 full: what the credential says, as the phone tells.
    profile INTEGER NOT NULL CHECK (profile BETWEEN 0 AND 2),
    digits BLOB NOT NULL CHECK (length(digits) = 32),
    bar BLOB NOT NULL CHECK (length(bar) = 32),
    until INTEGER NOT NULL CHECK (until >= 0),
    PRIMARY KEY (list, idx, step),
    CONSTRAINT display_digits_unique UNIQUE (digits),
    CONSTRAINT display_bar_unique UNIQUE (bar)
) STRICT, WITHOUT ROWID;

CREATE INDEX display_by_device ON display (device);
CREATE INDEX display_by_end ON display (until);

-- A verifier's question that waits for the holder. No claim is in it: those come from the register after approval.
CREATE TABLE holder_check (
    id BLOB NOT NULL PRIMARY KEY CHECK (length(id) = 16),
    verifier BLOB NOT NULL REFERENCES relying_party (id),
    request_id TEXT NOT NULL CHECK (length(request_id) BETWEEN 1 AND 64),
    -- Keyed hash of the short code that opened it; none for a QR.
    code BLOB CHECK (length(code) = 32),
    device BLOB NOT NULL REFERENCES installation (device),
    list INTEGER NOT NULL CHECK (list BETWEEN 0 AND 4294967295),
    idx INTEGER NOT NULL CHECK (idx BETWEEN 0 AND 4294967295),
    step INTEGER NOT NULL CHECK (step >= 0),
    profile INTEGER NOT NULL CHECK (profile BETWEEN 0 AND 2),
    match_number INTEGER NOT NULL CHECK (match_number BETWEEN 0 AND 99),
    opened INTEGER NOT NULL CHECK (opened >= 0),
    expires INTEGER NOT NULL CHECK (expires >= 0),
    -- 0 open, 1 allowed, 2 declined
    state INTEGER NOT NULL DEFAULT 0 CHECK (state BETWEEN 0 AND 2),
    decided INTEGER CHECK (decided >= 0),
    -- When the verifier was first told how an approval, or the wait for one, ended, and whether from the register.
    told INTEGER CHECK (told >= 0),
    reached INTEGER CHECK (reached IN (0, 1)),
    CHECK ((state = 0) = (decided IS NULL)),
    CHECK (told IS NULL OR state <> 2),
    CHECK ((told IS NULL) = (reached IS NULL))
) STRICT, WITHOUT ROWID;

CREATE INDEX holder_check_open_by_device ON holder_check (device, opened) WHERE state = 0;
CREATE INDEX holder_check_by_verifier ON holder_check (verifier, request_id);
CREATE INDEX holder_check_open_by_verifier ON holder_check (verifier) WHERE state = 0;
CREATE INDEX holder_check_by_end ON holder_check (expires);

-- Well-formed short codes that resolved to nothing.
CREATE TABLE miss (
    verifier BLOB NOT NULL REFERENCES relying_party (id),
    at INTEGER NOT NULL CHECK (at >= 0),
    -- Hash of the verifier's request id, keyed hash of the code: a repetition is not counted again.
    request BLOB NOT NULL CHECK (length(request) = 32),
    code BLOB NOT NULL CHECK (length(code) = 32),
    PRIMARY KEY (verifier, at, request, code)
) STRICT, WITHOUT ROWID;

CREATE INDEX miss_by_time ON miss (at);

-- When the store was last brought back from a backup; 0 for never. Codes of steps up to the one after are not taken.
ALTER TABLE meta ADD COLUMN restored INTEGER NOT NULL DEFAULT 0 CHECK (restored >= 0);
