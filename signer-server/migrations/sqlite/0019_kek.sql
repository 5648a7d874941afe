-- Generations of the key-encryption key: spec/hsm.md. A wrapped secret names its key by an id of 4 bytes, after a version byte.

CREATE TABLE kek (
    generation INTEGER PRIMARY KEY CHECK (generation BETWEEN 1 AND 4294967295),
    id BLOB NOT NULL CHECK (length(id) = 4),
    -- Where it is: 0 in a file, 1 wrapped by a token's key, 2 in a token.
    source INTEGER NOT NULL CHECK (source BETWEEN 0 AND 2),
    -- The key as the token wrapped it.
    token_wrapped BLOB,
    -- Nothing, wrapped under it: that a key is this one is found out before it is used.
    check_value BLOB NOT NULL CHECK (length(check_value) BETWEEN 1 AND 64),
    -- 0 prepared, 1 current, 2 old, 3 retired
    state INTEGER NOT NULL CHECK (state BETWEEN 0 AND 3),
    made INTEGER NOT NULL CHECK (made >= 0),
    -- When it came into its state.
    changed INTEGER NOT NULL CHECK (changed >= 0),
    CONSTRAINT kek_id_unique UNIQUE (id),
    CHECK ((source = 1 AND state <> 3) = (token_wrapped IS NOT NULL))
) STRICT;

CREATE UNIQUE INDEX kek_one_current ON kek (state) WHERE state = 1;
CREATE UNIQUE INDEX kek_one_prepared ON kek (state) WHERE state = 0;

-- What each server process has: the newest generation it holds, and the one it wraps under.
CREATE TABLE kek_node (
    run INTEGER PRIMARY KEY CHECK (run >= 0),
    holds INTEGER NOT NULL CHECK (holds >= 0),
    wraps INTEGER NOT NULL CHECK (wraps >= 0)
) STRICT;

-- What is still under a key is found without reading the rest.
CREATE INDEX signing_key_by_kek ON signing_key (substr(wrapped, 2, 4));
CREATE INDEX certificate_by_kek ON certificate (substr(wrapped_chain, 2, 4));
CREATE INDEX credential_otp_by_kek ON credential (substr(wrapped_otp, 2, 4)) WHERE wrapped_otp IS NOT NULL;
CREATE INDEX credential_document_by_kek ON credential (substr(wrapped_document, 2, 4)) WHERE wrapped_document IS NOT NULL;
CREATE INDEX request_link_by_kek ON request_link (substr(wrapped_secret, 2, 4));

-- Nothing is written under a key that may be gone.
CREATE TRIGGER signing_key_kek_lives BEFORE INSERT ON signing_key
    WHEN EXISTS (SELECT 1 FROM kek WHERE state = 3 AND id = substr(new.wrapped, 2, 4))
BEGIN SELECT raise(ABORT, 'wrapped under a retired key'); END;
CREATE TRIGGER signing_key_kek_stays BEFORE UPDATE OF wrapped ON signing_key
    WHEN EXISTS (SELECT 1 FROM kek WHERE state = 3 AND id = substr(new.wrapped, 2, 4))
BEGIN SELECT raise(ABORT, 'wrapped under a retired key'); END;
CREATE TRIGGER certificate_kek_lives BEFORE INSERT ON certificate
    WHEN EXISTS (SELECT 1 FROM kek WHERE state = 3 AND id = substr(new.wrapped_chain, 2, 4))
BEGIN SELECT raise(ABORT, 'wrapped under a retired key'); END;
CREATE TRIGGER credential_kek_lives BEFORE INSERT ON credential
    WHEN EXISTS (SELECT 1 FROM kek WHERE state = 3
        AND id IN (substr(new.wrapped_otp, 2, 4), substr(new.wrapped_document, 2, 4)))
BEGIN SELECT raise(ABORT, 'wrapped under a retired key'); END;
CREATE TRIGGER request_link_kek_lives BEFORE INSERT ON request_link
    WHEN EXISTS (SELECT 1 FROM kek WHERE state = 3 AND id = substr(new.wrapped_secret, 2, 4))
BEGIN SELECT raise(ABORT, 'wrapped under a retired key'); END;
CREATE TRIGGER server_key_kek_lives BEFORE INSERT ON server_key
    WHEN EXISTS (SELECT 1 FROM kek WHERE state = 3 AND id = substr(new.wrapped, 2, 4))
BEGIN SELECT raise(ABORT, 'wrapped under a retired key'); END;
CREATE TRIGGER certificate_kek_stays BEFORE UPDATE OF wrapped_chain ON certificate
    WHEN EXISTS (SELECT 1 FROM kek WHERE state = 3 AND id = substr(new.wrapped_chain, 2, 4))
BEGIN SELECT raise(ABORT, 'wrapped under a retired key'); END;
CREATE TRIGGER credential_kek_stays BEFORE UPDATE OF wrapped_otp, wrapped_document ON credential
    WHEN EXISTS (SELECT 1 FROM kek WHERE state = 3
        AND id IN (substr(new.wrapped_otp, 2, 4), substr(new.wrapped_document, 2, 4)))
BEGIN SELECT raise(ABORT, 'wrapped under a retired key'); END;
CREATE TRIGGER request_link_kek_stays BEFORE UPDATE OF wrapped_secret ON request_link
    WHEN EXISTS (SELECT 1 FROM kek WHERE state = 3 AND id = substr(new.wrapped_secret, 2, 4))
BEGIN SELECT raise(ABORT, 'wrapped under a retired key'); END;
CREATE TRIGGER server_key_kek_stays BEFORE UPDATE OF wrapped ON server_key
    WHEN EXISTS (SELECT 1 FROM kek WHERE state = 3 AND id = substr(new.wrapped, 2, 4))
BEGIN SELECT raise(ABORT, 'wrapped under a retired key'); END;

CREATE TRIGGER ceremony_kek_lives BEFORE INSERT ON ceremony
    WHEN EXISTS (SELECT 1 FROM kek WHERE state = 3 AND id = substr(new.state, 2, 4))
BEGIN SELECT raise(ABORT, 'wrapped under a retired key'); END;
CREATE TRIGGER ceremony_kek_stays BEFORE UPDATE OF state ON ceremony
    WHEN EXISTS (SELECT 1 FROM kek WHERE state = 3 AND id = substr(new.state, 2, 4))
BEGIN SELECT raise(ABORT, 'wrapped under a retired key'); END;

-- Acts: `AuditAct` in signer-core. The first generation comes with the store.
CREATE TRIGGER audit_kek AFTER UPDATE OF state ON kek WHEN new.state <> old.state AND new.state IN (1, 3)
BEGIN
    INSERT INTO audit_waiting (act, detail)
        VALUES (CASE new.state WHEN 1 THEN 29 ELSE 30 END, 'generation_' || new.generation);
END;
