-- part: database
-- Words under which resources are listed, in an order of their own; a forgotten resource takes its labels along.
CREATE TABLE label (
    merchant bigint NOT NULL,
    sort text COLLATE "C" NOT NULL,
    word text COLLATE "C" NOT NULL,
    place bigint NOT NULL,
    number bigint NOT NULL,                     -- of the resource
    PRIMARY KEY (merchant, sort, word, place, number),
    FOREIGN KEY (merchant, sort, number) REFERENCES resource (merchant, sort, number) ON DELETE CASCADE
);
CREATE INDEX label_of ON label (merchant, sort, number);

ALTER TABLE label ENABLE ROW LEVEL SECURITY;
CREATE POLICY mine ON label USING (merchant = nullif(current_setting('goodsgate.merchant', true), '')::bigint);
GRANT SELECT, INSERT, UPDATE, DELETE ON label TO goodsgate_app;
