-- Times are microseconds since 1970, UTC. Ids of batches are the 16 bytes of their 32 hex digits.
-- A merchant's number is its row in the intake file; both files lead with it.

-- part: intake
CREATE TABLE merchant (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    name TEXT NOT NULL,
    made_at INTEGER NOT NULL,
    reference_version INTEGER NOT NULL DEFAULT 0
) STRICT;

CREATE TABLE credential (
    merchant INTEGER NOT NULL REFERENCES merchant (number),
    id TEXT NOT NULL,
    digest BLOB NOT NULL UNIQUE,
    scopes TEXT NOT NULL,
    label TEXT NOT NULL,
    made_at INTEGER NOT NULL,
    revoked_at INTEGER,
    PRIMARY KEY (merchant, id)
) STRICT;

CREATE TABLE entry (
    merchant INTEGER NOT NULL REFERENCES merchant (number),
    kind TEXT NOT NULL,
    code TEXT NOT NULL,
    name TEXT NOT NULL,
    parent TEXT,
    data BLOB NOT NULL,
    folded TEXT NOT NULL,        -- code and name without case, for search
    version INTEGER NOT NULL,    -- the merchant's reference_version that put it
    PRIMARY KEY (merchant, kind, code)
) STRICT, WITHOUT ROWID;

CREATE TABLE mapping (
    merchant INTEGER NOT NULL REFERENCES merchant (number),
    name TEXT NOT NULL,
    mapping BLOB NOT NULL,
    PRIMARY KEY (merchant, name)
) STRICT, WITHOUT ROWID;

-- An idempotency key: reserved until a time, or answered (then with fingerprint, body and batch).
CREATE TABLE answer (
    merchant INTEGER NOT NULL REFERENCES merchant (number),
    key TEXT NOT NULL,
    until INTEGER NOT NULL,
    made_at INTEGER NOT NULL,
    fingerprint BLOB,
    body BLOB,
    batch BLOB,
    UNIQUE (merchant, key)
) STRICT;
CREATE INDEX answer_made ON answer (made_at);

CREATE TABLE batch (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,    -- order of acceptance
    merchant INTEGER NOT NULL REFERENCES merchant (number),
    id BLOB NOT NULL,
    kind TEXT NOT NULL,
    collection TEXT NOT NULL,
    policy BLOB NOT NULL,
    format TEXT NOT NULL,
    packing TEXT NOT NULL,
    label TEXT NOT NULL,
    folded TEXT NOT NULL,                     -- label without case, for search
    protocol TEXT NOT NULL,
    facts BLOB NOT NULL,
    rounds INTEGER NOT NULL DEFAULT 1,
    bytes_total INTEGER NOT NULL,
    received_at INTEGER NOT NULL,
    started_at INTEGER,
    payload_kept INTEGER NOT NULL DEFAULT 1,
    report_kept INTEGER NOT NULL DEFAULT 1,
    leaving INTEGER NOT NULL DEFAULT 0,       -- 1: the sweep is removing it; nobody sees it any more
    -- What follows mirrors the catalogue file once a round has ended; while one is open, that file is the truth.
    state TEXT,
    finished_at INTEGER,
    total INTEGER,
    bytes_done INTEGER NOT NULL DEFAULT 0,
    created INTEGER NOT NULL DEFAULT 0,
    updated INTEGER NOT NULL DEFAULT 0,
    unchanged INTEGER NOT NULL DEFAULT 0,
    deleted INTEGER NOT NULL DEFAULT 0,
    superseded INTEGER NOT NULL DEFAULT 0,
    rejected INTEGER NOT NULL DEFAULT 0,
    cancelled INTEGER NOT NULL DEFAULT 0,
    warned INTEGER NOT NULL DEFAULT 0,
    columns BLOB,
    withheld BLOB,
    UNIQUE (merchant, id)
) STRICT;
CREATE INDEX batch_newest ON batch (merchant);  -- and seq, which every index ends with
CREATE INDEX batch_finished ON batch (finished_at) WHERE finished_at IS NOT NULL;
CREATE INDEX batch_payload_kept ON batch (finished_at) WHERE finished_at IS NOT NULL AND payload_kept = 1;
CREATE INDEX batch_report_kept ON batch (finished_at) WHERE finished_at IS NOT NULL AND report_kept = 1;

