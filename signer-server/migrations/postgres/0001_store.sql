-- Times are Unix seconds. Ids are 16 random bytes. Hashes are 32 bytes. Flags are 0 and 1, enums numbered as in
-- signer-server/src/store/sql. Rows that change often leave room in their page, so that a change needs no new index entry.

-- One row: which store this is, where it was written last, and how often nodes opened it.
CREATE TABLE meta (
    only_row SMALLINT PRIMARY KEY CHECK (only_row = 1),
    store_id BYTEA NOT NULL CHECK (length(store_id) = 16),
    latest_time BIGINT NOT NULL CHECK (latest_time >= 0),
    run INTEGER NOT NULL CHECK (run >= 0),
    -- When the store was last brought back from a backup; 0 for never. Codes of steps up to the one after are not taken.
    restored BIGINT NOT NULL DEFAULT 0 CHECK (restored >= 0),
    -- The database cluster and its timeline, and whether a standby had every commit: another timeline may have lost some.
    cluster BIGINT NOT NULL,
    timeline BIGINT NOT NULL,
    synchronous SMALLINT NOT NULL CHECK (synchronous IN (0, 1))
) WITH (fillfactor = 10);

CREATE TABLE enrolment_code (
    hash BYTEA PRIMARY KEY CHECK (length(hash) = 32),
    holder TEXT NOT NULL CHECK (length(holder) BETWEEN 1 AND 64),
    expires BIGINT NOT NULL CHECK (expires >= 0),
    used SMALLINT NOT NULL DEFAULT 0 CHECK (used IN (0, 1)),
    created BIGINT NOT NULL CHECK (created >= 0)
);

CREATE INDEX enrolment_code_by_holder ON enrolment_code (holder) WHERE used = 0;

CREATE TABLE installation (
    device BYTEA PRIMARY KEY CHECK (length(device) = 16),
    holder TEXT NOT NULL CHECK (length(holder) BETWEEN 1 AND 64),
    device_key BYTEA NOT NULL CHECK (length(device_key) = 33),
    standing SMALLINT NOT NULL CHECK (standing IN (0, 1, 2)),
    -- A suspension is taken back; frozen and revoked, in `standing`, are for good.
    suspended SMALLINT NOT NULL DEFAULT 0 CHECK (suspended IN (0, 1)),
    enrolled BIGINT NOT NULL CHECK (enrolled >= 0),
    -- The attempt counter.
    level SMALLINT NOT NULL DEFAULT 0 CHECK (level BETWEEN 0 AND 255),
    wrong SMALLINT NOT NULL DEFAULT 0 CHECK (wrong BETWEEN 0 AND 255),
    locked_until BIGINT NOT NULL DEFAULT 0 CHECK (locked_until >= 0),
    stepped_down_at BIGINT NOT NULL DEFAULT 0 CHECK (stepped_down_at >= 0),
    -- The device token: the current number, the pending one if any, the highest ever given out, and when this last
    -- changed. Every other number given out is retired.
    token BIGINT NOT NULL DEFAULT 0 CHECK (token >= 0),
    token_pending BIGINT CHECK (token_pending > token),
    token_issued BIGINT NOT NULL DEFAULT 0 CHECK (token_issued >= token),
    token_changed_at BIGINT NOT NULL CHECK (token_changed_at >= 0),
    -- The attempt in evaluation. It holds while the run that granted it is connected, until lease_until; after that its
    -- payload may take it up again. before_*: the counter without this attempt.
    lease_serial BIGINT NOT NULL DEFAULT 0 CHECK (lease_serial >= 0),
    lease_payload BYTEA CHECK (length(lease_payload) = 32),
    lease_run INTEGER NOT NULL DEFAULT 0 CHECK (lease_run >= 0),
    lease_until BIGINT NOT NULL DEFAULT 0 CHECK (lease_until >= 0),
    before_level SMALLINT NOT NULL DEFAULT 0 CHECK (before_level BETWEEN 0 AND 255),
    before_wrong SMALLINT NOT NULL DEFAULT 0 CHECK (before_wrong BETWEEN 0 AND 255),
    before_locked_until BIGINT NOT NULL DEFAULT 0 CHECK (before_locked_until >= 0),
    before_stepped_down_at BIGINT NOT NULL DEFAULT 0 CHECK (before_stepped_down_at >= 0),
    -- Events about its holder's documents so far: a batch that an event overtook is not given out.
    document_events BIGINT NOT NULL DEFAULT 0 CHECK (document_events >= 0),
    -- What the phone left for its holder at enrolment.
    history_key BYTEA CHECK (length(history_key) = 32),
    lost_code BYTEA CHECK (length(lost_code) = 32),
    -- How the audit log names it: random, and all that leads from its entries to a person.
    audit_name BYTEA DEFAULT uuid_send(gen_random_uuid()) CHECK (length(audit_name) = 16),
    CONSTRAINT installation_device_key_unique UNIQUE (device_key)
) WITH (fillfactor = 70);

-- A holder has at most one installation that is not revoked.
CREATE UNIQUE INDEX installation_living_unique ON installation (holder) WHERE standing <> 2;
CREATE UNIQUE INDEX installation_lost_code_unique ON installation (lost_code) WHERE lost_code IS NOT NULL;

CREATE UNIQUE INDEX installation_audit_name_unique ON installation (audit_name) WHERE audit_name IS NOT NULL;

-- Beside the installation, not in it: a reservation rewrites a small row, not the shares.
CREATE TABLE signing_key (
    device BYTEA PRIMARY KEY REFERENCES installation (device),
    id BYTEA NOT NULL CHECK (length(id) = 16),
    suite SMALLINT NOT NULL CHECK (suite > 0),
    epoch BIGINT NOT NULL CHECK (epoch BETWEEN 0 AND 4294967295),
    public_key BYTEA NOT NULL CHECK (length(public_key) = 33),
    wrapped BYTEA NOT NULL,
    proof BYTEA NOT NULL,
    -- The certification request the key signed at enrolment, DER; none for suites without certificates.
    request BYTEA,
    CONSTRAINT signing_key_id_unique UNIQUE (id),
    CONSTRAINT signing_key_public_key_unique UNIQUE (public_key)
);

