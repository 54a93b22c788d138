-- part: database
-- What orders have reserved of an item, together; it stays when the item is fed, or goes.
CREATE TABLE reserved (
    merchant bigint NOT NULL,
    shelf bigint NOT NULL,
    key text COLLATE "C" NOT NULL,
    amount bigint NOT NULL,
    PRIMARY KEY (merchant, shelf, key)
) WITH (fillfactor = 50);

-- What is kept of an order whose lines moved the stock of a shelf.
CREATE TABLE stock_order (
    merchant bigint NOT NULL,
    shelf bigint NOT NULL,
    name text COLLATE "C" NOT NULL,
    memory json,                                -- only the engine reads it; NULL while its first movement is worked
    ended_at bigint,                            -- last moved, and nothing of it is reserved; NULL: something is
    PRIMARY KEY (merchant, shelf, name)
) WITH (fillfactor = 80);
CREATE INDEX stock_order_ended ON stock_order (ended_at) WHERE ended_at IS NOT NULL;

ALTER TABLE shelf ADD COLUMN moved boolean NOT NULL DEFAULT false;  -- true once stock of it has been moved by an order

DO $$
DECLARE
    name text;
    mine text := 'merchant = nullif(current_setting(''goodsgate.merchant'', true), '''')::bigint';
BEGIN
    FOREACH name IN ARRAY ARRAY['reserved', 'stock_order'] LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', name);
        EXECUTE format('CREATE POLICY mine ON %I USING (%s)', name, mine);
        EXECUTE format('GRANT SELECT, INSERT, UPDATE, DELETE ON %I TO goodsgate_app', name);
    END LOOP;
END $$;
CREATE POLICY every ON stock_order USING (current_setting('goodsgate.every', true) = 'on');