CREATE TABLE round (
    id INTEGER PRIMARY KEY AUTOINCREMENT,     -- place in its lane
    merchant INTEGER NOT NULL REFERENCES merchant (number),
    kind TEXT NOT NULL,
    batch INTEGER NOT NULL REFERENCES batch (seq),
    number INTEGER NOT NULL,                  -- within the batch, from 0
    round_kind TEXT NOT NULL,
    format TEXT NOT NULL,
    packing TEXT NOT NULL,
    bytes INTEGER NOT NULL,
    file TEXT,                                -- name in the folder of payloads; small ones are in the table payload
    open INTEGER NOT NULL DEFAULT 1,
    cancelling INTEGER NOT NULL DEFAULT 0,
    started_at INTEGER,
    UNIQUE (batch, number)
) STRICT;
CREATE INDEX round_open ON round (merchant, kind, id) WHERE open = 1;
CREATE INDEX round_cancelling ON round (id) WHERE open = 1 AND cancelling = 1;
CREATE INDEX round_file ON round (file) WHERE file IS NOT NULL;

-- A batch with its latest round, and how many rounds of the lane are worked before that.
CREATE VIEW document AS
SELECT b.merchant, b.seq, b.id, b.kind, b.collection, b.policy, b.format, b.packing, b.label, b.folded, b.protocol, b.facts,
       b.rounds, b.bytes_total, b.received_at, b.started_at, b.state, b.finished_at, b.total, b.bytes_done,
       b.created, b.updated, b.unchanged, b.deleted, b.superseded, b.rejected, b.cancelled, b.warned,
       b.columns, b.withheld, r.open, r.cancelling, r.started_at AS round_started_at,
       CASE WHEN r.open = 1 AND r.started_at IS NULL THEN (
           SELECT count(*) FROM round q
           WHERE q.merchant = b.merchant AND q.kind = b.kind AND q.open = 1 AND q.id < r.id
       ) ELSE 0 END AS position
FROM batch b CROSS JOIN round r ON r.batch = b.seq AND r.number = b.rounds - 1
WHERE b.leaving = 0;

CREATE TABLE payload (
    round INTEGER PRIMARY KEY REFERENCES round (id),
    merchant INTEGER NOT NULL REFERENCES merchant (number),
    bytes BLOB NOT NULL
) STRICT;

CREATE TABLE lane (
    merchant INTEGER NOT NULL REFERENCES merchant (number),
    kind TEXT NOT NULL,
    open INTEGER NOT NULL,                    -- rounds
    served INTEGER NOT NULL DEFAULT 0,        -- grows from claim to claim; the least is served next
    holder TEXT,                              -- worker of the lease; also of one that ran out
    until INTEGER NOT NULL DEFAULT 0,
    attempt INTEGER NOT NULL DEFAULT 0,       -- fencing token
    PRIMARY KEY (merchant, kind)
) STRICT, WITHOUT ROWID;
CREATE INDEX lane_ready ON lane (served) WHERE open > 0;

-- part: catalogue
CREATE TABLE shelf (
    id INTEGER PRIMARY KEY,
    merchant INTEGER NOT NULL,
    kind TEXT NOT NULL,
    collection TEXT NOT NULL,
    items INTEGER NOT NULL DEFAULT 0,
    UNIQUE (merchant, kind, collection)
) STRICT;

CREATE TABLE item (
    id INTEGER PRIMARY KEY,
    merchant INTEGER NOT NULL,
    shelf INTEGER NOT NULL,
    key TEXT NOT NULL,
    hash BLOB,                                -- NULL: a tombstone
    version INTEGER,
    batch BLOB NOT NULL,
    written_at INTEGER NOT NULL,              -- of the portion; never the same twice, never backwards
    document BLOB
) STRICT;
-- One index for look-ups by the exact key, for keys that differ by case, and for the order of listings. A second
-- unique index costs a third of the speed at a million items.
CREATE UNIQUE INDEX item_key ON item (merchant, shelf, key COLLATE NOCASE, key);
CREATE INDEX item_tombstone ON item (merchant, shelf, written_at) WHERE hash IS NULL;

