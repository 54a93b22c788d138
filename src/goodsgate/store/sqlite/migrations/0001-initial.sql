-- Times are microseconds since 1970, UTC. Ids of batches are the 16 bytes of their 32 hex digits.
-- A merchant's number is its row in the intake file; both files lead with it.

-- part: intake
-- Says that both files belong together. The generation is raised in both whenever a worker process begins to work.
CREATE TABLE intake_identity (
    store BLOB NOT NULL,
    generation INTEGER NOT NULL,              -- 0: the store is just being created
    raising INTEGER NOT NULL                  -- 1: the catalogue file may be one generation ahead
) STRICT;

CREATE TABLE merchant (
    number INTEGER PRIMARY KEY,               -- given out by the catalogue file, never twice
    id TEXT NOT NULL UNIQUE,
    name TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    reference_version INTEGER NOT NULL DEFAULT 0
) STRICT;

CREATE TABLE credential (
    merchant INTEGER NOT NULL REFERENCES merchant (number),
    id TEXT NOT NULL,
    digest BLOB NOT NULL UNIQUE,
    scopes TEXT NOT NULL,
    label TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    revoked_at INTEGER,
    settings TEXT NOT NULL,                   -- an object of texts
    expires_at INTEGER,
    previous_digest BLOB UNIQUE,              -- of the secret before the last rotation
    previous_until INTEGER,                   -- until then that secret works, too
    used_on INTEGER,                          -- the last day of use, in days since 1970
    PRIMARY KEY (merchant, id)
) STRICT;

CREATE TABLE reference_entry (
    merchant INTEGER NOT NULL REFERENCES merchant (number),
    kind TEXT NOT NULL,
    code TEXT NOT NULL,
    name TEXT NOT NULL,
    parent TEXT,
    data TEXT NOT NULL,
    folded TEXT NOT NULL,                     -- code and name without case, for search
    version INTEGER NOT NULL,                 -- the merchant's reference_version of the change
    PRIMARY KEY (merchant, kind, code)
) STRICT, WITHOUT ROWID;

-- Idempotency keys: reserved until a time, or answered (then with fingerprint, body and batch).
CREATE TABLE idempotency_key (
    merchant INTEGER NOT NULL REFERENCES merchant (number),
    key TEXT NOT NULL,
    expires_at INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    fingerprint BLOB,
    body BLOB,
    batch BLOB,
    UNIQUE (merchant, key)
) STRICT;
CREATE INDEX idempotency_key_created ON idempotency_key (created_at);

CREATE TABLE batch (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,    -- order of acceptance
    merchant INTEGER NOT NULL REFERENCES merchant (number),
    id BLOB NOT NULL,
    kind TEXT NOT NULL,
    collection TEXT NOT NULL,
    policy BLOB NOT NULL,
    format TEXT NOT NULL,
    content_encoding TEXT NOT NULL,
    label TEXT NOT NULL,
    folded TEXT NOT NULL,                     -- what is searched: label, kind, collection, protocol, key
    protocol TEXT NOT NULL,
    protocol_data BLOB NOT NULL,
    rounds INTEGER NOT NULL DEFAULT 1,
    bytes_total INTEGER NOT NULL,
    received_at INTEGER NOT NULL,
    started_at INTEGER,
    payload_kept INTEGER NOT NULL DEFAULT 1,
    report_kept INTEGER NOT NULL DEFAULT 1,
    deleting INTEGER NOT NULL DEFAULT 0,      -- 1: the sweep is deleting it, and it is hidden
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
    merged INTEGER NOT NULL DEFAULT 0,
    waiting INTEGER NOT NULL DEFAULT 0,
    warned INTEGER NOT NULL DEFAULT 0,
    file_errors INTEGER NOT NULL DEFAULT 0,
    columns BLOB,
    withheld BLOB,
    reading BLOB,
    roles BLOB,
    rule_counts BLOB,
    trial INTEGER NOT NULL DEFAULT 0,
    hold BLOB,
    UNIQUE (merchant, id)
) STRICT;
CREATE INDEX batch_newest ON batch (merchant, seq, kind, id, folded);  -- listings by kind and words read no rows
-- For listings: those that failed, and those that did not finish. Most batches are neither.
CREATE INDEX batch_failed ON batch (merchant) WHERE finished_at IS NOT NULL AND state <> 'cancelled' AND (
    state = 'broken' OR rejected + waiting > 0 OR file_errors > 0 OR withheld IS NOT NULL
);
CREATE INDEX batch_stopped ON batch (merchant, state) WHERE finished_at IS NOT NULL AND state <> 'finished';
CREATE INDEX batch_finished ON batch (finished_at) WHERE finished_at IS NOT NULL;
CREATE INDEX batch_payload_kept ON batch (finished_at) WHERE finished_at IS NOT NULL AND payload_kept = 1;
CREATE INDEX batch_report_kept ON batch (finished_at) WHERE finished_at IS NOT NULL AND report_kept = 1;

