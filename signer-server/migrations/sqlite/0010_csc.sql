-- Authorisations of the CSC API: who may fetch the signatures of a request, and which were fetched.

CREATE TABLE csc_authorisation (
    request BLOB PRIMARY KEY REFERENCES request (id) ON DELETE CASCADE,
    relying_party BLOB NOT NULL REFERENCES relying_party (id),
    -- Hash of the bearer token it was asked with.
    token BLOB NOT NULL CHECK (length(token) = 32),
    device BLOB NOT NULL REFERENCES installation (device),
    -- Hash of the activation data (SAD) given out last, and their end.
    sad BLOB CHECK (length(sad) = 32),
    sad_expires INTEGER CHECK (sad_expires >= 0),
    CHECK ((sad IS NULL) = (sad_expires IS NULL)),
    CONSTRAINT csc_authorisation_sad_unique UNIQUE (sad)
) STRICT, WITHOUT ROWID;

CREATE TABLE csc_digest (
    request BLOB NOT NULL REFERENCES csc_authorisation (request) ON DELETE CASCADE,
    -- Place of the document in the request, from 0.
    place INTEGER NOT NULL CHECK (place BETWEEN 0 AND 31),
    digest BLOB NOT NULL CHECK (length(digest) = 32),
    -- Hash of the call that fetched its signature, and when.
    fetched_by BLOB CHECK (length(fetched_by) = 32),
    fetched INTEGER CHECK (fetched >= 0),
    PRIMARY KEY (request, place),
    CHECK ((fetched_by IS NULL) = (fetched IS NULL))
) STRICT, WITHOUT ROWID;
