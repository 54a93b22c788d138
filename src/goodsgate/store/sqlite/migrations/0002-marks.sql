-- part: catalogue
-- Values by which items of a shelf can be found, in the order in which they are listed.
CREATE TABLE mark (
    merchant INTEGER NOT NULL,
    shelf INTEGER NOT NULL,
    name TEXT NOT NULL,
    value TEXT NOT NULL,
    key TEXT NOT NULL,                        -- of the item
    PRIMARY KEY (merchant, shelf, name, value, key)
) STRICT, WITHOUT ROWID;

-- The same by item: a JSON array of [name, value]. One row an item costs half of what a second index of mark would.
CREATE TABLE item_marks (
    merchant INTEGER NOT NULL,
    shelf INTEGER NOT NULL,
    key TEXT NOT NULL,
    marks BLOB NOT NULL,
    PRIMARY KEY (merchant, shelf, key)
) STRICT, WITHOUT ROWID;

ALTER TABLE shelf ADD COLUMN marked INTEGER NOT NULL DEFAULT 0;  -- 1 once an item of it has had a mark
