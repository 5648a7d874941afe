-- Times are Unix seconds. Ids are 16 random bytes. Hashes are 32 bytes. Enums are numbered as in signer-server/src/store/sqlite.

-- One row: which store this is, how far it has come, and how often it was opened.
CREATE TABLE meta (
    only_row INTEGER PRIMARY KEY CHECK (only_row = 1),
    store_id BLOB NOT NULL CHECK (length(store_id) = 16),
    seq INTEGER NOT NULL CHECK (seq >= 0),
    latest_time INTEGER NOT NULL CHECK (latest_time >= 0),
    run INTEGER NOT NULL CHECK (run >= 0)
) STRICT;

CREATE TABLE enrolment_code (
    hash BLOB PRIMARY KEY CHECK (length(hash) = 32),
    holder TEXT NOT NULL CHECK (length(holder) BETWEEN 1 AND 64),
    expires INTEGER NOT NULL CHECK (expires >= 0),
    used INTEGER NOT NULL DEFAULT 0 CHECK (used IN (0, 1)),
    created INTEGER NOT NULL CHECK (created >= 0)
) STRICT, WITHOUT ROWID;

CREATE TABLE installation (
    device BLOB PRIMARY KEY CHECK (length(device) = 16),
    holder TEXT NOT NULL CHECK (length(holder) BETWEEN 1 AND 64),
    device_key BLOB NOT NULL CHECK (length(device_key) = 33),
    standing INTEGER NOT NULL CHECK (standing IN (0, 1, 2)),
    enrolled INTEGER NOT NULL CHECK (enrolled >= 0),
    -- The attempt counter.
    level INTEGER NOT NULL DEFAULT 0 CHECK (level BETWEEN 0 AND 255),
    wrong INTEGER NOT NULL DEFAULT 0 CHECK (wrong BETWEEN 0 AND 255),
    locked_until INTEGER NOT NULL DEFAULT 0 CHECK (locked_until >= 0),
    stepped_down_at INTEGER NOT NULL DEFAULT 0 CHECK (stepped_down_at >= 0),
    -- The device token: the current number, the pending one if any, the highest ever given out, and when this last
    -- changed. Every other number given out is retired.
    token INTEGER NOT NULL DEFAULT 0 CHECK (token >= 0),
    token_pending INTEGER CHECK (token_pending > token),
    token_issued INTEGER NOT NULL DEFAULT 0 CHECK (token_issued >= token),
    token_changed_at INTEGER NOT NULL CHECK (token_changed_at >= 0),
    -- The attempt in evaluation. It holds in the run that granted it, until lease_until; after that its payload may take
    -- it up again. before_*: the counter without this attempt.
    lease_serial INTEGER NOT NULL DEFAULT 0 CHECK (lease_serial >= 0),
    lease_payload BLOB CHECK (length(lease_payload) = 32),
    lease_run INTEGER NOT NULL DEFAULT 0 CHECK (lease_run >= 0),
    lease_until INTEGER NOT NULL DEFAULT 0 CHECK (lease_until >= 0),
    before_level INTEGER NOT NULL DEFAULT 0 CHECK (before_level BETWEEN 0 AND 255),
    before_wrong INTEGER NOT NULL DEFAULT 0 CHECK (before_wrong BETWEEN 0 AND 255),
    before_locked_until INTEGER NOT NULL DEFAULT 0 CHECK (before_locked_until >= 0),
    before_stepped_down_at INTEGER NOT NULL DEFAULT 0 CHECK (before_stepped_down_at >= 0),
    CONSTRAINT installation_device_key_unique UNIQUE (device_key)
) STRICT, WITHOUT ROWID;

-- A holder has at most one installation that is not revoked.
CREATE UNIQUE INDEX installation_living_unique ON installation (holder) WHERE standing <> 2;

-- Beside the installation, not in it: a reservation rewrites a small row, not the shares. Rows may be large, so with rowid.
CREATE TABLE signing_key (
    device BLOB NOT NULL PRIMARY KEY REFERENCES installation (device),
    id BLOB NOT NULL CHECK (length(id) = 16),
    suite INTEGER NOT NULL CHECK (suite > 0),
    epoch INTEGER NOT NULL CHECK (epoch BETWEEN 0 AND 4294967295),
    public_key BLOB NOT NULL CHECK (length(public_key) = 33),
    wrapped BLOB NOT NULL,
    proof BLOB NOT NULL,
    CONSTRAINT signing_key_id_unique UNIQUE (id),
    CONSTRAINT signing_key_public_key_unique UNIQUE (public_key)
) STRICT;

CREATE TABLE relying_party (
    id BLOB PRIMARY KEY CHECK (length(id) = 16),
    name TEXT NOT NULL CHECK (length(name) > 0),
    token_hash BLOB NOT NULL CHECK (length(token_hash) = 32),
    may_ask INTEGER NOT NULL CHECK (may_ask IN (0, 1)),
    may_verify INTEGER NOT NULL CHECK (may_verify IN (0, 1)),
    revoked INTEGER NOT NULL CHECK (revoked IN (0, 1)),
    created INTEGER NOT NULL CHECK (created >= 0),
    CONSTRAINT relying_party_token_unique UNIQUE (token_hash)
) STRICT, WITHOUT ROWID;

