-- What outsiders are shown of an enrolment: the first signature of the key, and what it says besides the two keys. It stays when
-- the shares are refreshed and when the key ends. Installations from before have none.
CREATE TABLE enrolment_proof (
    device BLOB PRIMARY KEY REFERENCES installation (device),
    ceremony BLOB NOT NULL CHECK (length(ceremony) = 16),
    -- One hash of history key and lost code.
    holder_keys BLOB NOT NULL CHECK (length(holder_keys) = 32),
    signature BLOB NOT NULL CHECK (length(signature) > 0)
) STRICT, WITHOUT ROWID;
