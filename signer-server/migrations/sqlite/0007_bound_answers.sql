-- What a register's token is for, since when a key is listed, and what answers and a holder's word are bound to.

-- Numbers of the kinds of document a register may report, one byte each; none for others. Tokens from before keep what they had.
ALTER TABLE relying_party ADD COLUMN report_kinds BLOB NOT NULL DEFAULT x'';
ALTER TABLE relying_party ADD COLUMN may_report_deceased INTEGER NOT NULL DEFAULT 0 CHECK (may_report_deceased IN (0, 1));
UPDATE relying_party SET report_kinds = x'0102', may_report_deceased = 1 WHERE may_report = 1;
ALTER TABLE relying_party DROP COLUMN may_report;

-- Since when the trust list given out has named a key that waits; none as long as it does not.
ALTER TABLE server_key ADD COLUMN listed INTEGER CHECK (listed >= 0);

-- A check lives for three minutes: those from before are asked again.
DELETE FROM holder_check;
-- Salted SHA-256 of the code that opened it, as the signed answer names it.
ALTER TABLE holder_check ADD COLUMN code_sha256 BLOB NOT NULL DEFAULT x'' CHECK (length(code_sha256) = 32);
-- Digest of what stood on the holder's screen, by the holder's signed answer.
ALTER TABLE holder_check ADD COLUMN shown BLOB CHECK (length(shown) = 32);

-- Which code a verifier's request id stands for, by keyed hash, as long as an answer under it may be asked for.
CREATE TABLE question (
    verifier BLOB NOT NULL REFERENCES relying_party (id),
    -- Hash of the request id.
    request BLOB NOT NULL CHECK (length(request) = 32),
    code BLOB NOT NULL CHECK (length(code) = 32),
    until INTEGER NOT NULL CHECK (until >= 0),
    PRIMARY KEY (verifier, request)
) STRICT, WITHOUT ROWID;

CREATE INDEX question_by_end ON question (until);