CREATE TABLE round (
    id INTEGER PRIMARY KEY AUTOINCREMENT,     -- position in its lane
    merchant INTEGER NOT NULL REFERENCES merchant (number),
    kind TEXT NOT NULL,
    collection TEXT NOT NULL,
    batch INTEGER NOT NULL REFERENCES batch (seq),
    number INTEGER NOT NULL,                  -- within the batch, from 0
    round_kind TEXT NOT NULL,
    format TEXT NOT NULL,
    content_encoding TEXT NOT NULL,
    bytes INTEGER NOT NULL,
    file TEXT,                                -- name in the folder of payloads; small payloads are in the table payload
    open INTEGER NOT NULL DEFAULT 1,
    cancelling INTEGER NOT NULL DEFAULT 0,
    started_at INTEGER,
    ended_at INTEGER,
    records INTEGER NOT NULL DEFAULT 0,       -- that it worked
    counts BLOB,                              -- JSON: those of the batch when it ended
    starts_at INTEGER NOT NULL DEFAULT 0,     -- not claimed before; later rounds go on
    waits_for INTEGER NOT NULL DEFAULT 0,     -- the last product round before it whose items its records need
    waits_until INTEGER NOT NULL DEFAULT 0,   -- it waits for that one, and those before it, until then
    attempt INTEGER NOT NULL DEFAULT 0,       -- of the lane, when the round was claimed last
    deaths INTEGER NOT NULL DEFAULT 0,        -- of workers that had claimed it, since a chunk was committed
    death_chunks INTEGER NOT NULL DEFAULT 0,  -- chunks that were committed at the last death
    request TEXT NOT NULL,                    -- id of the request that has caused it; empty if none of HTTP
    traceparent TEXT NOT NULL,                -- its trace context (W3C); empty if it has none
    submitter TEXT NOT NULL,                  -- id of the key that it used; empty if it used none
    hold_expires_at INTEGER NOT NULL DEFAULT 0, -- when a batch that guards hold is given up; 0: none do
    approved INTEGER NOT NULL DEFAULT 0,      -- 1: guards held the batch, and it is to be applied now
    UNIQUE (batch, number)
) STRICT;
CREATE INDEX round_open ON round (merchant, kind, collection, id) WHERE open = 1;
CREATE INDEX round_cancelling ON round (id) WHERE open = 1 AND cancelling = 1;
CREATE INDEX round_deferred ON round (merchant, kind, collection, starts_at) WHERE open = 1 AND starts_at > 0;
CREATE INDEX round_deaths ON round (id) WHERE open = 1 AND deaths > 0;
CREATE INDEX round_hold ON round (hold_expires_at) WHERE open = 1 AND hold_expires_at > 0;
CREATE INDEX round_file ON round (file) WHERE file IS NOT NULL;

-- A batch with its latest round, and the number of rounds of the lane before that.
CREATE VIEW batch_document AS
SELECT b.merchant, b.seq, b.id, b.kind, b.collection, b.policy, b.format, b.content_encoding, b.label, b.folded, b.protocol, b.protocol_data,
       b.rounds, b.bytes_total, b.received_at, b.started_at, b.state, b.finished_at, b.total, b.bytes_done,
       b.created, b.updated, b.unchanged, b.deleted, b.superseded, b.rejected, b.cancelled, b.merged, b.waiting, b.warned,
       b.file_errors,
       b.columns, b.withheld, b.reading, b.roles, b.rule_counts, b.trial, b.hold, r.open, r.cancelling, r.approved,
       r.started_at AS round_started_at,
       CASE WHEN r.open = 1 AND r.started_at IS NULL THEN (
           SELECT count(*) FROM round q
           WHERE q.merchant = b.merchant AND q.kind = b.kind AND q.collection = b.collection AND q.open = 1 AND q.id < r.id
       ) ELSE 0 END AS position
