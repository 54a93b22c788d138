-- part: catalogue
-- What orders have reserved of an item, together; it stays when the item is fed, or goes.
CREATE TABLE reserved (
    merchant INTEGER NOT NULL,
    shelf INTEGER NOT NULL,
    key TEXT NOT NULL,
    amount INTEGER NOT NULL,
    PRIMARY KEY (merchant, shelf, key)
) STRICT, WITHOUT ROWID;

-- What is kept of an order whose lines moved the stock of a shelf.
CREATE TABLE stock_order (
    merchant INTEGER NOT NULL,
    shelf INTEGER NOT NULL,
    name TEXT NOT NULL,
    memory TEXT NOT NULL,                     -- JSON that only the engine reads
    ended_at INTEGER,                         -- last moved, and nothing of it is reserved; NULL: something is
    PRIMARY KEY (merchant, shelf, name)
) STRICT, WITHOUT ROWID;
CREATE INDEX stock_order_ended ON stock_order (ended_at) WHERE ended_at IS NOT NULL;

ALTER TABLE shelf ADD COLUMN moved INTEGER NOT NULL DEFAULT 0;  -- 1 once stock of it has been moved by an order
