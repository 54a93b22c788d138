-- part: intake
-- What is to be carried to somebody else. It waits while due_at is set, which is the end of a lease while it is carried.
CREATE TABLE message (
    merchant INTEGER NOT NULL REFERENCES merchant (number),
    number INTEGER NOT NULL,
    topic TEXT NOT NULL,                      -- protocol/word: who words and carries it
    subject TEXT NOT NULL,
    body TEXT NOT NULL,                       -- JSON that only the courier reads
    made_at INTEGER NOT NULL,
    attempts INTEGER NOT NULL DEFAULT 0,
    due_at INTEGER,
    sent_at INTEGER,
    given_up_at INTEGER,
    trouble TEXT NOT NULL DEFAULT '',
    PRIMARY KEY (merchant, number)
) STRICT, WITHOUT ROWID;
CREATE INDEX message_due ON message (merchant, due_at, made_at) WHERE due_at IS NOT NULL;
CREATE INDEX message_ended ON message (coalesce(sent_at, given_up_at)) WHERE due_at IS NULL;
CREATE INDEX message_given_up ON message (given_up_at) WHERE given_up_at IS NOT NULL;

-- What signatures and the like are derived from, where the settings name nothing.
CREATE TABLE secret (
    name TEXT PRIMARY KEY,
    bytes BLOB NOT NULL
) STRICT, WITHOUT ROWID;
