-- What a request is for, repeated calls of the CSC API, what a relying party keeps, and limits of its own.

-- Where the result goes: 0 to the session API, 1 to the CSC API, 2 nowhere, for it is a sign-in.
ALTER TABLE request ADD COLUMN purpose INTEGER NOT NULL DEFAULT 0 CHECK (purpose BETWEEN 0 AND 2);
UPDATE request SET purpose = 1 WHERE id IN (SELECT request FROM csc_authorisation);
UPDATE request SET purpose = 2 WHERE purpose = 0 AND id IN (SELECT request FROM visit);

-- Hash of the call that asked; none for a visit.
ALTER TABLE csc_authorisation ADD COLUMN asked_by BLOB CHECK (length(asked_by) = 32);
CREATE INDEX csc_authorisation_by_call ON csc_authorisation (asked_by) WHERE asked_by IS NOT NULL;

-- In place of those of the configuration.
ALTER TABLE relying_party ADD COLUMN calls_per_second INTEGER CHECK (calls_per_second >= 1);
ALTER TABLE relying_party ADD COLUMN kept_bytes_max INTEGER CHECK (kept_bytes_max >= 1);

-- Sign-ins are forgotten sooner than others.
CREATE INDEX request_sign_in_by_end ON request (ended) WHERE purpose = 2 AND state <> 0;

-- A request goes after the outcomes that lead to it; without this each one would be looked for in all of them.
CREATE INDEX outcome_by_request ON outcome (request) WHERE request IS NOT NULL;

-- What the requests of a relying party take. A request counts 1024 bytes, and three times its object: there is the object,
-- once it is signed the record that repeats it, and the signatures. So it counts the same from its beginning to its end.
-- Sign-ins, which strangers begin, do not count.
CREATE TABLE kept (
    relying_party BLOB PRIMARY KEY REFERENCES relying_party (id),
    bytes INTEGER NOT NULL CHECK (bytes >= 0)
) STRICT, WITHOUT ROWID;

INSERT INTO kept (relying_party, bytes)
    SELECT relying_party, sum(1024 + 3 * length(object)) FROM request WHERE purpose <> 2 GROUP BY relying_party;

CREATE TRIGGER request_kept AFTER INSERT ON request
WHEN new.purpose <> 2
BEGIN
    INSERT INTO kept (relying_party, bytes) VALUES (new.relying_party, 1024 + 3 * length(new.object))
        ON CONFLICT (relying_party) DO UPDATE SET bytes = bytes + excluded.bytes;
END;

CREATE TRIGGER request_forgotten AFTER DELETE ON request
WHEN old.purpose <> 2
BEGIN
    UPDATE kept SET bytes = bytes - 1024 - 3 * length(old.object) WHERE relying_party = old.relying_party;
END;
