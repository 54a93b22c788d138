-- part: database
-- What only one protocol has, such as its streams.
CREATE TABLE resource (
    merchant bigint NOT NULL REFERENCES merchant (number),
    sort text COLLATE "C" NOT NULL,             -- the protocol's own: protocol/word
    number bigint NOT NULL,
    version bigint NOT NULL,
    name text COLLATE "C" NOT NULL,
    body json NOT NULL,                         -- only the protocol reads it
    ends_at bigint,                             -- when it is forgotten and its name is free; NULL: never
    PRIMARY KEY (merchant, sort, number),
    UNIQUE (merchant, sort, name)
);
CREATE INDEX resource_ends ON resource (ends_at) WHERE ends_at IS NOT NULL;

-- Numbers are never given twice, whatever was forgotten.
CREATE TABLE numbering (
    merchant bigint NOT NULL REFERENCES merchant (number),
    sort text COLLATE "C" NOT NULL,
    last bigint NOT NULL,
    PRIMARY KEY (merchant, sort)
);

ALTER TABLE resource ENABLE ROW LEVEL SECURITY;
CREATE POLICY mine ON resource USING (merchant = nullif(current_setting('goodsgate.merchant', true), '')::bigint);
CREATE POLICY every ON resource USING (current_setting('goodsgate.every', true) = 'on');
GRANT SELECT, INSERT, UPDATE, DELETE ON resource TO goodsgate_app;

ALTER TABLE numbering ENABLE ROW LEVEL SECURITY;
CREATE POLICY mine ON numbering USING (merchant = nullif(current_setting('goodsgate.merchant', true), '')::bigint);
GRANT SELECT, INSERT, UPDATE, DELETE ON numbering TO goodsgate_app;
