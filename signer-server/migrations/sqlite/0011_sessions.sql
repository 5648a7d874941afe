-- What a request has beside its object: a verification code, a link. And relying parties' own names for persons.

-- Three codes of which the relying party shows one. A wrong choice ends the request as declined (state 2), and by this row it
-- is known as a wrong code.
CREATE TABLE request_code (
    request BLOB PRIMARY KEY REFERENCES request (id) ON DELETE CASCADE,
    -- Three numbers of two bytes, in the order in which the phone shows them.
    codes BLOB NOT NULL CHECK (length(codes) = 6),
    right_place INTEGER NOT NULL CHECK (right_place BETWEEN 0 AND 2),
    chosen_place INTEGER CHECK (chosen_place BETWEEN 0 AND 2)
) STRICT, WITHOUT ROWID;

-- A request for whoever opens its link first. Until then its holder is ' ', which is nobody's reference.
CREATE TABLE request_link (
    request BLOB PRIMARY KEY REFERENCES request (id) ON DELETE CASCADE,
    -- Public: it names the link to whoever has a right MAC.
    token BLOB NOT NULL CHECK (length(token) = 32),
    wrapped_secret BLOB NOT NULL,
    opened_by BLOB REFERENCES installation (device),
    CONSTRAINT request_link_token_unique UNIQUE (token)
) STRICT, WITHOUT ROWID;

-- A person's name at one relying party, written down when it is first told.
CREATE TABLE pairwise (
    relying_party BLOB NOT NULL REFERENCES relying_party (id),
    person BLOB NOT NULL CHECK (length(person) = 16),
    holder TEXT NOT NULL CHECK (length(holder) BETWEEN 1 AND 64),
    PRIMARY KEY (relying_party, person)
) STRICT, WITHOUT ROWID;