-- What outsiders are shown of an enrolment: the first signature of the key, and what it says besides the two keys. It stays when
-- the shares are refreshed and when the key ends.
CREATE TABLE enrolment_proof (
    device BYTEA PRIMARY KEY REFERENCES installation (device),
    ceremony BYTEA NOT NULL CHECK (length(ceremony) = 16),
    -- One hash of history key and lost code.
    holder_keys BYTEA NOT NULL CHECK (length(holder_keys) = 32),
    signature BYTEA NOT NULL CHECK (length(signature) > 0)
);

CREATE TABLE certificate (
    -- The order of issue: the highest of an installation is the one in use.
    number BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    sha256 BYTEA NOT NULL CHECK (length(sha256) = 32),
    device BYTEA NOT NULL REFERENCES installation (device),
    serial BYTEA NOT NULL CHECK (length(serial) BETWEEN 1 AND 20),
    -- From an authority elsewhere: not in our revocation list.
    imported SMALLINT NOT NULL CHECK (imported IN (0, 1)),
    -- Wrapped: it names a person.
    wrapped_chain BYTEA NOT NULL,
    not_before BIGINT NOT NULL CHECK (not_before >= 0),
    not_after BIGINT NOT NULL CHECK (not_after >= not_before),
    issued BIGINT NOT NULL CHECK (issued >= 0),
    -- 0 good, 1 suspended, 2 revoked; reasons as in RFC 5280 section 5.3.1.
    state SMALLINT NOT NULL DEFAULT 0 CHECK (state BETWEEN 0 AND 2),
    reason SMALLINT CHECK (reason IN (0, 1, 3, 4, 5, 6, 9)),
    changed BIGINT CHECK (changed >= 0),
    CHECK ((state = 0) = (reason IS NULL)),
    CHECK ((state = 1) = (reason IS NOT DISTINCT FROM 6)),
    CHECK ((state = 0) = (changed IS NULL)),
    CONSTRAINT certificate_sha256_unique UNIQUE (sha256)
);

CREATE UNIQUE INDEX certificate_serial_unique ON certificate (serial) WHERE imported = 0;
CREATE INDEX certificate_by_device ON certificate (device, number);
CREATE INDEX certificate_listed ON certificate (serial) WHERE state <> 0 AND imported = 0;

-- One row: the built-in authority.
CREATE TABLE authority (
    only_row SMALLINT PRIMARY KEY CHECK (only_row = 1),
    certificate BYTEA NOT NULL,
    crl_number BIGINT NOT NULL DEFAULT 0 CHECK (crl_number >= 0),
    -- Changes of certificates' states: a list made at another number is out of date.
    changes BIGINT NOT NULL DEFAULT 0 CHECK (changes >= 0)
);

CREATE FUNCTION count_certificate_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE authority SET changes = changes + 1;
    RETURN NULL;
END $$;
CREATE TRIGGER certificate_state_changes AFTER UPDATE OF state ON certificate
    FOR EACH ROW WHEN (old.state <> new.state) EXECUTE FUNCTION count_certificate_change();

CREATE TABLE relying_party (
    id BYTEA PRIMARY KEY CHECK (length(id) = 16),
    name TEXT NOT NULL COLLATE "C" CHECK (length(name) > 0),
    token_hash BYTEA NOT NULL CHECK (length(token_hash) = 32),
    may_ask SMALLINT NOT NULL CHECK (may_ask IN (0, 1)),
    may_verify SMALLINT NOT NULL CHECK (may_verify IN (0, 1)),
    -- Numbers of the kinds of document a register may report, one byte each; none for others.
    report_kinds BYTEA NOT NULL,
    may_report_deceased SMALLINT NOT NULL CHECK (may_report_deceased IN (0, 1)),
    -- The organisation, by the register's name for it, for whose documents codes are made; none: for nobody's.
    generates_for TEXT CHECK (length(generates_for) BETWEEN 1 AND 24),
    revoked SMALLINT NOT NULL CHECK (revoked IN (0, 1)),
    created BIGINT NOT NULL CHECK (created >= 0),
    -- In place of those of the configuration.
    calls_per_second BIGINT CHECK (calls_per_second >= 1),
    kept_bytes_max BIGINT CHECK (kept_bytes_max >= 1),
    CONSTRAINT relying_party_token_unique UNIQUE (token_hash)
);

CREATE TABLE request (
    id BYTEA PRIMARY KEY CHECK (length(id) = 16),
    relying_party BYTEA NOT NULL REFERENCES relying_party (id),
    holder TEXT NOT NULL CHECK (length(holder) BETWEEN 1 AND 64),
    object BYTEA NOT NULL,
    created BIGINT NOT NULL CHECK (created >= 0),
    expires BIGINT NOT NULL CHECK (expires >= 0),
    idempotency_key BYTEA CHECK (length(idempotency_key) = 32),
    idempotency_body BYTEA CHECK (length(idempotency_body) = 32),
    -- 0 open, 1 signed, 2 declined, 3 cancelled, 4 expired, 5 key ended
    state SMALLINT NOT NULL CHECK (state BETWEEN 0 AND 5),
    ended BIGINT CHECK (ended >= 0),
    signatures BYTEA,
    record BYTEA,
    record_signature BYTEA CHECK (length(record_signature) = 64),
    signed_by BYTEA REFERENCES installation (device),
    -- Where the result goes: 0 to the session API, 1 to the CSC API, 2 nowhere, for it is a sign-in.
    purpose SMALLINT NOT NULL DEFAULT 0 CHECK (purpose BETWEEN 0 AND 2),
    CHECK ((idempotency_key IS NULL) = (idempotency_body IS NULL)),
    CHECK ((state = 0) = (ended IS NULL)),
    CHECK ((state = 1) = (signatures IS NOT NULL)),
    CHECK ((state = 1) = (record IS NOT NULL)),
    CHECK ((state = 1) = (record_signature IS NOT NULL)),
    CHECK ((state = 1) = (signed_by IS NOT NULL))
);

CREATE UNIQUE INDEX request_idempotency_unique ON request (relying_party, idempotency_key)
    WHERE idempotency_key IS NOT NULL;
