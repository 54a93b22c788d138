-- part: database
-- What is to be carried to somebody else. It waits while due_at is set, which is the end of a lease while it is carried.
CREATE TABLE message (
    merchant bigint NOT NULL REFERENCES merchant (number),
    number bigint NOT NULL,
    topic text COLLATE "C" NOT NULL,            -- protocol/word: who words and carries it
    subject text NOT NULL,
    body json NOT NULL,                         -- only the courier reads it
    made_at bigint NOT NULL,
    attempts integer NOT NULL DEFAULT 0,
    due_at bigint,
    sent_at bigint,
    given_up_at bigint,
    trouble text NOT NULL DEFAULT '',
    PRIMARY KEY (merchant, number)
) WITH (fillfactor = 80);
CREATE INDEX message_due ON message (merchant, due_at, made_at) WHERE due_at IS NOT NULL;
CREATE INDEX message_ended ON message (coalesce(sent_at, given_up_at)) WHERE due_at IS NULL;
CREATE INDEX message_given_up ON message (given_up_at) WHERE given_up_at IS NOT NULL;

ALTER TABLE message ENABLE ROW LEVEL SECURITY;
CREATE POLICY mine ON message USING (merchant = nullif(current_setting('goodsgate.merchant', true), '')::bigint);
CREATE POLICY every ON message USING (current_setting('goodsgate.every', true) = 'on');
GRANT SELECT, INSERT, UPDATE, DELETE ON message TO goodsgate_app;

-- What signatures and the like are derived from, where the settings name nothing.
CREATE TABLE secret (
    name text COLLATE "C" PRIMARY KEY,
    bytes bytea NOT NULL
);
GRANT SELECT, INSERT ON secret TO goodsgate_app;
