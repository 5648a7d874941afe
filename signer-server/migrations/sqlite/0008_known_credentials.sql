-- SHA-256 of a credential that this server issued: online its signature need not be verified again. None for those from before.
ALTER TABLE credential ADD COLUMN hash BLOB CHECK (length(hash) = 32);