CREATE INDEX request_open_by_holder ON request (holder, created) WHERE state = 0;
CREATE INDEX request_open_by_end ON request (expires) WHERE state = 0;
CREATE INDEX request_ended_by_end ON request (ended) WHERE state <> 0;
-- Sign-ins are forgotten sooner than others.
CREATE INDEX request_sign_in_by_end ON request (ended) WHERE purpose = 2 AND state <> 0;
CREATE INDEX request_newest ON request (created);

-- What the requests of a relying party take. A request counts 1024 bytes, and three times its object: there is the object,
-- once it is signed the record that repeats it, and the signatures. So it counts the same from its beginning to its end.
-- Sign-ins, which strangers begin, do not count.
CREATE TABLE kept (
    relying_party BYTEA PRIMARY KEY REFERENCES relying_party (id),
    bytes BIGINT NOT NULL CHECK (bytes >= 0)
) WITH (fillfactor = 50);

CREATE FUNCTION request_kept() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO kept AS before (relying_party, bytes) VALUES (new.relying_party, 1024 + 3 * length(new.object))
        ON CONFLICT (relying_party) DO UPDATE SET bytes = before.bytes + excluded.bytes;
    RETURN NULL;
END $$;
CREATE TRIGGER request_kept AFTER INSERT ON request
    FOR EACH ROW WHEN (new.purpose <> 2) EXECUTE FUNCTION request_kept();

CREATE FUNCTION request_forgotten() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE kept SET bytes = bytes - 1024 - 3 * length(old.object) WHERE relying_party = old.relying_party;
    RETURN NULL;
END $$;
CREATE TRIGGER request_forgotten AFTER DELETE ON request
    FOR EACH ROW WHEN (old.purpose <> 2) EXECUTE FUNCTION request_forgotten();

-- Three codes of which the relying party shows one. A wrong choice ends the request as declined (state 2), and by this row it
-- is known as a wrong code.
CREATE TABLE request_code (
    request BYTEA PRIMARY KEY REFERENCES request (id) ON DELETE CASCADE,
    -- Three numbers of two bytes, in the order in which the phone shows them.
    codes BYTEA NOT NULL CHECK (length(codes) = 6),
    right_place SMALLINT NOT NULL CHECK (right_place BETWEEN 0 AND 2),
    chosen_place SMALLINT CHECK (chosen_place BETWEEN 0 AND 2)
);

-- A request for whoever opens its link first. Until then its holder is ' ', which is nobody's reference.
CREATE TABLE request_link (
    request BYTEA PRIMARY KEY REFERENCES request (id) ON DELETE CASCADE,
    -- Public: it names the link to whoever has a right MAC.
    token BYTEA NOT NULL CHECK (length(token) = 32),
    wrapped_secret BYTEA NOT NULL,
    opened_by BYTEA REFERENCES installation (device),
    CONSTRAINT request_link_token_unique UNIQUE (token)
);

-- A person's name at one relying party, written down when it is first told.
CREATE TABLE pairwise (
    relying_party BYTEA NOT NULL REFERENCES relying_party (id),
    person BYTEA NOT NULL CHECK (length(person) = 16),
    holder TEXT NOT NULL CHECK (length(holder) BETWEEN 1 AND 64),
    PRIMARY KEY (relying_party, person)
);

-- The signatures of a signed outcome stand in its request, once.
CREATE TABLE outcome (
    device BYTEA NOT NULL REFERENCES installation (device),
    payload BYTEA NOT NULL CHECK (length(payload) = 32),
    -- 0 signed, 1 PIN proven, 2 wrong PIN, 3 cheating
    kind SMALLINT NOT NULL CHECK (kind BETWEEN 0 AND 3),
    request BYTEA REFERENCES request (id),
    level SMALLINT NOT NULL CHECK (level BETWEEN 0 AND 255),
    wrong SMALLINT NOT NULL CHECK (wrong BETWEEN 0 AND 255),
    locked_until BIGINT NOT NULL CHECK (locked_until >= 0),
    stepped_down_at BIGINT NOT NULL CHECK (stepped_down_at >= 0),
    next_token BIGINT NOT NULL CHECK (next_token >= 0),
    at BIGINT NOT NULL CHECK (at >= 0),
    PRIMARY KEY (device, payload),
    CHECK ((kind = 0) = (request IS NOT NULL))
);

CREATE INDEX outcome_by_time ON outcome (at);
-- A request goes after the outcomes that lead to it; without this each one would be looked for in all of them.
CREATE INDEX outcome_by_request ON outcome (request) WHERE request IS NOT NULL;

-- A credential belongs to a phone or to a document of an organisation: places in status lists are drawn from one table.
CREATE TABLE credential (
    list BIGINT NOT NULL CHECK (list BETWEEN 0 AND 4294967295),
    idx BIGINT NOT NULL CHECK (idx BETWEEN 0 AND 4294967295),
    device BYTEA REFERENCES installation (device),
    document_type BIGINT NOT NULL CHECK (document_type BETWEEN 0 AND 4294967295),
    wrapped_otp BYTEA,
    -- A day key gets one credential, so that a request that is sent again brings nothing new.
    day_key BYTEA NOT NULL CHECK (length(day_key) = 33),
    expires BIGINT NOT NULL CHECK (expires >= 0),
    created BIGINT NOT NULL CHECK (created >= 0),
    -- 0 valid, 1 revoked; the standing of the installation comes on top.
    state SMALLINT NOT NULL DEFAULT 0 CHECK (state IN (0, 1)),
    -- Keyed hash of organisation, kind and reference, by which events find what they end; and what the register is asked by.
    document BYTEA CHECK (length(document) = 32),
    wrapped_document BYTEA,
    -- SHA-256 of a credential that this server issued: online its signature need not be verified again.
    hash BYTEA CHECK (length(hash) = 32),
    PRIMARY KEY (list, idx),
    CONSTRAINT credential_day_key_unique UNIQUE (day_key),
    CHECK ((device IS NULL) = (document IS NOT NULL)),
    CHECK ((device IS NULL) = (wrapped_otp IS NULL)),
    CHECK ((document IS NULL) = (wrapped_document IS NULL))
);

