-- part: database
-- Values by which items of a shelf can be found, in the order in which they are listed.
CREATE TABLE mark (
    merchant bigint NOT NULL,
    shelf bigint NOT NULL,
    name text COLLATE "C" NOT NULL,
    value text COLLATE "C" NOT NULL,
    key text COLLATE "C" NOT NULL,              -- of the item
    PRIMARY KEY (merchant, shelf, name, value, key)
) PARTITION BY HASH (merchant);

-- The same by item: a JSON array of [name, value].
CREATE TABLE item_marks (
    merchant bigint NOT NULL,
    shelf bigint NOT NULL,
    key text COLLATE "C" NOT NULL,
    marks json NOT NULL,
    PRIMARY KEY (merchant, shelf, key)
) PARTITION BY HASH (merchant);

ALTER TABLE shelf ADD COLUMN marked boolean NOT NULL DEFAULT false;  -- true once an item of it has had a mark

DO $$
DECLARE
    whole text;
BEGIN
    FOREACH whole IN ARRAY ARRAY['mark', 'item_marks'] LOOP
        FOR part IN 0..15 LOOP
            EXECUTE format(
                'CREATE TABLE %I PARTITION OF %I FOR VALUES WITH (MODULUS 16, REMAINDER %s)',
                whole || '_' || to_char(part, 'FM00'), whole, part
            );
        END LOOP;
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', whole);
        EXECUTE format(
            'CREATE POLICY mine ON %I USING (%s)', whole,
            'merchant = nullif(current_setting(''goodsgate.merchant'', true), '''')::bigint'
        );
        EXECUTE format('GRANT SELECT, INSERT, UPDATE, DELETE ON %I TO goodsgate_app', whole);
    END LOOP;
END $$;
