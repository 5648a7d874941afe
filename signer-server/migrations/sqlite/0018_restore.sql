-- When the store was brought back from an earlier state: spec/restore.md. The highest epoch is the store's.
CREATE TABLE restored (
    epoch INTEGER PRIMARY KEY CHECK (epoch >= 1),
    at INTEGER NOT NULL CHECK (at >= 0),
    -- Entries of the audit log that were still there.
    had INTEGER NOT NULL CHECK (had >= 0),
    -- Entries that the witness had seen, and the hash of the last one; none where the witness was lost.
    witnessed INTEGER CHECK (witnessed >= 0),
    witnessed_last BLOB CHECK (length(witnessed_last) = 32),
    -- Whether every act up to the witness was read from an export and applied; if not, every key was suspended.
    whole INTEGER NOT NULL CHECK (whole IN (0, 1)),
    CHECK ((witnessed IS NULL) = (witnessed_last IS NULL))
) STRICT;

-- Entries that a restore applied and that are not in the log: their hashes, for the witnesses of other nodes.
CREATE TABLE restored_entry (
    epoch INTEGER NOT NULL REFERENCES restored (epoch),
    idx INTEGER NOT NULL CHECK (idx >= 0),
    hash BLOB NOT NULL CHECK (length(hash) = 32),
    PRIMARY KEY (epoch, idx)
) STRICT;

CREATE TRIGGER audit_restored AFTER INSERT ON restored
BEGIN
    INSERT INTO audit_waiting (act, object, detail) VALUES (31, substr(new.witnessed_last, 1, 16),
        coalesce('lost_' || new.had || '_to_' || new.witnessed, 'witness_lost'));
END;

-- The number of the phone's token is not known since a restore: the next one that it presents counts.
ALTER TABLE installation ADD COLUMN token_open INTEGER NOT NULL DEFAULT 0 CHECK (token_open IN (0, 1));