CREATE INDEX credential_by_end ON credential (expires);
CREATE INDEX credential_by_device ON credential (device, expires) WHERE device IS NOT NULL;
CREATE INDEX credential_by_document ON credential (document) WHERE document IS NOT NULL;

-- No foreign key to credential: a burn outlives it by design and is dropped by its own time.
CREATE TABLE burn (
    list BIGINT NOT NULL CHECK (list BETWEEN 0 AND 4294967295),
    idx BIGINT NOT NULL CHECK (idx BETWEEN 0 AND 4294967295),
    step BIGINT NOT NULL CHECK (step >= 0),
    n SMALLINT NOT NULL CHECK (n BETWEEN 0 AND 255),
    verifier BYTEA NOT NULL CHECK (length(verifier) = 16),
    request BYTEA NOT NULL CHECK (length(request) = 32),
    answer BYTEA NOT NULL,
    at BIGINT NOT NULL CHECK (at >= 0),
    forget BIGINT NOT NULL CHECK (forget >= 0),
    PRIMARY KEY (list, idx, step, n)
);

CREATE INDEX burn_by_end ON burn (forget);

CREATE TABLE server_key (
    purpose TEXT PRIMARY KEY CHECK (length(purpose) > 0),
    public_key BYTEA NOT NULL,
    wrapped BYTEA NOT NULL,
    created BIGINT NOT NULL CHECK (created >= 0),
    -- When a key made to follow another came into use; of a purpose the last one is in use, and the first where there is none.
    activated BIGINT CHECK (activated >= 0),
    -- Since when the trust list given out has named a key that waits; none as long as it does not.
    listed BIGINT CHECK (listed >= 0)
);

-- One row: the trust list given out, the root that signed it, and the one that was pinned then.
CREATE TABLE trust_list (
    only_row SMALLINT PRIMARY KEY CHECK (only_row = 1),
    number BIGINT NOT NULL CHECK (number >= 0),
    root BYTEA NOT NULL CHECK (length(root) = 33),
    pinned BYTEA NOT NULL CHECK (length(pinned) = 33),
    bytes BYTEA NOT NULL
);

-- Short codes that resolve now. Digits and bar code stand as keyed hashes; their uniqueness is the database's.
CREATE TABLE display (
    list BIGINT NOT NULL CHECK (list BETWEEN 0 AND 4294967295),
    idx BIGINT NOT NULL CHECK (idx BETWEEN 0 AND 4294967295),
    step BIGINT NOT NULL CHECK (step >= 0),
    n SMALLINT NOT NULL CHECK (n BETWEEN 0 AND 15),
    device BYTEA NOT NULL REFERENCES installation (device),
    -- 0 age, 1 minimal, 2 full: what the credential says, as the phone tells.
    profile SMALLINT NOT NULL CHECK (profile BETWEEN 0 AND 2),
    digits BYTEA NOT NULL CHECK (length(digits) = 32),
    bar BYTEA NOT NULL CHECK (length(bar) = 32),
    until BIGINT NOT NULL CHECK (until >= 0),
    PRIMARY KEY (list, idx, step),
    CONSTRAINT display_digits_unique UNIQUE (digits),
    CONSTRAINT display_bar_unique UNIQUE (bar)
);

CREATE INDEX display_by_device ON display (device);
CREATE INDEX display_by_end ON display (until);

-- A verifier's question that waits for the holder. No claim is in it: those come from the register after approval.
CREATE TABLE holder_check (
    id BYTEA PRIMARY KEY CHECK (length(id) = 16),
    verifier BYTEA NOT NULL REFERENCES relying_party (id),
    request_id TEXT NOT NULL CHECK (length(request_id) BETWEEN 1 AND 64),
    -- Salted SHA-256 of the code that opened it, as the signed answer names it.
    code_sha256 BYTEA NOT NULL CHECK (length(code_sha256) = 32),
    -- Keyed hash of the short code that opened it; none for a QR.
    code BYTEA CHECK (length(code) = 32),
    device BYTEA NOT NULL REFERENCES installation (device),
    list BIGINT NOT NULL CHECK (list BETWEEN 0 AND 4294967295),
    idx BIGINT NOT NULL CHECK (idx BETWEEN 0 AND 4294967295),
    step BIGINT NOT NULL CHECK (step >= 0),
    profile SMALLINT NOT NULL CHECK (profile BETWEEN 0 AND 2),
    match_number SMALLINT NOT NULL CHECK (match_number BETWEEN 0 AND 99),
    opened BIGINT NOT NULL CHECK (opened >= 0),
    expires BIGINT NOT NULL CHECK (expires >= 0),
    -- 0 open, 1 allowed, 2 declined
    state SMALLINT NOT NULL DEFAULT 0 CHECK (state BETWEEN 0 AND 2),
    decided BIGINT CHECK (decided >= 0),
    -- Digest of what stood on the holder's screen, by the holder's signed answer.
    shown BYTEA CHECK (length(shown) = 32),
    -- When the verifier was first told how an approval, or the wait for one, ended, and whether from the register.
    told BIGINT CHECK (told >= 0),
    reached SMALLINT CHECK (reached IN (0, 1)),
    CHECK ((state = 0) = (decided IS NULL)),
    CHECK (told IS NULL OR state <> 2),
    CHECK ((told IS NULL) = (reached IS NULL))
);

CREATE INDEX holder_check_open_by_device ON holder_check (device, opened) WHERE state = 0;
CREATE INDEX holder_check_by_verifier ON holder_check (verifier, request_id);
CREATE INDEX holder_check_open_by_verifier ON holder_check (verifier) WHERE state = 0;
CREATE INDEX holder_check_by_end ON holder_check (expires);

-- Well-formed short codes that resolved to nothing.
CREATE TABLE miss (
    verifier BYTEA NOT NULL REFERENCES relying_party (id),
    at BIGINT NOT NULL CHECK (at >= 0),
    -- Hash of the verifier's request id, keyed hash of the code: a repetition is not counted again.
    request BYTEA NOT NULL CHECK (length(request) = 32),
    code BYTEA NOT NULL CHECK (length(code) = 32),
    PRIMARY KEY (verifier, at, request, code)
);