FROM batch b CROSS JOIN round r ON r.batch = b.seq AND r.number = b.rounds - 1
WHERE b.deleting = 0;

-- Workers that are alive, for metrics.
CREATE TABLE worker (
    name TEXT PRIMARY KEY,
    seen_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- What processes were granted of quotas in the window that began last.
CREATE TABLE quota (
    merchant INTEGER NOT NULL REFERENCES merchant (number),
    quota TEXT NOT NULL,
    starts_at INTEGER NOT NULL,               -- of the window
    used INTEGER NOT NULL,
    PRIMARY KEY (merchant, quota)
) STRICT, WITHOUT ROWID;

CREATE TABLE payload (
    round INTEGER PRIMARY KEY REFERENCES round (id),
    merchant INTEGER NOT NULL REFERENCES merchant (number),
    bytes BLOB NOT NULL
) STRICT;

CREATE TABLE lane (
    merchant INTEGER NOT NULL REFERENCES merchant (number),
    kind TEXT NOT NULL,
    collection TEXT NOT NULL,
    open INTEGER NOT NULL,                    -- rounds
    served INTEGER NOT NULL DEFAULT 0,        -- last turn of the merchant's lanes of the kind; the lowest is served next
    claimed INTEGER NOT NULL DEFAULT 0,       -- turn of the last claim; among the lanes of a merchant, the lowest is next
    holder TEXT,                              -- worker of the lease, also of one that has ended
    expires_at INTEGER NOT NULL DEFAULT 0,
    attempt INTEGER NOT NULL DEFAULT 0,       -- fencing token
    waits_until INTEGER NOT NULL DEFAULT 0,   -- the latest of its rounds
    blocked_from INTEGER NOT NULL DEFAULT 9223372036854775807, -- the first round that is held; those behind it wait
    PRIMARY KEY (merchant, kind, collection)
) STRICT, WITHOUT ROWID;
CREATE INDEX lane_ready ON lane (served, claimed) WHERE open > 0;

CREATE TABLE token (
    digest BLOB PRIMARY KEY,
    merchant INTEGER NOT NULL,
    key TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    FOREIGN KEY (merchant, key) REFERENCES credential (merchant, id)
) STRICT, WITHOUT ROWID;
CREATE INDEX token_expires ON token (expires_at);

-- What only one protocol has, such as its streams.
CREATE TABLE resource (
    merchant INTEGER NOT NULL REFERENCES merchant (number),
    type TEXT NOT NULL,                       -- chosen by the protocol: protocol/word
    number INTEGER NOT NULL,
    version INTEGER NOT NULL,
    name TEXT NOT NULL,
    body TEXT NOT NULL,                       -- JSON that only the protocol reads
    expires_at INTEGER,                       -- then it is deleted and its name is free; NULL: never
    PRIMARY KEY (merchant, type, number),
    UNIQUE (merchant, type, name)
) STRICT, WITHOUT ROWID;
CREATE INDEX resource_expires ON resource (expires_at) WHERE expires_at IS NOT NULL;
-- Before each change, expired resources of the type are deleted and those that never expire are counted.
CREATE INDEX resource_type_expires ON resource (merchant, type, expires_at);

-- Numbers are never used twice, whatever was deleted.
CREATE TABLE numbering (
    merchant INTEGER NOT NULL REFERENCES merchant (number),
    type TEXT NOT NULL,
    last INTEGER NOT NULL,
    PRIMARY KEY (merchant, type)
) STRICT, WITHOUT ROWID;

-- The same over all merchants, for types whose numbers are unique in the installation.
CREATE TABLE common_numbering (
    type TEXT PRIMARY KEY,
    last INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- A message waits while due_at is set; while it is being delivered, that is the end of the lease.
CREATE TABLE message (
    merchant INTEGER NOT NULL REFERENCES merchant (number),
    number INTEGER NOT NULL,
    topic TEXT NOT NULL,                      -- protocol/word: who serializes and delivers it
    subject TEXT NOT NULL,
    body TEXT NOT NULL,                       -- JSON that only the courier reads
    created_at INTEGER NOT NULL,
    attempts INTEGER NOT NULL DEFAULT 0,
    due_at INTEGER,
    sent_at INTEGER,
    given_up_at INTEGER,
    last_error TEXT NOT NULL DEFAULT '',
    in_order INTEGER NOT NULL DEFAULT 0,      -- in the queue of its topic and subject
    history TEXT NOT NULL DEFAULT '[]',       -- the attempts, as a JSON array
    PRIMARY KEY (merchant, number)
) STRICT, WITHOUT ROWID;
CREATE INDEX message_due ON message (merchant, due_at, created_at) WHERE due_at IS NOT NULL;
CREATE INDEX message_closed ON message (coalesce(sent_at, given_up_at)) WHERE due_at IS NULL;
CREATE INDEX message_given_up ON message (given_up_at) WHERE given_up_at IS NOT NULL;
CREATE INDEX message_subject ON message (merchant, topic, subject, number);
CREATE INDEX message_waiting ON message (merchant, topic, subject, number) WHERE due_at IS NOT NULL;
CREATE INDEX message_subject_sent ON message (merchant, topic, subject, sent_at) WHERE sent_at IS NOT NULL;
CREATE INDEX message_subject_given_up ON message (merchant, topic, subject, given_up_at) WHERE given_up_at IS NOT NULL;

-- Secrets that signatures are derived from, unless the settings name others.
CREATE TABLE secret (
    name TEXT PRIMARY KEY,
    bytes BLOB NOT NULL
) STRICT, WITHOUT ROWID;

-- Labels under which resources are listed, in an order of their own; deleted with their resource.
CREATE TABLE label (
    merchant INTEGER NOT NULL,
    type TEXT NOT NULL,
    label TEXT NOT NULL,
    position INTEGER NOT NULL,
    number INTEGER NOT NULL,                  -- of the resource
    PRIMARY KEY (merchant, type, label, position, number),
    FOREIGN KEY (merchant, type, number) REFERENCES resource (merchant, type, number) ON DELETE CASCADE
) STRICT, WITHOUT ROWID;
CREATE INDEX label_of ON label (merchant, type, number);
-- Webhooks of all merchants are found by their label.
CREATE INDEX label_webhook ON label (label) WHERE type = 'native/webhook';

-- What workers do for a resource at times; deleted with it.
CREATE TABLE job (
    merchant INTEGER NOT NULL,
    type TEXT NOT NULL,
    number INTEGER NOT NULL,                  -- of the resource
    due_at INTEGER,                           -- NULL: a worker has it, or it waits for somebody to ask for it
    requested INTEGER NOT NULL,               -- 1: somebody has asked for it
    lease_until INTEGER,                      -- set while a worker has it
    attempt INTEGER NOT NULL DEFAULT 0,       -- fencing token
    alert TEXT NOT NULL DEFAULT '',
    state TEXT NOT NULL DEFAULT '{}',         -- JSON that only its type reads
    runs INTEGER NOT NULL DEFAULT 0,          -- number of the newest
    PRIMARY KEY (merchant, type, number),
    FOREIGN KEY (merchant, type, number) REFERENCES resource (merchant, type, number) ON DELETE CASCADE
) STRICT, WITHOUT ROWID;
CREATE INDEX job_due ON job (coalesce(lease_until, due_at)) WHERE coalesce(lease_until, due_at) IS NOT NULL;
CREATE INDEX job_alert ON job (type, alert) WHERE alert <> '';

CREATE TABLE job_run (
    merchant INTEGER NOT NULL,
    type TEXT NOT NULL,
    number INTEGER NOT NULL,
    run INTEGER NOT NULL,
    started_at INTEGER NOT NULL,
    ended_at INTEGER,
    body TEXT NOT NULL,                       -- JSON that only its type reads
    PRIMARY KEY (merchant, type, number, run),
    FOREIGN KEY (merchant, type, number) REFERENCES job (merchant, type, number) ON DELETE CASCADE
) STRICT, WITHOUT ROWID;

-- The audit log: one chain for each merchant, and number 0 for that of the installation. Entries never change.
CREATE TABLE audit_entry (
    merchant INTEGER NOT NULL,
    number INTEGER NOT NULL,
    at INTEGER NOT NULL,
    action TEXT NOT NULL,
    subject TEXT NOT NULL,
    actor TEXT NOT NULL,
    address TEXT NOT NULL,
    request TEXT NOT NULL,
    detail TEXT NOT NULL,                     -- an object of texts
    hash BLOB NOT NULL,                       -- covers the hash of the entry before
    PRIMARY KEY (merchant, number)
) STRICT, WITHOUT ROWID;
CREATE INDEX audit_entry_at ON audit_entry (at);
CREATE TRIGGER audit_entry_stays BEFORE UPDATE ON audit_entry
BEGIN
    SELECT raise(ABORT, 'entries of the audit log never change');
END;

-- The end of each chain.
CREATE TABLE audit_head (
    merchant INTEGER PRIMARY KEY,
    number INTEGER NOT NULL,
    hash BLOB NOT NULL
) STRICT;

-- part: catalogue
CREATE TABLE catalogue_identity (
    store BLOB NOT NULL,
    generation INTEGER NOT NULL,
    last_merchant INTEGER NOT NULL DEFAULT 0  -- the highest merchant number that was given out
) STRICT;

CREATE TABLE collection (
    id INTEGER PRIMARY KEY,
    merchant INTEGER NOT NULL,
    kind TEXT NOT NULL,
    name TEXT NOT NULL,
    items INTEGER NOT NULL DEFAULT 0,
    indexed INTEGER NOT NULL DEFAULT 0,       -- 1: an item of it has or had an index entry
    has_variants INTEGER NOT NULL DEFAULT 0,  -- 1: a product of it has or had variants
    stock_changed INTEGER NOT NULL DEFAULT 0, -- 1: an order has changed its stock
    search_gap TEXT DEFAULT '',               -- items behind this key may lack in the search index; NULL: none does
    UNIQUE (merchant, kind, name)
) STRICT;

CREATE TABLE item (
    id INTEGER PRIMARY KEY,
    merchant INTEGER NOT NULL,
    collection INTEGER NOT NULL,
    key TEXT NOT NULL,
    hash BLOB,                                -- NULL: a tombstone
    version INTEGER,                          -- the newest of its groups of fields; item_version may have a newer one
    field_state TEXT,                         -- JSON, only where versions of groups differ or fields are locked
    batch BLOB NOT NULL,
    written_at INTEGER NOT NULL,              -- of the chunk; strictly growing
    document BLOB,
    moved_at INTEGER,                         -- when an order moved the stock since; NULL: none has
    search INTEGER                            -- hash of its terms in the search index; NULL: none; -1: out of date
) STRICT;
-- One index for lookups by the exact key, for case variants, and for the order of listings. A second
-- unique index costs a third of the speed at a million items.
CREATE UNIQUE INDEX item_key ON item (merchant, collection, key COLLATE NOCASE, key);
CREATE INDEX item_tombstone ON item (merchant, collection, written_at) WHERE hash IS NULL;
CREATE INDEX item_changed ON item (merchant, collection, written_at) WHERE search IS NOT NULL;

-- Versions of items that got a newer one while nothing else changed. What writes the item makes its own the newest.
CREATE TABLE item_version (
    id INTEGER PRIMARY KEY,                   -- of the item
    merchant INTEGER NOT NULL,
    version INTEGER NOT NULL
) STRICT;
CREATE TRIGGER item_version_outdated AFTER UPDATE OF version ON item
WHEN new.version IS NOT NULL OR new.hash IS NULL
BEGIN
    DELETE FROM item_version WHERE id = new.id;
END;

-- The search index: the terms of items, by the item's id. Each term begins with the number of its collection, so that a
-- search costs nothing for what others have. Only whether an item has a term is stored.
CREATE VIRTUAL TABLE item_terms USING fts5 (
    terms, content='', contentless_delete=1, detail='none', tokenize='ascii'
);
INSERT INTO item_terms (item_terms, rank) VALUES ('automerge', 8);

-- The journal, in segments: the changes that one chunk made to a collection, packed, in the order of their keys.
CREATE TABLE journal (
    merchant INTEGER NOT NULL,
    first INTEGER NOT NULL,                   -- number of its first change
    collection INTEGER NOT NULL,
    written_at INTEGER NOT NULL,              -- as of the items that it wrote
    batch BLOB,
    order_name TEXT,                          -- of the order that moved stock; then batch is NULL
    count INTEGER NOT NULL,
    last_key TEXT NOT NULL,
    body BLOB NOT NULL,
    PRIMARY KEY (merchant, first)
) STRICT;
CREATE INDEX journal_item ON journal (merchant, collection, written_at, last_key);
CREATE INDEX journal_batch ON journal (merchant, batch, first) WHERE batch IS NOT NULL;

CREATE TABLE journal_head (
    merchant INTEGER PRIMARY KEY,
    last INTEGER NOT NULL,                    -- number of the last change
    oldest_at INTEGER,                        -- when the first segment was written; NULL: there is none
    swept INTEGER NOT NULL DEFAULT 0,         -- changes up to this number were removed
    swept_at INTEGER NOT NULL DEFAULT 0       -- the latest time at which one of these was written
) STRICT;

CREATE TABLE progress (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    merchant INTEGER NOT NULL,
    batch BLOB NOT NULL,
    round INTEGER NOT NULL,
    chunks INTEGER NOT NULL,                  -- committed, of that round
    records INTEGER NOT NULL,                 -- committed, of that round's source
    total INTEGER NOT NULL,                   -- numbered records, of all rounds
    bytes_before INTEGER NOT NULL,            -- done, of earlier rounds
    bytes_done INTEGER NOT NULL,              -- done, of that round
    created INTEGER NOT NULL,
    updated INTEGER NOT NULL,
    unchanged INTEGER NOT NULL,
    deleted INTEGER NOT NULL,
    superseded INTEGER NOT NULL,
    rejected INTEGER NOT NULL,
    cancelled INTEGER NOT NULL,
    merged INTEGER NOT NULL,
    waiting INTEGER NOT NULL,
    warned INTEGER NOT NULL,
    file_errors INTEGER NOT NULL,
    columns BLOB,
    mapping BLOB,
    withheld BLOB,
    reading BLOB,
    roles BLOB,
    rule_counts BLOB,
    items_before INTEGER NOT NULL,            -- items of the collection before the first chunk
    first_at INTEGER NOT NULL,                -- written_at of the first chunk
    ended TEXT,                               -- state in which that round ended; held: in which its trial did
    ended_at INTEGER,
    trial INTEGER NOT NULL DEFAULT 0,         -- 1: in the trial of a guarded batch, whose report has -seq; 2: after it
    hold BLOB,
    UNIQUE (merchant, batch)
) STRICT;

-- The records that one chunk added: a byte per record (index into RESULTS), and a JSON array of the keys. Two tables,
-- because the results are rewritten by fixes and read alone.
CREATE TABLE chunk (
    merchant INTEGER NOT NULL,
    batch INTEGER NOT NULL,
    first INTEGER NOT NULL,
    results BLOB NOT NULL,
    PRIMARY KEY (merchant, batch, first)
) STRICT, WITHOUT ROWID;
CREATE TABLE chunk_keys (
    merchant INTEGER NOT NULL,
    batch INTEGER NOT NULL,
    first INTEGER NOT NULL,
    keys BLOB NOT NULL,
    PRIMARY KEY (merchant, batch, first)
) STRICT, WITHOUT ROWID;

-- Findings of records that are rejected or wait, or that a later round has changed, and of the file.
CREATE TABLE finding (
    id INTEGER PRIMARY KEY,
    merchant INTEGER NOT NULL,
    batch INTEGER NOT NULL,
    number INTEGER NOT NULL,
    source_row INTEGER NOT NULL,              -- in the file of the submission; 0: none
    fix_round INTEGER NOT NULL,               -- that has sent the record last, in a file; 0: none
    fix_row INTEGER NOT NULL,                 -- in the file of that round
    key TEXT,
    result INTEGER,                           -- index into RESULTS
    has_error INTEGER NOT NULL,               -- 1: rejected, or has an issue of severity error
    severities TEXT NOT NULL,                 -- ' error warning '
    codes TEXT NOT NULL,                      -- ' code code '
    issues BLOB NOT NULL,
    role INTEGER NOT NULL                     -- of a rejected row among those of its product; 0: none
) STRICT;
CREATE UNIQUE INDEX finding_number ON finding (merchant, batch, number);
CREATE INDEX finding_has_error ON finding (merchant, batch, number) WHERE has_error = 1;
-- Keys of rejected records may be of any length, so that only their beginning is indexed.
CREATE INDEX finding_key ON finding (merchant, substr(key, 1, 64), batch);

-- Rejected records as received; apart, so that issues are read without them.
CREATE TABLE raw (
    id INTEGER PRIMARY KEY,                   -- of its finding
    merchant INTEGER NOT NULL,
    bytes BLOB NOT NULL
) STRICT;

-- Findings of the other records: those of a chunk, packed. A segment has the issues itself, or refers to one that has the
-- same issues of the same keys, and that stays until nothing refers to it.
CREATE TABLE finding_segment (
    merchant INTEGER NOT NULL,
    batch INTEGER NOT NULL,
    first INTEGER NOT NULL,                   -- number of its first record
    last INTEGER NOT NULL,
    chunk INTEGER NOT NULL,                   -- number of the first record of the chunk, whose segments overlap
    base_batch INTEGER,                       -- batch and first of the segment that it refers to
    base_first INTEGER,
    severities TEXT NOT NULL,                 -- ' error warning '
    codes TEXT NOT NULL,                      -- ' code code '
    is_cancelled INTEGER NOT NULL DEFAULT 0,  -- 1: all its records have the result cancelled
    is_hidden INTEGER NOT NULL DEFAULT 0,     -- 1: the report of its batch is deleted, and other segments refer to it
    body BLOB NOT NULL,
    PRIMARY KEY (merchant, batch, first)
) STRICT;
CREATE INDEX finding_segment_base ON finding_segment (merchant, base_batch, base_first) WHERE base_batch IS NOT NULL;

-- Where issues of a key are: a row for each record of a segment that has issues.
CREATE TABLE finding_place (
    merchant INTEGER NOT NULL,
    stem TEXT NOT NULL,                       -- the beginning of the key
    hash INTEGER NOT NULL,                    -- of key and issues
    batch INTEGER NOT NULL,                   -- the segment
    first INTEGER NOT NULL,
    place INTEGER NOT NULL,                   -- position in it
    PRIMARY KEY (merchant, stem, hash, batch, first, place)
) STRICT, WITHOUT ROWID;

CREATE TABLE issue_group (
    merchant INTEGER NOT NULL,
    batch INTEGER NOT NULL,
    code TEXT NOT NULL,
    severity TEXT NOT NULL,
    field TEXT NOT NULL,
    count INTEGER NOT NULL,
    top BLOB NOT NULL,                        -- JSON object, value → count
    "column" TEXT,                            -- the submitter's, of the first issue
    PRIMARY KEY (merchant, batch, code, severity, field)
) STRICT, WITHOUT ROWID;

-- What records wait for: a row for each reference of each record with the result `waiting`.
CREATE TABLE waiting_reference (
    id INTEGER PRIMARY KEY,
    merchant INTEGER NOT NULL,
    batch INTEGER NOT NULL,
    number INTEGER NOT NULL,
    kind TEXT NOT NULL,                       -- of reference data, or product, or parent
    code TEXT NOT NULL,
    lane TEXT NOT NULL,                       -- kind, collection and key of the record's item
    collection TEXT NOT NULL,
    key TEXT,
    version INTEGER NOT NULL,                 -- of the reference data that lacks it
    expires_at INTEGER NOT NULL,
    arrived INTEGER NOT NULL DEFAULT 0,
    overtaken INTEGER NOT NULL DEFAULT 0      -- 1: a later record has been applied to the item
) STRICT;
CREATE UNIQUE INDEX waiting_reference_record ON waiting_reference (merchant, batch, number, kind, code);
CREATE INDEX waiting_reference_code ON waiting_reference (merchant, kind, code);
CREATE INDEX waiting_reference_key ON waiting_reference (merchant, lane, collection, key);
CREATE INDEX waiting_reference_version ON waiting_reference (merchant, version)
WHERE arrived = 0 AND kind NOT IN ('product', 'parent');
CREATE INDEX waiting_reference_arrived ON waiting_reference (merchant, batch) WHERE arrived = 1;
CREATE INDEX waiting_reference_expires ON waiting_reference (expires_at);

-- What variants take from the parents of their groups that stood in other batches.
CREATE TABLE group_parent (
    id INTEGER PRIMARY KEY,
    merchant INTEGER NOT NULL,
    collection TEXT NOT NULL,
    name TEXT NOT NULL,                       -- by which variants name it
    batch INTEGER NOT NULL,
    body TEXT NOT NULL,                       -- its cells, which the engine reads
    expires_at INTEGER NOT NULL
) STRICT;
CREATE UNIQUE INDEX group_parent_name ON group_parent (merchant, collection, name);
CREATE INDEX group_parent_expires ON group_parent (expires_at);

-- What dry runs and trials would change, in segments like those of the journal, by number within the batch; and in numbers.
CREATE TABLE diff_segment (
    merchant INTEGER NOT NULL,
    batch INTEGER NOT NULL,
    first INTEGER NOT NULL,                   -- number of its first change
    count INTEGER NOT NULL,
    body BLOB NOT NULL,
    PRIMARY KEY (merchant, batch, first)
) STRICT;
CREATE TABLE diff (
    merchant INTEGER NOT NULL,
    batch INTEGER NOT NULL,
    last INTEGER NOT NULL,                    -- number of the last change
    summary TEXT NOT NULL,                    -- JSON
    PRIMARY KEY (merchant, batch)
) STRICT, WITHOUT ROWID;

-- Since the store was created: records by result, rounds by how they ended. Only grows; never swept.
-- What suppliers have sent, by day; the rows with a code count issues.
CREATE TABLE feed_day (
    merchant INTEGER NOT NULL,
    day INTEGER NOT NULL,                     -- since 1970, in UTC
    submitter TEXT NOT NULL,                  -- id of a key
    kind TEXT NOT NULL,
    code TEXT NOT NULL,                       -- empty: the feeds themselves
    count INTEGER NOT NULL,                   -- of feeds, or of issues
    records INTEGER NOT NULL,
    rejected INTEGER NOT NULL,
    last_at INTEGER NOT NULL,
    PRIMARY KEY (merchant, day, submitter, kind, code)
) STRICT, WITHOUT ROWID;

CREATE TABLE total_count (
    merchant INTEGER NOT NULL,
    name TEXT NOT NULL,
    count INTEGER NOT NULL,
    PRIMARY KEY (merchant, name)
) STRICT, WITHOUT ROWID;

-- The newest attempt of a lane that was taken over from a worker that did not release it; older ones may not commit.
CREATE TABLE fence (
    merchant INTEGER NOT NULL,
    kind TEXT NOT NULL,
    collection TEXT NOT NULL,
    attempt INTEGER NOT NULL,
    PRIMARY KEY (merchant, kind, collection)
) STRICT, WITHOUT ROWID;

CREATE TABLE clock (written_at INTEGER NOT NULL) STRICT;
INSERT INTO clock VALUES (0);

-- The index of items, in the order of listings.
CREATE TABLE index_entry (
    merchant INTEGER NOT NULL,
    collection INTEGER NOT NULL,
    name TEXT NOT NULL,
    value TEXT NOT NULL,
    key TEXT NOT NULL,                        -- of the item
    PRIMARY KEY (merchant, collection, name, value, key)
) STRICT, WITHOUT ROWID;

-- The same by item: a JSON array of [name, value]. One row per item costs half of a second index on index_entry.
CREATE TABLE item_index_entries (
    merchant INTEGER NOT NULL,
    collection INTEGER NOT NULL,
    key TEXT NOT NULL,
    entries BLOB NOT NULL,
    PRIMARY KEY (merchant, collection, key)
) STRICT, WITHOUT ROWID;

-- What all orders together have reserved of an item; it stays when the item is fed or deleted.
CREATE TABLE reserved (
    merchant INTEGER NOT NULL,
    collection INTEGER NOT NULL,
    key TEXT NOT NULL,
    amount INTEGER NOT NULL,
    PRIMARY KEY (merchant, collection, key)
) STRICT, WITHOUT ROWID;

-- The state of an order that changed stock of a collection.
CREATE TABLE stock_order (
    merchant INTEGER NOT NULL,
    collection INTEGER NOT NULL,
    name TEXT NOT NULL,
    state TEXT NOT NULL,                      -- JSON that only the engine reads
    closed_at INTEGER,                        -- last change, with nothing reserved; NULL: something is
    PRIMARY KEY (merchant, collection, name)
) STRICT, WITHOUT ROWID;
CREATE INDEX stock_order_closed ON stock_order (closed_at) WHERE closed_at IS NOT NULL;
