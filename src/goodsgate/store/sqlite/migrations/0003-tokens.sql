-- part: intake
ALTER TABLE credential ADD COLUMN facts TEXT NOT NULL DEFAULT '{}';  -- a JSON object of texts

CREATE TABLE token (
    digest BLOB PRIMARY KEY,
    merchant INTEGER NOT NULL,
    key TEXT NOT NULL,
    made_at INTEGER NOT NULL,
    until INTEGER NOT NULL,
    FOREIGN KEY (merchant, key) REFERENCES credential (merchant, id)
) STRICT, WITHOUT ROWID;
CREATE INDEX token_until ON token (until);