CREATE INDEX miss_by_time ON miss (at);

-- Which code a verifier's request id stands for, by keyed hash, as long as an answer under it may be asked for.
CREATE TABLE question (
    verifier BYTEA NOT NULL REFERENCES relying_party (id),
    -- Hash of the request id.
    request BYTEA NOT NULL CHECK (length(request) = 32),
    code BYTEA NOT NULL CHECK (length(code) = 32),
    until BIGINT NOT NULL CHECK (until >= 0),
    PRIMARY KEY (verifier, request)
);

CREATE INDEX question_by_end ON question (until);

-- Events of registers taken, by a hash of who reported, source and id. No person and no document is in it.
CREATE TABLE register_event (
    id BYTEA PRIMARY KEY CHECK (length(id) = 32),
    content BYTEA NOT NULL CHECK (length(content) = 32),
    -- 0 applied, 1 late
    outcome SMALLINT NOT NULL CHECK (outcome IN (0, 1)),
    at BIGINT NOT NULL CHECK (at >= 0)
);

CREATE INDEX register_event_by_time ON register_event (at);

-- The highest sequence applied, by a hash of who reported, source, person and kind of document.
CREATE TABLE register_order (
    about BYTEA PRIMARY KEY CHECK (length(about) = 32),
    sequence BIGINT NOT NULL CHECK (sequence >= 0),
    at BIGINT NOT NULL CHECK (at >= 0)
);

CREATE INDEX register_order_by_time ON register_order (at);

-- Append-only: one chain per installation, each entry sealed to its phone, each head a hash over all entries before.
CREATE TABLE history (
    device BYTEA NOT NULL REFERENCES installation (device),
    number BIGINT NOT NULL CHECK (number > 0),
    head BYTEA NOT NULL CHECK (length(head) = 32),
    sealed BYTEA NOT NULL,
    at BIGINT NOT NULL CHECK (at >= 0),
    PRIMARY KEY (device, number)
);

CREATE FUNCTION history_grows_by_one() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF new.number <> 1 + (SELECT coalesce(max(number), 0) FROM history WHERE device = new.device) THEN
        RAISE EXCEPTION 'an entry comes after the newest one';
    END IF;
    RETURN new;
END $$;
CREATE FUNCTION history_stays() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'an entry is not changed or deleted';
END $$;
CREATE TRIGGER history_grows_by_one BEFORE INSERT ON history
    FOR EACH ROW EXECUTE FUNCTION history_grows_by_one();
CREATE TRIGGER history_stays BEFORE UPDATE OR DELETE OR TRUNCATE ON history
    FOR EACH STATEMENT EXECUTE FUNCTION history_stays();

-- Relying parties as OAuth clients. How one proves itself at the token endpoint: by a key, or in a sandbox by a secret, of which
-- a hash is kept.
CREATE TABLE oauth_client (
    relying_party BYTEA PRIMARY KEY REFERENCES relying_party (id),
    key BYTEA CHECK (length(key) = 33),
    secret BYTEA CHECK (length(secret) = 32),
    changed BIGINT NOT NULL CHECK (changed >= 0),
    -- One redirect URI a line.
    redirect_uris TEXT NOT NULL DEFAULT '',
    -- What credentials/info of the CSC API says: 0 implicit, 1 oauth2code.
    oauth2code SMALLINT NOT NULL DEFAULT 0 CHECK (oauth2code IN (0, 1)),
    CHECK ((key IS NULL) <> (secret IS NULL))
);

CREATE TABLE access_token (
    hash BYTEA PRIMARY KEY CHECK (length(hash) = 32),
    relying_party BYTEA NOT NULL REFERENCES relying_party (id),
    expires BIGINT NOT NULL CHECK (expires >= 0),
    -- The installation whose holder let the client have the token; NULL for client credentials.
    device BYTEA REFERENCES installation (device),
    -- Scope: 0 service, 1 credential.
    credential SMALLINT NOT NULL DEFAULT 0 CHECK (credential IN (0, 1))
);

CREATE INDEX access_token_by_party ON access_token (relying_party, expires);
CREATE INDEX access_token_by_end ON access_token (expires);

-- Assertions of clients that were used, by a hash of client and jti.
CREATE TABLE used_assertion (
    hash BYTEA PRIMARY KEY CHECK (length(hash) = 32),
    expires BIGINT NOT NULL CHECK (expires >= 0)
);

CREATE INDEX used_assertion_by_end ON used_assertion (expires);

-- Authorisations of the CSC API: who may fetch the signatures of a request, and which were fetched.
CREATE TABLE csc_authorisation (
    request BYTEA PRIMARY KEY REFERENCES request (id) ON DELETE CASCADE,
    relying_party BYTEA NOT NULL REFERENCES relying_party (id),
    -- Hash of the bearer token it was asked with.
    token BYTEA NOT NULL CHECK (length(token) = 32),
    device BYTEA NOT NULL REFERENCES installation (device),
    -- Hash of the activation data (SAD) given out last, and their end.
    sad BYTEA CHECK (length(sad) = 32),
    sad_expires BIGINT CHECK (sad_expires >= 0),
    -- Hash of the call that asked; none for a visit.
    asked_by BYTEA CHECK (length(asked_by) = 32),
    CHECK ((sad IS NULL) = (sad_expires IS NULL)),
    CONSTRAINT csc_authorisation_sad_unique UNIQUE (sad)
);

CREATE INDEX csc_authorisation_by_call ON csc_authorisation (asked_by) WHERE asked_by IS NOT NULL;

CREATE TABLE csc_digest (
    request BYTEA NOT NULL REFERENCES csc_authorisation (request) ON DELETE CASCADE,
    -- Place of the document in the request, from 0.
    place SMALLINT NOT NULL CHECK (place BETWEEN 0 AND 31),
    digest BYTEA NOT NULL CHECK (length(digest) = 32),
    -- Hash of the call that fetched its signature, and when.
    fetched_by BYTEA CHECK (length(fetched_by) = 32),
    fetched BIGINT CHECK (fetched >= 0),
    PRIMARY KEY (request, place),
    CHECK ((fetched_by IS NULL) = (fetched IS NULL))
);

