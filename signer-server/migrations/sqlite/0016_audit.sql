-- The audit log: spec/audit.md. An act says what it is in audit_waiting, by a trigger, so that no way to it is forgotten; the
-- writer moves what waits into the chain before the transaction is committed.

-- How the log names an installation: random, and all that leads from its entries to a person.
ALTER TABLE installation ADD COLUMN audit_name BLOB CHECK (length(audit_name) = 16);
UPDATE installation SET audit_name = randomblob(16);
CREATE UNIQUE INDEX installation_audit_name_unique ON installation (audit_name) WHERE audit_name IS NOT NULL;

CREATE TABLE audit_waiting (
    number INTEGER PRIMARY KEY,
    act INTEGER NOT NULL CHECK (act BETWEEN 0 AND 255),
    subject BLOB CHECK (length(subject) = 16),
    relying_party BLOB CHECK (length(relying_party) = 16),
    object BLOB CHECK (length(object) = 16),
    detail TEXT CHECK (length(detail) BETWEEN 1 AND 40)
) STRICT;

CREATE TABLE audit (
    idx INTEGER PRIMARY KEY CHECK (idx >= 0),
    entry BLOB NOT NULL CHECK (length(entry) BETWEEN 1 AND 256),
    -- As in the entry, to find it by.
    subject BLOB CHECK (length(subject) = 16),
    object BLOB CHECK (length(object) = 16)
) STRICT;

CREATE INDEX audit_by_subject ON audit (subject, idx) WHERE subject IS NOT NULL;
CREATE INDEX audit_by_object ON audit (object, idx) WHERE object IS NOT NULL;

CREATE TRIGGER audit_grows_by_one BEFORE INSERT ON audit
    WHEN new.idx <> (SELECT coalesce(max(idx) + 1, 0) FROM audit)
BEGIN
    SELECT raise(ABORT, 'an entry comes after the newest one');
END;
CREATE TRIGGER audit_is_not_changed BEFORE UPDATE ON audit
BEGIN
    SELECT raise(ABORT, 'an entry is not changed');
END;
CREATE TRIGGER audit_is_not_deleted BEFORE DELETE ON audit
BEGIN
    SELECT raise(ABORT, 'an entry is not deleted');
END;

-- Nodes of the tree over it, at every eighth level.
CREATE TABLE audit_node (
    level INTEGER NOT NULL CHECK (level BETWEEN 8 AND 56 AND level % 8 = 0),
    idx INTEGER NOT NULL CHECK (idx >= 0),
    hash BLOB NOT NULL CHECK (length(hash) = 32),
    PRIMARY KEY (level, idx)
) STRICT, WITHOUT ROWID;

CREATE TABLE audit_checkpoint (
    only_row INTEGER PRIMARY KEY CHECK (only_row = 1),
    size INTEGER NOT NULL CHECK (size >= 0),
    note TEXT NOT NULL
) STRICT;

-- The acts. Their numbers: `AuditAct` in signer-core.

CREATE TRIGGER audit_started AFTER UPDATE OF run ON meta
BEGIN
    INSERT INTO audit_waiting (act) VALUES (0);
END;

CREATE TRIGGER audit_code_made AFTER INSERT ON enrolment_code
BEGIN
    INSERT INTO audit_waiting (act) VALUES (1);
END;

CREATE TRIGGER audit_enrolled AFTER INSERT ON installation
BEGIN
    UPDATE installation SET audit_name = randomblob(16) WHERE device = new.device;
    INSERT INTO audit_waiting (act, subject) SELECT 2, audit_name FROM installation WHERE device = new.device;
END;

CREATE TRIGGER audit_request_made AFTER INSERT ON request
BEGIN
    INSERT INTO audit_waiting (act, subject, relying_party, object) VALUES (3,
        (SELECT audit_name FROM installation WHERE holder = new.holder AND standing <> 2), new.relying_party, new.id);
END;

CREATE TRIGGER audit_request_ended AFTER UPDATE OF state ON request WHEN old.state = 0 AND new.state <> 0
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
END;

CREATE TRIGGER audit_pin AFTER INSERT ON outcome WHEN new.kind <> 0
BEGIN
    INSERT INTO audit_waiting (act, subject) VALUES (
        CASE new.kind WHEN 1 THEN 7 WHEN 2 THEN 6 ELSE 8 END,
        (SELECT audit_name FROM installation WHERE device = new.device));
END;

CREATE TRIGGER audit_refreshed AFTER UPDATE OF epoch ON signing_key WHEN new.epoch <> old.epoch
BEGIN
    INSERT INTO audit_waiting (act, subject)
        VALUES (9, (SELECT audit_name FROM installation WHERE device = new.device));
END;

CREATE TRIGGER audit_suspended AFTER UPDATE OF suspended ON installation WHEN new.suspended <> old.suspended
BEGIN
    INSERT INTO audit_waiting (act, subject) VALUES (CASE new.suspended WHEN 1 THEN 10 ELSE 11 END, new.audit_name);
END;

CREATE TRIGGER audit_standing AFTER UPDATE OF standing ON installation WHEN new.standing <> old.standing
BEGIN
    INSERT INTO audit_waiting (act, subject, detail) VALUES (
        CASE new.standing WHEN 0 THEN 11 WHEN 1 THEN 12 ELSE 13 END, new.audit_name,
        -- Certificates are revoked first, with the reason (RFC 5280 section 5.3.1).
        CASE WHEN new.standing = 2 THEN
            (SELECT CASE reason WHEN 1 THEN 'key_compromise' WHEN 3 THEN 'affiliation_changed' WHEN 4 THEN 'superseded'
                WHEN 5 THEN 'cessation_of_operation' WHEN 9 THEN 'privilege_withdrawn' ELSE 'unspecified' END
             FROM certificate WHERE device = new.device AND state = 2 ORDER BY number DESC LIMIT 1) END);
