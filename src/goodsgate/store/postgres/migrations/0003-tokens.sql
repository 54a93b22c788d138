-- part: database
ALTER TABLE credential ADD COLUMN facts json NOT NULL DEFAULT '{}';  -- an object of texts

-- Looked up by every process before it knows the merchant, as `credential` is; small and whole.
CREATE TABLE token (
    merchant bigint NOT NULL,
    digest bytea NOT NULL UNIQUE,
    key text COLLATE "C" NOT NULL,
    made_at bigint NOT NULL,
    until bigint NOT NULL,
    PRIMARY KEY (merchant, digest),
    FOREIGN KEY (merchant, key) REFERENCES credential (merchant, id)
);
CREATE INDEX token_until ON token (until);

ALTER TABLE token ENABLE ROW LEVEL SECURITY;
CREATE POLICY mine ON token USING (merchant = nullif(current_setting('goodsgate.merchant', true), '')::bigint);
CREATE POLICY every ON token USING (current_setting('goodsgate.every', true) = 'on');
GRANT SELECT, INSERT, UPDATE, DELETE ON token TO goodsgate_app;