-- Pushed authorization requests (RFC 9126), each used once.
CREATE TABLE pushed_request (
    hash BYTEA PRIMARY KEY CHECK (length(hash) = 32),
    relying_party BYTEA NOT NULL REFERENCES relying_party (id),
    -- The parameters, as a form.
    parameters TEXT NOT NULL,
    expires BIGINT NOT NULL CHECK (expires >= 0)
);

CREATE INDEX pushed_request_by_party ON pushed_request (relying_party, expires);
CREATE INDEX pushed_request_by_end ON pushed_request (expires);

-- Browsers at the authorisation page, and the codes they are sent back with.
CREATE TABLE visit (
    id BYTEA PRIMARY KEY CHECK (length(id) = 16),
    -- Hash of the browser's cookie.
    browser BYTEA NOT NULL CHECK (length(browser) = 32),
    relying_party BYTEA NOT NULL REFERENCES relying_party (id),
    redirect_uri TEXT NOT NULL,
    state TEXT,
    -- Of PKCE: SHA-256 of the verifier.
    challenge BYTEA NOT NULL CHECK (length(challenge) = 32),
    -- What is asked for, JSON.
    asked TEXT NOT NULL,
    expires BIGINT NOT NULL CHECK (expires >= 0),
    -- The signing request the phone has, once there is one.
    request BYTEA REFERENCES request (id) ON DELETE CASCADE,
    cancelled SMALLINT NOT NULL DEFAULT 0 CHECK (cancelled IN (0, 1)),
    -- Hash of the code given out last, and its end; hash of the access token it was exchanged for.
    code BYTEA CHECK (length(code) = 32),
    code_expires BIGINT CHECK (code_expires >= 0),
    token BYTEA CHECK (length(token) = 32),
    CHECK ((code IS NULL) = (code_expires IS NULL)),
    CONSTRAINT visit_code_unique UNIQUE (code)
);

CREATE INDEX visit_by_party ON visit (relying_party, expires);
CREATE INDEX visit_by_end ON visit (expires);
CREATE INDEX visit_by_request ON visit (request) WHERE request IS NOT NULL;

-- Webhooks of relying parties: where they are told that a request ended, and what is still to be told.
CREATE TABLE webhook (
    id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    relying_party BYTEA NOT NULL REFERENCES relying_party (id),
    url TEXT NOT NULL,
    UNIQUE (relying_party, url)
);

-- How many events a relying party has had. Stays when they are forgotten: a place is given out once.
CREATE TABLE webhook_counter (
    relying_party BYTEA PRIMARY KEY REFERENCES relying_party (id),
    last BIGINT NOT NULL CHECK (last >= 1)
);

-- A request ends once: it is the event's id. `status` is its state, or 6 for a wrong verification code.
CREATE TABLE webhook_event (
    id BYTEA PRIMARY KEY CHECK (length(id) = 16),
    relying_party BYTEA NOT NULL REFERENCES relying_party (id),
    sequence BIGINT NOT NULL CHECK (sequence >= 1),
    status SMALLINT NOT NULL CHECK (status BETWEEN 1 AND 6),
    at BIGINT NOT NULL CHECK (at >= 0),
    UNIQUE (relying_party, sequence)
);

CREATE INDEX webhook_event_by_time ON webhook_event (at);

-- state: 0 waiting, 1 delivered, 2 failed. `next` is when a waiting one is due, `until` when it is given up.
CREATE TABLE webhook_delivery (
    event BYTEA NOT NULL REFERENCES webhook_event (id) ON DELETE CASCADE,
    webhook BIGINT NOT NULL REFERENCES webhook (id) ON DELETE CASCADE,
    state SMALLINT NOT NULL CHECK (state BETWEEN 0 AND 2),
    attempts BIGINT NOT NULL CHECK (attempts >= 0),
    next BIGINT CHECK (next >= 0),
    until BIGINT NOT NULL CHECK (until >= 0),
    PRIMARY KEY (event, webhook),
    CHECK ((state = 0) = (next IS NOT NULL))
);

CREATE INDEX webhook_delivery_due ON webhook_delivery (webhook, next) WHERE next IS NOT NULL;

-- In the transaction that ends the request, whichever that is. 86400: a day, as long as a delivery is tried.
CREATE FUNCTION request_ended() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NOT EXISTS (SELECT 1 FROM webhook WHERE relying_party = new.relying_party) THEN
        RETURN NULL;
    END IF;
    INSERT INTO webhook_counter AS counter (relying_party, last) VALUES (new.relying_party, 1)
        ON CONFLICT (relying_party) DO UPDATE SET last = counter.last + 1;
    INSERT INTO webhook_event (id, relying_party, sequence, status, at)
        SELECT new.id, new.relying_party, last, CASE WHEN new.state = 2 AND EXISTS
            (SELECT 1 FROM request_code WHERE request = new.id AND chosen_place <> right_place) THEN 6 ELSE new.state END,
            new.ended
        FROM webhook_counter WHERE relying_party = new.relying_party;
    INSERT INTO webhook_delivery (event, webhook, state, attempts, next, until)
        SELECT new.id, id, 0, 0, new.ended, new.ended + 86400
        FROM webhook WHERE relying_party = new.relying_party;
    RETURN NULL;
END $$;
CREATE TRIGGER request_ended AFTER UPDATE OF state ON request
    FOR EACH ROW WHEN (old.state = 0 AND new.state <> 0) EXECUTE FUNCTION request_ended();

-- The audit log: spec/audit.md. An act says what it is in audit_waiting, by a trigger, so that no way to it is forgotten; in its
-- own transaction that is, and what waits is moved into the chain a moment later by one node: chained within the acts, all
-- of them would wait for one another.

CREATE TABLE audit_waiting (
    number BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    act SMALLINT NOT NULL CHECK (act BETWEEN 0 AND 255),
    subject BYTEA CHECK (length(subject) = 16),
    relying_party BYTEA CHECK (length(relying_party) = 16),
    object BYTEA CHECK (length(object) = 16),
    detail TEXT CHECK (length(detail) BETWEEN 1 AND 40)
);