CREATE TABLE request (
    id BLOB NOT NULL PRIMARY KEY CHECK (length(id) = 16),
    relying_party BLOB NOT NULL REFERENCES relying_party (id),
    holder TEXT NOT NULL CHECK (length(holder) BETWEEN 1 AND 64),
    object BLOB NOT NULL,
    created INTEGER NOT NULL CHECK (created >= 0),
    expires INTEGER NOT NULL CHECK (expires >= 0),
    idempotency_key BLOB CHECK (length(idempotency_key) = 32),
    idempotency_body BLOB CHECK (length(idempotency_body) = 32),
    -- 0 open, 1 signed, 2 declined, 3 cancelled, 4 expired, 5 key ended
    state INTEGER NOT NULL CHECK (state BETWEEN 0 AND 5),
    ended INTEGER CHECK (ended >= 0),
    signatures BLOB,
    record BLOB,
    record_signature BLOB CHECK (length(record_signature) = 64),
    signed_by BLOB REFERENCES installation (device),
    CHECK ((idempotency_key IS NULL) = (idempotency_body IS NULL)),
    CHECK ((state = 0) = (ended IS NULL)),
    CHECK ((state = 1) = (signatures IS NOT NULL)),
    CHECK ((state = 1) = (record IS NOT NULL)),
    CHECK ((state = 1) = (record_signature IS NOT NULL)),
    CHECK ((state = 1) = (signed_by IS NOT NULL))
) STRICT;

CREATE UNIQUE INDEX request_idempotency_unique ON request (relying_party, idempotency_key)
    WHERE idempotency_key IS NOT NULL;
CREATE INDEX request_open_by_holder ON request (holder, created) WHERE state = 0;
CREATE INDEX request_open_by_end ON request (expires) WHERE state = 0;
CREATE INDEX request_ended_by_end ON request (ended) WHERE state <> 0;

-- The signatures of a signed outcome stand in its request, once.
CREATE TABLE outcome (
    device BLOB NOT NULL REFERENCES installation (device),
    payload BLOB NOT NULL CHECK (length(payload) = 32),
    -- 0 signed, 1 PIN proven, 2 wrong PIN, 3 cheating
    kind INTEGER NOT NULL CHECK (kind BETWEEN 0 AND 3),
    request BLOB REFERENCES request (id),
    level INTEGER NOT NULL CHECK (level BETWEEN 0 AND 255),
    wrong INTEGER NOT NULL CHECK (wrong BETWEEN 0 AND 255),
    locked_until INTEGER NOT NULL CHECK (locked_until >= 0),
    stepped_down_at INTEGER NOT NULL CHECK (stepped_down_at >= 0),
    next_token INTEGER NOT NULL CHECK (next_token >= 0),
    at INTEGER NOT NULL CHECK (at >= 0),
    PRIMARY KEY (device, payload),
    CHECK ((kind = 0) = (request IS NOT NULL))
) STRICT, WITHOUT ROWID;

CREATE INDEX outcome_by_time ON outcome (at);

CREATE TABLE credential (
    list INTEGER NOT NULL CHECK (list BETWEEN 0 AND 4294967295),
    idx INTEGER NOT NULL CHECK (idx BETWEEN 0 AND 4294967295),
    device BLOB NOT NULL REFERENCES installation (device),
    document_type INTEGER NOT NULL CHECK (document_type BETWEEN 0 AND 4294967295),
    wrapped_otp BLOB NOT NULL,
    -- A day key gets one credential, so that a request that is sent again brings nothing new.
    day_key BLOB NOT NULL CHECK (length(day_key) = 33),
    expires INTEGER NOT NULL CHECK (expires >= 0),
    created INTEGER NOT NULL CHECK (created >= 0),
    PRIMARY KEY (list, idx),
    CONSTRAINT credential_day_key_unique UNIQUE (day_key)
) STRICT, WITHOUT ROWID;

CREATE INDEX credential_by_end ON credential (expires);
CREATE INDEX credential_by_device ON credential (device, expires);

-- No foreign key to credential: a burn outlives it by design and is dropped by its own time.
CREATE TABLE burn (
    list INTEGER NOT NULL CHECK (list BETWEEN 0 AND 4294967295),
    idx INTEGER NOT NULL CHECK (idx BETWEEN 0 AND 4294967295),
    step INTEGER NOT NULL CHECK (step >= 0),
    n INTEGER NOT NULL CHECK (n BETWEEN 0 AND 255),
    verifier BLOB NOT NULL CHECK (length(verifier) = 16),
    request BLOB NOT NULL CHECK (length(request) = 32),
    answer BLOB NOT NULL,
    at INTEGER NOT NULL CHECK (at >= 0),
    forget INTEGER NOT NULL CHECK (forget >= 0),
    PRIMARY KEY (list, idx, step, n)
) STRICT, WITHOUT ROWID;

CREATE INDEX burn_by_end ON burn (forget);

CREATE TABLE server_key (
    purpose TEXT PRIMARY KEY CHECK (length(purpose) > 0),
    public_key BLOB NOT NULL,
    wrapped BLOB NOT NULL,
    created INTEGER NOT NULL CHECK (created >= 0)
) STRICT, WITHOUT ROWID;
