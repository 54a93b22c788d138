-- part: intake
-- Words under which resources are listed, in an order of their own; a forgotten resource takes its labels along.
CREATE TABLE label (
    merchant INTEGER NOT NULL,
    sort TEXT NOT NULL,
    word TEXT NOT NULL,
    place INTEGER NOT NULL,
    number INTEGER NOT NULL,                  -- of the resource
    PRIMARY KEY (merchant, sort, word, place, number),
    FOREIGN KEY (merchant, sort, number) REFERENCES resource (merchant, sort, number) ON DELETE CASCADE
) STRICT, WITHOUT ROWID;
CREATE INDEX label_of ON label (merchant, sort, number);