CREATE TABLE audit (
    idx BIGINT PRIMARY KEY CHECK (idx >= 0),
    entry BYTEA NOT NULL CHECK (length(entry) BETWEEN 1 AND 256),
    -- As in the entry, to find it by.
    subject BYTEA CHECK (length(subject) = 16),
    object BYTEA CHECK (length(object) = 16)
);

CREATE INDEX audit_by_subject ON audit (subject, idx) WHERE subject IS NOT NULL;
CREATE INDEX audit_by_object ON audit (object, idx) WHERE object IS NOT NULL;

CREATE FUNCTION audit_grows_by_one() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF new.idx <> (SELECT coalesce(max(idx) + 1, 0) FROM audit) THEN
        RAISE EXCEPTION 'an entry comes after the newest one';
    END IF;
    RETURN new;
END $$;
CREATE FUNCTION audit_stays() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'an entry is not changed or deleted';
END $$;
CREATE TRIGGER audit_grows_by_one BEFORE INSERT ON audit FOR EACH ROW EXECUTE FUNCTION audit_grows_by_one();
CREATE TRIGGER audit_stays BEFORE UPDATE OR DELETE OR TRUNCATE ON audit
    FOR EACH STATEMENT EXECUTE FUNCTION audit_stays();

-- Nodes of the tree over it, at every eighth level.
CREATE TABLE audit_node (
    level SMALLINT NOT NULL CHECK (level BETWEEN 8 AND 56 AND level % 8 = 0),
    idx BIGINT NOT NULL CHECK (idx >= 0),
    hash BYTEA NOT NULL CHECK (length(hash) = 32),
    PRIMARY KEY (level, idx)
);

CREATE TABLE audit_checkpoint (
    only_row SMALLINT PRIMARY KEY CHECK (only_row = 1),
    size BIGINT NOT NULL CHECK (size >= 0),
    note TEXT NOT NULL
);

-- The acts. Their numbers: `AuditAct` in signer-core.

CREATE FUNCTION audit_name_of(whose BYTEA) RETURNS BYTEA LANGUAGE sql STABLE AS
    'SELECT audit_name FROM installation WHERE device = whose';

CREATE FUNCTION audit_meta() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO audit_waiting (act) VALUES (0);
    RETURN NULL;
END $$;
CREATE TRIGGER audit_started AFTER UPDATE OF run ON meta FOR EACH ROW EXECUTE FUNCTION audit_meta();

CREATE FUNCTION audit_enrolment_code() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO audit_waiting (act) VALUES (1);
    RETURN NULL;
END $$;
CREATE TRIGGER audit_code_made AFTER INSERT ON enrolment_code
    FOR EACH ROW EXECUTE FUNCTION audit_enrolment_code();

CREATE FUNCTION audit_enrolled() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO audit_waiting (act, subject) VALUES (2, new.audit_name);
    RETURN NULL;
END $$;
CREATE TRIGGER audit_enrolled AFTER INSERT ON installation FOR EACH ROW EXECUTE FUNCTION audit_enrolled();

CREATE FUNCTION audit_installation() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF new.suspended <> old.suspended THEN
        INSERT INTO audit_waiting (act, subject) VALUES (CASE new.suspended WHEN 1 THEN 10 ELSE 11 END, new.audit_name);
    END IF;
    IF new.standing <> old.standing THEN
        INSERT INTO audit_waiting (act, subject, detail) VALUES (
            CASE new.standing WHEN 0 THEN 11 WHEN 1 THEN 12 ELSE 13 END, new.audit_name,
            -- Certificates are revoked first, with the reason (RFC 5280 section 5.3.1).
            CASE WHEN new.standing = 2 THEN
                (SELECT CASE reason WHEN 1 THEN 'key_compromise' WHEN 3 THEN 'affiliation_changed' WHEN 4 THEN 'superseded'
                    WHEN 5 THEN 'cessation_of_operation' WHEN 9 THEN 'privilege_withdrawn' ELSE 'unspecified' END
                 FROM certificate WHERE device = new.device AND state = 2 ORDER BY number DESC LIMIT 1) END);
    END IF;
    IF old.audit_name IS NOT NULL AND new.audit_name IS NULL THEN
        INSERT INTO audit_waiting (act) VALUES (28);
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER audit_installation AFTER UPDATE OF suspended, standing, audit_name ON installation
    FOR EACH ROW EXECUTE FUNCTION audit_installation();

CREATE FUNCTION audit_request_made() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO audit_waiting (act, subject, relying_party, object) VALUES (3,
        (SELECT audit_name FROM installation WHERE holder = new.holder AND standing <> 2), new.relying_party, new.id);
    RETURN NULL;
END $$;
CREATE TRIGGER audit_request_made AFTER INSERT ON request FOR EACH ROW EXECUTE FUNCTION audit_request_made();

CREATE FUNCTION audit_request_ended() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO audit_waiting (act, subject, relying_party, object, detail) VALUES (
        CASE new.state WHEN 1 THEN 5 ELSE 4 END,
        (SELECT audit_name FROM installation WHERE device = new.signed_by
            OR (new.signed_by IS NULL AND holder = new.holder AND standing <> 2)),
        new.relying_party, new.id,
        CASE new.state WHEN 1 THEN NULL
            WHEN 2 THEN CASE WHEN EXISTS
                (SELECT 1 FROM request_code WHERE request = new.id AND chosen_place <> right_place)
                THEN 'wrong_code' ELSE 'declined' END
            WHEN 3 THEN 'cancelled' WHEN 4 THEN 'expired' ELSE 'key_ended' END);
    RETURN NULL;
END $$;
CREATE TRIGGER audit_request_ended AFTER UPDATE OF state ON request
    FOR EACH ROW WHEN (old.state = 0 AND new.state <> 0) EXECUTE FUNCTION audit_request_ended();

CREATE FUNCTION audit_pin() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO audit_waiting (act, subject)
        VALUES (CASE new.kind WHEN 1 THEN 7 WHEN 2 THEN 6 ELSE 8 END, audit_name_of(new.device));
    RETURN NULL;
