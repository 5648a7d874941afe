-- The holder's history, and the code that reports a loss.

-- What the phone left for its holder at enrolment; none for installations from before.
ALTER TABLE installation ADD COLUMN history_key BLOB CHECK (length(history_key) = 32);
ALTER TABLE installation ADD COLUMN lost_code BLOB CHECK (length(lost_code) = 32);
CREATE UNIQUE INDEX installation_lost_code_unique ON installation (lost_code) WHERE lost_code IS NOT NULL;

-- Append-only: one chain per installation, each entry sealed to its phone, each head a hash over all entries before.
CREATE TABLE history (
    device BLOB NOT NULL REFERENCES installation (device),
    number INTEGER NOT NULL CHECK (number > 0),
    head BLOB NOT NULL CHECK (length(head) = 32),
    sealed BLOB NOT NULL,
    at INTEGER NOT NULL CHECK (at >= 0),
    PRIMARY KEY (device, number)
) STRICT, WITHOUT ROWID;

CREATE TRIGGER history_grows_by_one BEFORE INSERT ON history
    WHEN new.number <> 1 + (SELECT coalesce(max(number), 0) FROM history WHERE device = new.device)
BEGIN
    SELECT raise(ABORT, 'an entry comes after the newest one');
END;
CREATE TRIGGER history_is_not_changed BEFORE UPDATE ON history
BEGIN
    SELECT raise(ABORT, 'an entry is not changed');
END;
CREATE TRIGGER history_is_not_deleted BEFORE DELETE ON history
BEGIN
    SELECT raise(ABORT, 'an entry is not deleted');
END;
