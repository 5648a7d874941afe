-- Relying parties as OAuth clients.

-- How a client proves itself at the token endpoint: by a key, or in a sandbox by a secret, of which a hash is kept.
CREATE TABLE oauth_client (
    relying_party BLOB PRIMARY KEY REFERENCES relying_party (id),
    key BLOB CHECK (length(key) = 33),
    secret BLOB CHECK (length(secret) = 32),
    changed INTEGER NOT NULL CHECK (changed >= 0),
    CHECK ((key IS NULL) <> (secret IS NULL))
) STRICT, WITHOUT ROWID;

CREATE TABLE access_token (
    hash BLOB PRIMARY KEY CHECK (length(hash) = 32),
    relying_party BLOB NOT NULL REFERENCES relying_party (id),
    expires INTEGER NOT NULL CHECK (expires >= 0)
) STRICT, WITHOUT ROWID;

CREATE INDEX access_token_by_party ON access_token (relying_party, expires);
CREATE INDEX access_token_by_end ON access_token (expires);

-- Assertions of clients that were used, by a hash of client and jti.
CREATE TABLE used_assertion (
    hash BLOB PRIMARY KEY CHECK (length(hash) = 32),
    expires INTEGER NOT NULL CHECK (expires >= 0)
) STRICT, WITHOUT ROWID;

CREATE INDEX used_assertion_by_end ON used_assertion (expires);