END $$;
CREATE TRIGGER audit_pin AFTER INSERT OR UPDATE ON outcome
    FOR EACH ROW WHEN (new.kind <> 0) EXECUTE FUNCTION audit_pin();

CREATE FUNCTION audit_refreshed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO audit_waiting (act, subject) VALUES (9, audit_name_of(new.device));
    RETURN NULL;
END $$;
CREATE TRIGGER audit_refreshed AFTER UPDATE OF epoch ON signing_key
    FOR EACH ROW WHEN (new.epoch <> old.epoch) EXECUTE FUNCTION audit_refreshed();

CREATE FUNCTION audit_credential() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO audit_waiting (act, subject, detail) VALUES (
        CASE WHEN new.device IS NULL THEN 27 WHEN TG_OP = 'INSERT' THEN 14 ELSE 16 END, audit_name_of(new.device),
        CASE WHEN new.device IS NULL THEN CASE WHEN TG_OP = 'INSERT' THEN 'issued' ELSE 'withdrawn' END END);
    RETURN NULL;
END $$;
CREATE TRIGGER audit_credential_issued AFTER INSERT ON credential
    FOR EACH ROW EXECUTE FUNCTION audit_credential();
CREATE TRIGGER audit_credential_withdrawn AFTER UPDATE OF state ON credential
    FOR EACH ROW WHEN (old.state = 0 AND new.state = 1) EXECUTE FUNCTION audit_credential();

-- Where and by whom a person's documents were looked at is for the person's own history, not for this log: no subject.
CREATE FUNCTION audit_code_used() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO audit_waiting (act, relying_party) VALUES (15, new.verifier);
    RETURN NULL;
END $$;
CREATE TRIGGER audit_code_used AFTER INSERT ON burn FOR EACH ROW EXECUTE FUNCTION audit_code_used();

CREATE FUNCTION audit_check_answered() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO audit_waiting (act, relying_party, object, detail)
        VALUES (26, new.verifier, new.id, CASE new.state WHEN 1 THEN 'allowed' ELSE 'declined' END);
    RETURN NULL;
END $$;
CREATE TRIGGER audit_check_answered AFTER UPDATE OF state ON holder_check
    FOR EACH ROW WHEN (old.state = 0 AND new.state <> 0) EXECUTE FUNCTION audit_check_answered();

-- Of a relying party: the act, and what was done, are the trigger's arguments.
CREATE FUNCTION audit_party() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO audit_waiting (act, relying_party, detail) VALUES (TG_ARGV[0]::smallint, new.id, TG_ARGV[1]);
    RETURN NULL;
END $$;
CREATE TRIGGER audit_party_added AFTER INSERT ON relying_party FOR EACH ROW EXECUTE FUNCTION audit_party(17);
CREATE TRIGGER audit_party_changed
    AFTER UPDATE OF name, token_hash, may_ask, may_verify, generates_for, report_kinds, may_report_deceased,
        calls_per_second, kept_bytes_max ON relying_party
    FOR EACH ROW EXECUTE FUNCTION audit_party(18, 'rights');
CREATE TRIGGER audit_party_revoked AFTER UPDATE OF revoked ON relying_party
    FOR EACH ROW WHEN (new.revoked <> old.revoked) EXECUTE FUNCTION audit_party(19);

CREATE FUNCTION audit_of_party() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO audit_waiting (act, relying_party, detail)
        VALUES (18, CASE WHEN TG_OP = 'DELETE' THEN old.relying_party ELSE new.relying_party END, TG_ARGV[0]);
    RETURN NULL;
END $$;
CREATE TRIGGER audit_client AFTER INSERT OR UPDATE ON oauth_client
    FOR EACH ROW EXECUTE FUNCTION audit_of_party('oauth_client');
CREATE TRIGGER audit_webhook_added AFTER INSERT ON webhook
    FOR EACH ROW EXECUTE FUNCTION audit_of_party('webhook_added');
CREATE TRIGGER audit_webhook_removed AFTER DELETE ON webhook
    FOR EACH ROW EXECUTE FUNCTION audit_of_party('webhook_removed');

CREATE FUNCTION audit_key() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO audit_waiting (act, detail) VALUES (TG_ARGV[0]::smallint, substr(new.purpose, 1, 40));
    RETURN NULL;
END $$;
CREATE TRIGGER audit_key_made AFTER INSERT ON server_key FOR EACH ROW EXECUTE FUNCTION audit_key(20);
CREATE TRIGGER audit_key_activated AFTER UPDATE OF activated ON server_key
    FOR EACH ROW WHEN (old.activated IS NULL) EXECUTE FUNCTION audit_key(21);

CREATE FUNCTION audit_trust_list() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO audit_waiting (act, detail) VALUES (22, 'number_' || new.number);
    RETURN NULL;
END $$;
CREATE TRIGGER audit_trust_list AFTER INSERT OR UPDATE ON trust_list
    FOR EACH ROW EXECUTE FUNCTION audit_trust_list();

CREATE FUNCTION audit_certificate() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO audit_waiting (act, subject, detail)
        VALUES (23, audit_name_of(new.device), CASE new.imported WHEN 1 THEN 'imported' END);
    RETURN NULL;
END $$;
CREATE TRIGGER audit_certificate_issued AFTER INSERT ON certificate
    FOR EACH ROW EXECUTE FUNCTION audit_certificate();

CREATE FUNCTION audit_released() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO audit_waiting (act, relying_party, object)
        SELECT 24, relying_party, new.request FROM csc_authorisation WHERE request = new.request;
    RETURN NULL;
END $$;
CREATE TRIGGER audit_released AFTER UPDATE OF fetched_by ON csc_digest
    FOR EACH ROW WHEN (old.fetched_by IS NULL) EXECUTE FUNCTION audit_released();

CREATE FUNCTION audit_reported() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO audit_waiting (act, detail) VALUES (25, CASE new.outcome WHEN 0 THEN 'applied' ELSE 'late' END);
    RETURN NULL;
END $$;
CREATE TRIGGER audit_reported AFTER INSERT ON register_event FOR EACH ROW EXECUTE FUNCTION audit_reported();
