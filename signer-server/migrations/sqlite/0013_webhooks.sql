-- Webhooks of relying parties: where they are told that a request ended, and what is still to be told.

CREATE TABLE webhook (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    relying_party BLOB NOT NULL REFERENCES relying_party (id),
    url TEXT NOT NULL,
    UNIQUE (relying_party, url)
) STRICT;

-- How many events a relying party has had. Stays when they are forgotten: a place is given out once.
CREATE TABLE webhook_counter (
    relying_party BLOB PRIMARY KEY REFERENCES relying_party (id),
    last INTEGER NOT NULL CHECK (last >= 1)
) STRICT, WITHOUT ROWID;

-- A request ends once: it is the event's id. `status` is its state, or 6 for a wrong verification code.
CREATE TABLE webhook_event (
    id BLOB PRIMARY KEY CHECK (length(id) = 16),
    relying_party BLOB NOT NULL REFERENCES relying_party (id),
    sequence INTEGER NOT NULL CHECK (sequence >= 1),
    status INTEGER NOT NULL CHECK (status BETWEEN 1 AND 6),
    at INTEGER NOT NULL CHECK (at >= 0),
    UNIQUE (relying_party, sequence)
) STRICT, WITHOUT ROWID;

CREATE INDEX webhook_event_by_time ON webhook_event (at);

-- state: 0 waiting, 1 delivered, 2 failed. `next` is when a waiting one is due, `until` when it is given up.
CREATE TABLE webhook_delivery (
    event BLOB NOT NULL REFERENCES webhook_event (id) ON DELETE CASCADE,
    webhook INTEGER NOT NULL REFERENCES webhook (id) ON DELETE CASCADE,
    state INTEGER NOT NULL CHECK (state BETWEEN 0 AND 2),
    attempts INTEGER NOT NULL CHECK (attempts >= 0),
    next INTEGER CHECK (next >= 0),
    until INTEGER NOT NULL CHECK (until >= 0),
    PRIMARY KEY (event, webhook),
    CHECK ((state = 0) = (next IS NOT NULL))
) STRICT, WITHOUT ROWID;

CREATE INDEX webhook_delivery_due ON webhook_delivery (webhook, next) WHERE next IS NOT NULL;

-- In the transaction that ends the request, whichever that is. 86400: a day, as long as a delivery is tried.
CREATE TRIGGER request_ended AFTER UPDATE OF state ON request
WHEN old.state = 0 AND new.state <> 0
    AND EXISTS (SELECT 1 FROM webhook WHERE relying_party = new.relying_party)
BEGIN
    INSERT INTO webhook_counter (relying_party, last) VALUES (new.relying_party, 1)
        ON CONFLICT (relying_party) DO UPDATE SET last = last + 1;
    INSERT INTO webhook_event (id, relying_party, sequence, status, at)
        SELECT new.id, new.relying_party, last, CASE WHEN new.state = 2 AND EXISTS
            (SELECT 1 FROM request_code WHERE request = new.id AND chosen_place <> right_place) THEN 6 ELSE new.state END,
            new.ended
        FROM webhook_counter WHERE relying_party = new.relying_party;
    INSERT INTO webhook_delivery (event, webhook, state, attempts, next, until)
        SELECT new.id, id, 0, 0, new.ended, new.ended + 86400
        FROM webhook WHERE relying_party = new.relying_party;
END;
