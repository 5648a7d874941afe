-- Codes that the server makes for organisations.

-- The organisation, by the register's name for it, for whose documents codes are made; none: for nobody's.
ALTER TABLE relying_party ADD COLUMN generates_for TEXT CHECK (length(generates_for) BETWEEN 1 AND 24);

-- A credential belongs to a phone or to a document of an organisation: places in status lists are drawn from one table.
CREATE TABLE credential_of_either (
    list INTEGER NOT NULL CHECK (list BETWEEN 0 AND 4294967295),
    idx INTEGER NOT NULL CHECK (idx BETWEEN 0 AND 4294967295),
    device BLOB REFERENCES installation (device),
    document_type INTEGER NOT NULL CHECK (document_type BETWEEN 0 AND 4294967295),
    wrapped_otp BLOB,
    -- A day key gets one credential, so that a request that is sent again brings nothing new.
    day_key BLOB NOT NULL CHECK (length(day_key) = 33),
    expires INTEGER NOT NULL CHECK (expires >= 0),
    created INTEGER NOT NULL CHECK (created >= 0),
    -- 0 valid, 1 revoked; the standing of the installation comes on top.
    state INTEGER NOT NULL DEFAULT 0 CHECK (state IN (0, 1)),
    -- Keyed hash of organisation, kind and reference, by which events find what they end; and what the register is asked by.
    document BLOB CHECK (length(document) = 32),
    wrapped_document BLOB,
    PRIMARY KEY (list, idx),
    CONSTRAINT credential_day_key_unique UNIQUE (day_key),
    CHECK ((device IS NULL) = (document IS NOT NULL)),
    CHECK ((device IS NULL) = (wrapped_otp IS NULL)),
    CHECK ((document IS NULL) = (wrapped_document IS NULL))
) STRICT, WITHOUT ROWID;

INSERT INTO credential_of_either (list, idx, device, document_type, wrapped_otp, day_key, expires, created, state)
    SELECT list, idx, device, document_type, wrapped_otp, day_key, expires, created, state FROM credential;
DROP TABLE credential;
ALTER TABLE credential_of_either RENAME TO credential;

CREATE INDEX credential_by_end ON credential (expires);
CREATE INDEX credential_by_device ON credential (device, expires) WHERE device IS NOT NULL;
CREATE INDEX credential_by_document ON credential (document) WHERE document IS NOT NULL;
