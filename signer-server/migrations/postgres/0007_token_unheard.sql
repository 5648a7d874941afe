-- Tries with the current token up to the newest success, as that said of itself: a try that says fewer came before it, or from a copy.
ALTER TABLE installation ADD COLUMN token_tries BIGINT NOT NULL DEFAULT 0 CHECK (token_tries BETWEEN 0 AND 4294967295);
