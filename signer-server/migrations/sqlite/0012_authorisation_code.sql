-- The authorization code flow: where clients have browsers sent, pushed requests, visits, and whose access tokens are.

-- One redirect URI a line.
ALTER TABLE oauth_client ADD COLUMN redirect_uris TEXT NOT NULL DEFAULT '';
-- What credentials/info of the CSC API says: 0 implicit, 1 oauth2code.
ALTER TABLE oauth_client ADD COLUMN oauth2code INTEGER NOT NULL DEFAULT 0 CHECK (oauth2code IN (0, 1));

-- The installation whose holder let the client have the token; NULL for client credentials.
ALTER TABLE access_token ADD COLUMN device BLOB REFERENCES installation (device);
-- Scope: 0 service, 1 credential.
ALTER TABLE access_token ADD COLUMN credential INTEGER NOT NULL DEFAULT 0 CHECK (credential IN (0, 1));

-- Pushed authorization requests (RFC 9126), each used once.
CREATE TABLE pushed_request (
    hash BLOB PRIMARY KEY CHECK (length(hash) = 32),
    relying_party BLOB NOT NULL REFERENCES relying_party (id),
    -- The parameters, as a form.
    parameters TEXT NOT NULL,
    expires INTEGER NOT NULL CHECK (expires >= 0)
) STRICT, WITHOUT ROWID;

CREATE INDEX pushed_request_by_party ON pushed_request (relying_party, expires);
CREATE INDEX pushed_request_by_end ON pushed_request (expires);

-- Browsers at the authorisation page, and the codes they are sent back with.
CREATE TABLE visit (
    id BLOB PRIMARY KEY CHECK (length(id) = 16),
    -- Hash of the browser's cookie.
    browser BLOB NOT NULL CHECK (length(browser) = 32),
    relying_party BLOB NOT NULL REFERENCES relying_party (id),
    redirect_uri TEXT NOT NULL,
    state TEXT,
    -- Of PKCE: SHA-256 of the verifier.
    challenge BLOB NOT NULL CHECK (length(challenge) = 32),
    -- What is asked for, JSON.
    asked TEXT NOT NULL,
    expires INTEGER NOT NULL CHECK (expires >= 0),
    -- The signing request the phone has, once there is one.
    request BLOB REFERENCES request (id) ON DELETE CASCADE,
    cancelled INTEGER NOT NULL DEFAULT 0 CHECK (cancelled IN (0, 1)),
    -- Hash of the code given out last, and its end; hash of the access token it was exchanged for.
    code BLOB CHECK (length(code) = 32),
    code_expires INTEGER CHECK (code_expires >= 0),
    token BLOB CHECK (length(token) = 32),
    CHECK ((code IS NULL) = (code_expires IS NULL)),
    CONSTRAINT visit_code_unique UNIQUE (code)
) STRICT, WITHOUT ROWID;

CREATE INDEX visit_by_party ON visit (relying_party, expires);
CREATE INDEX visit_by_end ON visit (expires);
CREATE INDEX visit_by_request ON visit (request) WHERE request IS NOT NULL;