CREATE TABLE progress (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    merchant INTEGER NOT NULL,
    batch BLOB NOT NULL,
    round INTEGER NOT NULL,
    portions INTEGER NOT NULL,                -- settled, of that round
    records INTEGER NOT NULL,                 -- settled, of that round's source
    total INTEGER NOT NULL,                   -- records that have a number, of all rounds
    bytes_before INTEGER NOT NULL,            -- done, of earlier rounds
    bytes_done INTEGER NOT NULL,              -- done, of that round
    created INTEGER NOT NULL,
    updated INTEGER NOT NULL,
    unchanged INTEGER NOT NULL,
    deleted INTEGER NOT NULL,
    superseded INTEGER NOT NULL,
    rejected INTEGER NOT NULL,
    cancelled INTEGER NOT NULL,
    warned INTEGER NOT NULL,
    columns BLOB,
    mapping BLOB,
    withheld BLOB,
    held INTEGER NOT NULL,                    -- items of the shelf before the first portion
    first_at INTEGER NOT NULL,                -- written_at of the first portion
    ended TEXT,                               -- state in which that round ended
    ended_at INTEGER,
    UNIQUE (merchant, batch)
) STRICT;

-- Of the records that one portion added: a byte a record (index into RESULTS), and a JSON array of the keys. Two
-- tables, because the results are rewritten by fixes and read alone.
CREATE TABLE portion (
    merchant INTEGER NOT NULL,
    batch INTEGER NOT NULL,
    first INTEGER NOT NULL,
    results BLOB NOT NULL,
    PRIMARY KEY (merchant, batch, first)
) STRICT, WITHOUT ROWID;
CREATE TABLE portion_keys (
    merchant INTEGER NOT NULL,
    batch INTEGER NOT NULL,
    first INTEGER NOT NULL,
    keys BLOB NOT NULL,
    PRIMARY KEY (merchant, batch, first)
) STRICT, WITHOUT ROWID;

CREATE TABLE finding (
    id INTEGER PRIMARY KEY,
    merchant INTEGER NOT NULL,
    batch INTEGER NOT NULL,
    number INTEGER NOT NULL,
    place INTEGER NOT NULL,
    key TEXT,
    result INTEGER,                           -- index into RESULTS
    refused INTEGER NOT NULL,                 -- 1: rejected, or has an issue of severity error
    severities TEXT NOT NULL,                 -- ' error warning '
    codes TEXT NOT NULL,                      -- ' code code '
    issues BLOB NOT NULL
) STRICT;
CREATE UNIQUE INDEX finding_number ON finding (merchant, batch, number);
CREATE INDEX finding_refused ON finding (merchant, batch, number) WHERE refused = 1;

-- A rejected record as received, apart, so that issues are read without it.
CREATE TABLE raw (
    id INTEGER PRIMARY KEY,                   -- of its finding
    merchant INTEGER NOT NULL,
    bytes BLOB NOT NULL
) STRICT;

CREATE TABLE issue_group (
    merchant INTEGER NOT NULL,
    batch INTEGER NOT NULL,
    code TEXT NOT NULL,
    severity TEXT NOT NULL,
    field TEXT NOT NULL,
    count INTEGER NOT NULL,
    top BLOB NOT NULL,                        -- JSON object, value → count
    PRIMARY KEY (merchant, batch, code, severity, field)
) STRICT, WITHOUT ROWID;

-- Since the store was made: records by result, rounds by how they ended. Only grows; nothing of it is swept.
CREATE TABLE tally (
    merchant INTEGER NOT NULL,
    name TEXT NOT NULL,
    count INTEGER NOT NULL,
    PRIMARY KEY (merchant, name)
) STRICT, WITHOUT ROWID;

-- The newest attempt of a lane that took over from a worker that did not give it back; an older one may not commit.
CREATE TABLE fence (
    merchant INTEGER NOT NULL,
    kind TEXT NOT NULL,
    attempt INTEGER NOT NULL,
    PRIMARY KEY (merchant, kind)
) STRICT, WITHOUT ROWID;

CREATE TABLE clock (written_at INTEGER NOT NULL) STRICT;
INSERT INTO clock VALUES (0);
