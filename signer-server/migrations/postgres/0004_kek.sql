-- Generations of the key-encryption key: spec/hsm.md. A wrapped secret names its key by an id of 4 bytes, after a version byte.

CREATE TABLE kek (
    generation BIGINT PRIMARY KEY CHECK (generation BETWEEN 1 AND 4294967295),
    id BYTEA NOT NULL CHECK (length(id) = 4),
    -- Where it is: 0 in a file, 1 wrapped by a token's key, 2 in a token.
    source SMALLINT NOT NULL CHECK (source BETWEEN 0 AND 2),
    -- The key as the token wrapped it.
    token_wrapped BYTEA,
    -- Nothing, wrapped under it: that a key is this one is found out before it is used.
    check_value BYTEA NOT NULL CHECK (length(check_value) BETWEEN 1 AND 64),
    -- 0 prepared, 1 current, 2 old, 3 retired
    state SMALLINT NOT NULL CHECK (state BETWEEN 0 AND 3),
    made BIGINT NOT NULL CHECK (made >= 0),
    -- When it came into its state.
    changed BIGINT NOT NULL CHECK (changed >= 0),
    CONSTRAINT kek_id_unique UNIQUE (id),
    CHECK ((source = 1 AND state <> 3) = (token_wrapped IS NOT NULL))
);

CREATE UNIQUE INDEX kek_one_current ON kek (state) WHERE state = 1;
CREATE UNIQUE INDEX kek_one_prepared ON kek (state) WHERE state = 0;

-- What each server process has: the newest generation it holds, and the one it wraps under.
CREATE TABLE kek_node (
    run BIGINT PRIMARY KEY CHECK (run >= 0),
    holds BIGINT NOT NULL CHECK (holds >= 0),
    wraps BIGINT NOT NULL CHECK (wraps >= 0)
);

-- What is still under a key is found without reading the rest.
CREATE INDEX signing_key_by_kek ON signing_key (substr(wrapped, 2, 4));
CREATE INDEX certificate_by_kek ON certificate (substr(wrapped_chain, 2, 4));
CREATE INDEX credential_otp_by_kek ON credential (substr(wrapped_otp, 2, 4)) WHERE wrapped_otp IS NOT NULL;
CREATE INDEX credential_document_by_kek ON credential (substr(wrapped_document, 2, 4)) WHERE wrapped_document IS NOT NULL;
CREATE INDEX request_link_by_kek ON request_link (substr(wrapped_secret, 2, 4));

-- Nothing is written under a key that may be gone.
CREATE FUNCTION refuse_retired_kek(wrapped BYTEA) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (SELECT 1 FROM kek WHERE state = 3 AND id = substr(wrapped, 2, 4)) THEN
        RAISE EXCEPTION 'wrapped under a retired key';
    END IF;
END $$;

CREATE FUNCTION kek_of_wrapped() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM refuse_retired_kek(new.wrapped);
    RETURN new;
END $$;
CREATE FUNCTION kek_of_chain() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM refuse_retired_kek(new.wrapped_chain);
    RETURN new;
END $$;
CREATE FUNCTION kek_of_credential() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM refuse_retired_kek(new.wrapped_otp);
    PERFORM refuse_retired_kek(new.wrapped_document);
    RETURN new;
END $$;
CREATE FUNCTION kek_of_link() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM refuse_retired_kek(new.wrapped_secret);
    RETURN new;
END $$;

CREATE FUNCTION kek_of_ceremony() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM refuse_retired_kek(new.state);
    RETURN new;
END $$;

CREATE TRIGGER ceremony_kek_lives BEFORE INSERT OR UPDATE OF state ON ceremony
    FOR EACH ROW EXECUTE FUNCTION kek_of_ceremony();
CREATE TRIGGER signing_key_kek_lives BEFORE INSERT OR UPDATE OF wrapped ON signing_key
    FOR EACH ROW EXECUTE FUNCTION kek_of_wrapped();
CREATE TRIGGER certificate_kek_lives BEFORE INSERT OR UPDATE OF wrapped_chain ON certificate
    FOR EACH ROW EXECUTE FUNCTION kek_of_chain();
CREATE TRIGGER credential_kek_lives BEFORE INSERT OR UPDATE OF wrapped_otp, wrapped_document ON credential
    FOR EACH ROW EXECUTE FUNCTION kek_of_credential();
CREATE TRIGGER request_link_kek_lives BEFORE INSERT OR UPDATE OF wrapped_secret ON request_link
    FOR EACH ROW EXECUTE FUNCTION kek_of_link();
CREATE TRIGGER server_key_kek_lives BEFORE INSERT OR UPDATE OF wrapped ON server_key
    FOR EACH ROW EXECUTE FUNCTION kek_of_wrapped();

-- Acts: `AuditAct` in signer-core. The first generation comes with the store.
CREATE FUNCTION audit_kek() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO audit_waiting (act, detail)
        VALUES (CASE new.state WHEN 1 THEN 29 ELSE 30 END, 'generation_' || new.generation);
    RETURN NULL;
END $$;
CREATE TRIGGER audit_kek AFTER UPDATE OF state ON kek
    FOR EACH ROW WHEN (new.state <> old.state AND new.state IN (1, 3)) EXECUTE FUNCTION audit_kek();
