-- When the pending token was given out: a message with the current one that was made before is late.
ALTER TABLE installation ADD COLUMN token_given_at INTEGER NOT NULL DEFAULT 0 CHECK (token_given_at >= 0);
