-- part: intake
-- What only one protocol has, such as its streams.
CREATE TABLE resource (
    merchant INTEGER NOT NULL REFERENCES merchant (number),
    sort TEXT NOT NULL,                       -- the protocol's own: protocol/word
    number INTEGER NOT NULL,
    version INTEGER NOT NULL,
    name TEXT NOT NULL,
    body TEXT NOT NULL,                       -- JSON that only the protocol reads
    ends_at INTEGER,                          -- when it is forgotten and its name is free; NULL: never
    PRIMARY KEY (merchant, sort, number),
    UNIQUE (merchant, sort, name)
) STRICT, WITHOUT ROWID;
CREATE INDEX resource_ends ON resource (ends_at) WHERE ends_at IS NOT NULL;

-- Numbers are never given twice, whatever was forgotten.
CREATE TABLE numbering (
    merchant INTEGER NOT NULL REFERENCES merchant (number),
    sort TEXT NOT NULL,
    last INTEGER NOT NULL,
    PRIMARY KEY (merchant, sort)
) STRICT, WITHOUT ROWID;