END;

CREATE TRIGGER audit_credential_issued AFTER INSERT ON credential
BEGIN
    INSERT INTO audit_waiting (act, subject, detail) VALUES (
        CASE WHEN new.device IS NULL THEN 27 ELSE 14 END,
        (SELECT audit_name FROM installation WHERE device = new.device),
        CASE WHEN new.device IS NULL THEN 'issued' END);
END;

CREATE TRIGGER audit_credential_withdrawn AFTER UPDATE OF state ON credential WHEN old.state = 0 AND new.state = 1
BEGIN
    INSERT INTO audit_waiting (act, subject, detail) VALUES (
        CASE WHEN new.device IS NULL THEN 27 ELSE 16 END,
        (SELECT audit_name FROM installation WHERE device = new.device),
        CASE WHEN new.device IS NULL THEN 'withdrawn' END);
END;

-- Where and by whom a person's documents were looked at is for the person's own history, not for this log: no subject.
CREATE TRIGGER audit_code_used AFTER INSERT ON burn
BEGIN
    INSERT INTO audit_waiting (act, relying_party) VALUES (15, new.verifier);
END;

CREATE TRIGGER audit_check_answered AFTER UPDATE OF state ON holder_check WHEN old.state = 0 AND new.state <> 0
BEGIN
    INSERT INTO audit_waiting (act, relying_party, object, detail)
        VALUES (26, new.verifier, new.id, CASE new.state WHEN 1 THEN 'allowed' ELSE 'declined' END);
END;

CREATE TRIGGER audit_party_added AFTER INSERT ON relying_party
BEGIN
    INSERT INTO audit_waiting (act, relying_party) VALUES (17, new.id);
END;

CREATE TRIGGER audit_party_changed
AFTER UPDATE OF name, token_hash, may_ask, may_verify, generates_for, report_kinds, may_report_deceased,
    calls_per_second, kept_bytes_max ON relying_party
BEGIN
    INSERT INTO audit_waiting (act, relying_party, detail) VALUES (18, new.id, 'rights');
END;

CREATE TRIGGER audit_party_revoked AFTER UPDATE OF revoked ON relying_party WHEN new.revoked <> old.revoked
BEGIN
    INSERT INTO audit_waiting (act, relying_party) VALUES (19, new.id);
END;

CREATE TRIGGER audit_client_added AFTER INSERT ON oauth_client
BEGIN
    INSERT INTO audit_waiting (act, relying_party, detail) VALUES (18, new.relying_party, 'oauth_client');
END;

CREATE TRIGGER audit_client_changed AFTER UPDATE ON oauth_client
BEGIN
    INSERT INTO audit_waiting (act, relying_party, detail) VALUES (18, new.relying_party, 'oauth_client');
END;

CREATE TRIGGER audit_webhook_added AFTER INSERT ON webhook
BEGIN
    INSERT INTO audit_waiting (act, relying_party, detail) VALUES (18, new.relying_party, 'webhook_added');
END;

CREATE TRIGGER audit_webhook_removed AFTER DELETE ON webhook
BEGIN
    INSERT INTO audit_waiting (act, relying_party, detail) VALUES (18, old.relying_party, 'webhook_removed');
END;

CREATE TRIGGER audit_key_made AFTER INSERT ON server_key
BEGIN
    INSERT INTO audit_waiting (act, detail) VALUES (20, substr(new.purpose, 1, 40));
END;

CREATE TRIGGER audit_key_activated AFTER UPDATE OF activated ON server_key WHEN old.activated IS NULL
BEGIN
    INSERT INTO audit_waiting (act, detail) VALUES (21, substr(new.purpose, 1, 40));
END;

CREATE TRIGGER audit_trust_list_first AFTER INSERT ON trust_list
BEGIN
    INSERT INTO audit_waiting (act, detail) VALUES (22, 'number_' || new.number);
END;

CREATE TRIGGER audit_trust_list_put AFTER UPDATE ON trust_list
BEGIN
    INSERT INTO audit_waiting (act, detail) VALUES (22, 'number_' || new.number);
END;

CREATE TRIGGER audit_certificate_issued AFTER INSERT ON certificate
BEGIN
    INSERT INTO audit_waiting (act, subject, detail) VALUES (
        23, (SELECT audit_name FROM installation WHERE device = new.device),
        CASE new.imported WHEN 1 THEN 'imported' END);
END;

CREATE TRIGGER audit_released AFTER UPDATE OF fetched_by ON csc_digest WHEN old.fetched_by IS NULL
BEGIN
    INSERT INTO audit_waiting (act, relying_party, object)
        SELECT 24, relying_party, new.request FROM csc_authorisation WHERE request = new.request;
END;

CREATE TRIGGER audit_reported AFTER INSERT ON register_event
BEGIN
    INSERT INTO audit_waiting (act, detail) VALUES (25, CASE new.outcome WHEN 0 THEN 'applied' ELSE 'late' END);
END;

CREATE TRIGGER audit_forgotten AFTER UPDATE OF audit_name ON installation
    WHEN old.audit_name IS NOT NULL AND new.audit_name IS NULL
BEGIN
    INSERT INTO audit_waiting (act) VALUES (28);
END;
