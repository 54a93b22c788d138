-- Every statement of the embedded store, by name. Each names the merchant it speaks of, or says on a line
-- "-- Every merchant: …" why it speaks of all (tested). Statements of the intake file first, then the catalogue's.

-- ============================================ intake: merchants, keys ===========================================

-- name: merchant_number
SELECT number FROM merchant WHERE id = :id

-- name: add_merchant
INSERT INTO merchant (id, name, made_at) VALUES (:id, :name, :made_at) ON CONFLICT (id) DO NOTHING

-- name: merchants
-- Every merchant: it is their list.
SELECT id, name, made_at FROM merchant WHERE id > :after ORDER BY id LIMIT :limit

-- name: add_key
INSERT INTO credential (merchant, id, digest, scopes, label, made_at, revoked_at, facts)
VALUES (:merchant, :id, :digest, :scopes, :label, :made_at, :revoked_at, :facts)

-- name: key_of_digest
-- Every merchant: the key says which one it is.
SELECT m.id, c.id, c.digest, c.scopes, c.label, c.made_at, c.revoked_at, c.facts
FROM credential c JOIN merchant m ON m.number = c.merchant WHERE c.digest = :digest

-- name: keys
SELECT m.id, c.id, c.digest, c.scopes, c.label, c.made_at, c.revoked_at, c.facts
FROM credential c JOIN merchant m ON m.number = c.merchant WHERE c.merchant = :merchant ORDER BY c.made_at, c.id

-- name: revoke_key
UPDATE credential SET revoked_at = :now WHERE merchant = :merchant AND id = :id AND revoked_at IS NULL

-- name: add_token
INSERT INTO token (digest, merchant, key, made_at, until) VALUES (:digest, :merchant, :key, :made_at, :until)

-- name: token_of_digest
-- Every merchant: the token says which one it is.
SELECT m.id, c.id, c.digest, c.scopes, c.label, c.made_at, c.revoked_at, c.facts, t.made_at, t.until
FROM token t JOIN credential c ON c.merchant = t.merchant AND c.id = t.key JOIN merchant m ON m.number = t.merchant
WHERE t.digest = :digest

-- name: drop_token
-- Every merchant: the token says which one it is.
DELETE FROM token WHERE digest = :digest

-- name: keep_secret
-- Every merchant: it is the gate's own.
INSERT INTO secret (name, bytes) VALUES (:name, :made) ON CONFLICT (name) DO NOTHING

-- name: secret
-- Every merchant: it is the gate's own.
SELECT bytes FROM secret WHERE name = :name

-- ========================================= intake: reference, mappings ==========================================

-- name: next_reference_version
UPDATE merchant SET reference_version = reference_version + 1 WHERE number = :merchant RETURNING reference_version

-- name: put_entry
INSERT INTO entry (merchant, kind, code, name, parent, data, folded, version) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)
ON CONFLICT (merchant, kind, code) DO UPDATE
SET name = ?4, parent = ?5, data = ?6, folded = ?7, version = ?8

-- name: drop_older_entries
DELETE FROM entry WHERE merchant = :merchant AND kind = :kind AND version < :version

-- name: count_entries
SELECT count(*) FROM entry WHERE merchant = :merchant AND kind = :kind

-- name: entries
SELECT code, name, parent, data FROM entry
WHERE merchant = :merchant AND kind = :kind AND code > :after AND (:search = '' OR instr(folded, :search) > 0)
ORDER BY code LIMIT :limit

-- name: reference_version
SELECT reference_version FROM merchant WHERE number = :merchant

-- name: put_mapping
INSERT INTO mapping (merchant, name, mapping) VALUES (:merchant, :name, :mapping)
ON CONFLICT (merchant, name) DO UPDATE SET mapping = :mapping

-- name: drop_mapping
DELETE FROM mapping WHERE merchant = :merchant AND name = :name

-- name: mappings
SELECT name, mapping FROM mapping WHERE merchant = :merchant ORDER BY name

-- =============================================== intake: resources ==============================================

-- name: next_number
INSERT INTO numbering (merchant, sort, last) VALUES (:merchant, :sort, 1)
ON CONFLICT (merchant, sort) DO UPDATE SET last = numbering.last + 1 RETURNING last

-- name: last_number
SELECT last FROM numbering WHERE merchant = :merchant AND sort = :sort

-- name: drop_ended_resources
DELETE FROM resource WHERE merchant = :merchant AND sort = :sort AND ends_at <= :now

-- name: resource_named
SELECT number FROM resource WHERE merchant = :merchant AND sort = :sort AND name = :name

-- name: count_resources
SELECT count(*) FROM resource WHERE merchant = :merchant AND sort = :sort AND ends_at IS NULL

-- name: add_resource
INSERT INTO resource (merchant, sort, number, version, name, body, ends_at)
VALUES (:merchant, :sort, :number, 1, :name, :body, :ends_at)

-- name: put_resource
UPDATE resource SET version = version + 1, name = :name, body = :body, ends_at = :ends_at
WHERE merchant = :merchant AND sort = :sort AND number = :number AND version = :version

-- name: resource
SELECT number, version, name, body, ends_at FROM resource
WHERE merchant = :merchant AND sort = :sort AND number = :number AND (ends_at IS NULL OR ends_at > :now)

-- name: resources
SELECT number, version, name, body, ends_at FROM resource
WHERE merchant = :merchant AND sort = :sort AND number > :after AND ends_at IS NULL ORDER BY number LIMIT :limit

-- name: drop_labels
DELETE FROM label WHERE merchant = :merchant AND sort = :sort AND number = :number

-- name: add_label
INSERT INTO label (merchant, sort, word, place, number) VALUES (:merchant, :sort, :word, :place, :number)

-- name: labelled
SELECT r.number, r.version, r.name, r.body, r.ends_at FROM label AS l
JOIN resource AS r ON r.merchant = l.merchant AND r.sort = l.sort AND r.number = l.number
WHERE l.merchant = :merchant AND l.sort = :sort AND l.word = :word AND l.place BETWEEN :since AND :until
    AND (r.ends_at IS NULL OR r.ends_at > :now)
ORDER BY l.place, l.number LIMIT :limit OFFSET :offset

-- =============================================== intake: messages ===============================================

-- name: add_message
-- Differs because a statement is run for each; nothing has to travel.
INSERT INTO message (merchant, number, topic, subject, body, made_at, due_at)
VALUES (:merchant, :number, :topic, :subject, :body, :now, :due_at)

-- name: due_merchants
-- Every merchant: they are served in turn. From one to the next in the index, however much each has waiting.
WITH RECURSIVE w (merchant) AS (
    SELECT min(merchant) FROM message WHERE due_at IS NOT NULL AND merchant > :after
    UNION ALL
    SELECT (SELECT min(m.merchant) FROM message m WHERE m.due_at IS NOT NULL AND m.merchant > w.merchant)
    FROM w WHERE w.merchant IS NOT NULL
)
SELECT o.number, o.id FROM w CROSS JOIN merchant o
WHERE o.number = w.merchant AND w.merchant NOT IN (SELECT value FROM json_each(:without)) AND EXISTS (
    SELECT 1 FROM message d WHERE d.merchant = w.merchant AND d.due_at <= :now
)
ORDER BY o.number LIMIT :limit

-- name: take_message
UPDATE message SET due_at = :until, attempts = attempts + 1
WHERE merchant = :merchant AND number = (
    SELECT number FROM message WHERE merchant = :merchant AND due_at <= :now ORDER BY due_at, number LIMIT 1
)
RETURNING number, topic, subject, body, made_at, attempts, due_at, sent_at, given_up_at, trouble

-- name: message_sent
UPDATE message SET sent_at = :now, given_up_at = NULL, due_at = NULL, trouble = ''
WHERE merchant = :merchant AND number = :number AND sent_at IS NULL

-- name: defer_message
UPDATE message SET due_at = :due_at, trouble = :trouble
WHERE merchant = :merchant AND number = :number AND attempts = :attempts AND due_at IS NOT NULL

-- name: give_message_up
UPDATE message SET given_up_at = :now, due_at = NULL, trouble = :trouble
WHERE merchant = :merchant AND number = :number AND attempts = :attempts AND due_at IS NOT NULL

-- name: replay_messages
UPDATE message SET due_at = :now, attempts = 0, sent_at = NULL, given_up_at = NULL
WHERE merchant = :merchant AND number IN (SELECT value FROM json_each(:numbers))

-- name: messages
SELECT number, topic, subject, body, made_at, attempts, due_at, sent_at, given_up_at, trouble
FROM message
WHERE merchant = :merchant AND number > :after AND (:topic IS NULL OR topic = :topic)
  AND (:told IS NULL OR :told = CASE
       WHEN sent_at IS NOT NULL THEN 'sent' WHEN given_up_at IS NULL THEN 'waiting' ELSE 'given_up' END)
ORDER BY number LIMIT :limit

-- name: message_figures
-- Every merchant: figures for metrics. What is not due before some moment, and was never tried, does not wait yet.
SELECT count(*), min(made_at) FROM message WHERE due_at IS NOT NULL AND (due_at <= :now OR attempts > 0)

-- name: given_up_messages
-- Every merchant: figures for metrics.
SELECT count(*) FROM message WHERE given_up_at IS NOT NULL

-- ============================================== intake: receiving ===============================================

-- name: answer
SELECT until, fingerprint, body, batch FROM answer WHERE merchant = :merchant AND key = :key

-- name: reserve_answer
INSERT INTO answer (merchant, key, until, made_at) VALUES (:merchant, :key, :until, :now)
ON CONFLICT (merchant, key) DO UPDATE SET until = :until, made_at = :now

-- name: reserve_answer_again
UPDATE answer SET until = :until WHERE merchant = :merchant AND key = :key AND body IS NULL

-- name: release_answer
DELETE FROM answer WHERE merchant = :merchant AND key = :key AND body IS NULL

-- name: keep_answer
INSERT INTO answer (merchant, key, until, made_at, fingerprint, body, batch)
VALUES (:merchant, :key, 0, :now, :fingerprint, :body, :batch)
ON CONFLICT (merchant, key) DO UPDATE
SET until = 0, made_at = :now, fingerprint = :fingerprint, body = :body, batch = :batch

-- name: count_open_rounds
-- Differs because a statement costs no way there and back.
SELECT coalesce(sum(open), 0) FROM lane WHERE merchant = :merchant

-- name: add_batch
INSERT INTO batch (merchant, id, kind, collection, policy, format, packing, label, folded, protocol, facts, bytes_total,
                   received_at)
VALUES (:merchant, :id, :kind, :collection, :policy, :format, :packing, :label, :folded, :protocol, :facts, :bytes, :now)

-- name: add_round
INSERT INTO round (merchant, kind, batch, number, round_kind, format, packing, bytes, file, starts_at)
SELECT merchant, kind, seq, rounds - 1, :round_kind, :format, :packing, :bytes, :file, :starts_at
FROM batch WHERE merchant = :merchant AND id = :id

-- name: add_payload
INSERT INTO payload (round, merchant, bytes) VALUES (last_insert_rowid(), :merchant, :content)

-- name: open_lane
INSERT INTO lane (merchant, kind, open) VALUES (:merchant, :kind, 1)
ON CONFLICT (merchant, kind) DO UPDATE SET open = open + 1

-- name: reopen_batch
UPDATE batch
SET rounds = rounds + 1, bytes_total = bytes_total + :bytes, state = NULL, finished_at = NULL,
    payload_kept = payload_kept OR :has_payload, report_kept = 1
WHERE merchant = :merchant AND id = :id

-- name: payload
SELECT r.file, p.bytes
FROM batch b JOIN round r ON r.batch = b.seq AND r.number = :round LEFT JOIN payload p ON p.round = r.id
WHERE b.merchant = :merchant AND b.id = :id

-- =========================================== intake: batch documents ============================================

-- name: document
SELECT * FROM document WHERE merchant = :merchant AND id = :id

-- name: documents
-- What is open is decided by its progress, in the catalogue file.
SELECT * FROM document
WHERE merchant = :merchant AND seq < :after AND seq >= :oldest
  AND (:kind IS NULL OR kind = :kind)
  AND (:collection IS NULL OR collection = :collection)
  AND (:since IS NULL OR received_at >= :since)
  AND (:until IS NULL OR received_at < :until)
  AND (:text IS NULL OR instr(folded, :text) > 0 OR instr(lower(hex(id)), :text) = 1)
  AND (:protocol IS NULL OR protocol = :protocol)
  AND (:state IS NULL OR open = 1 OR state = :state)
  AND (:outcome IS NULL OR open = 1 OR (state = 'finished' AND :outcome = CASE
       WHEN rejected = 0 THEN 'clean'
       WHEN rejected = created + updated + unchanged + deleted + superseded + rejected + cancelled THEN 'rejected'
       ELSE 'partial' END))
ORDER BY seq DESC LIMIT :limit

-- name: documents_of_all
-- Every merchant: for those who run the gate.
-- What is open is decided by its progress, in the catalogue file.
SELECT d.*, m.id FROM document d CROSS JOIN merchant m ON m.number = d.merchant
WHERE d.seq < :after AND d.seq >= :oldest
  AND (:kind IS NULL OR d.kind = :kind)
  AND (:collection IS NULL OR d.collection = :collection)
  AND (:since IS NULL OR d.received_at >= :since)
  AND (:until IS NULL OR d.received_at < :until)
  AND (:text IS NULL OR instr(d.folded, :text) > 0 OR instr(lower(hex(d.id)), :text) = 1)
  AND (:protocol IS NULL OR d.protocol = :protocol)
  AND (:state IS NULL OR d.open = 1 OR d.state = :state)
  AND (:outcome IS NULL OR d.open = 1 OR (d.state = 'finished' AND :outcome = CASE
       WHEN d.rejected = 0 THEN 'clean'
       WHEN d.rejected = d.created + d.updated + d.unchanged + d.deleted + d.superseded + d.rejected + d.cancelled
           THEN 'rejected'
       ELSE 'partial' END))
ORDER BY d.seq DESC LIMIT :limit

-- name: oldest_open_batch
-- Differs because how an open batch stands is in the other file, so that lists have to be told how far back to look.
SELECT min(batch) FROM round WHERE merchant = :merchant AND open = 1

-- name: oldest_open_of_all
-- Differs because how an open batch stands is in the other file, so that lists have to be told how far back to look.
-- Every merchant: for those who run the gate.
SELECT min(batch) FROM round WHERE open = 1

-- ================================================ intake: lanes =================================================

-- name: void_leases
-- Differs because only one process works, and its lock says that the last one is dead.
-- Every merchant: the worker that held them is dead.
UPDATE lane SET until = 0, attempt = attempt + 1 WHERE holder IS NOT NULL

-- name: last_served
-- Differs because one process serves all lanes, and keeps count.
-- Every merchant: they are served in turn.
SELECT coalesce(max(served), 0) FROM lane

-- name: cancelling_lane
-- Every merchant: the first round to be cancelled in a lane that nobody holds.
-- Differs because the lane is taken in a transaction of its own.
SELECT r.merchant, m.id, r.kind, l.holder
FROM round r CROSS JOIN lane l ON l.merchant = r.merchant AND l.kind = r.kind
CROSS JOIN merchant m ON m.number = r.merchant
WHERE r.open = 1 AND r.cancelling = 1 AND l.until <= :now ORDER BY r.id LIMIT 1

-- name: ready_lane
-- Every merchant: they are served in turn.
-- Differs because the lane is taken in a transaction of its own.
SELECT l.merchant, m.id, l.kind, l.holder FROM lane l CROSS JOIN merchant m ON m.number = l.merchant
WHERE l.open > 0 AND l.until <= :now AND l.open > (
    SELECT count(*) FROM round r
    WHERE r.merchant = l.merchant AND r.kind = l.kind AND r.open = 1 AND r.starts_at > 0 AND r.starts_at > :now
) ORDER BY l.served LIMIT 1

-- name: take_lane
-- Differs because the lane was looked for before.
UPDATE lane SET holder = :worker, until = :until, served = :served, attempt = attempt + 1
WHERE merchant = :merchant AND kind = :kind RETURNING attempt

-- name: open_rounds
SELECT r.id, b.seq, b.id, r.number, r.round_kind, b.collection, b.policy, r.format, r.packing, r.bytes, b.received_at,
       r.cancelling, EXISTS (
           SELECT 1 FROM round q CROSS JOIN batch p ON p.seq = q.batch
           WHERE q.merchant = r.merchant AND q.kind = r.kind AND q.open = 1 AND q.starts_at > 0 AND q.id < r.id
             AND q.starts_at < :held AND p.collection = b.collection
       )
FROM round r CROSS JOIN batch b ON b.seq = r.batch
WHERE r.merchant = :merchant AND r.kind = :kind AND r.open = 1 AND r.cancelling >= :cancelling
  AND (r.starts_at <= :now OR r.cancelling = 1)
ORDER BY r.id LIMIT :limit

-- name: start_round
UPDATE round SET started_at = :now
WHERE id IN (SELECT value FROM json_each(:rounds)) AND merchant = :merchant AND started_at IS NULL

-- name: start_batch
-- Differs because a statement more costs nothing.
UPDATE batch SET started_at = :now
WHERE seq IN (SELECT value FROM json_each(:batches)) AND merchant = :merchant AND started_at IS NULL

-- name: lease
SELECT attempt, holder FROM lane WHERE merchant = :merchant AND kind = :kind

-- name: renew_lane
UPDATE lane SET until = :until
WHERE merchant = :merchant AND kind = :kind AND attempt = :attempt AND holder IS NOT NULL

-- name: rest_round
UPDATE round SET starts_at = :until
WHERE merchant = :merchant AND open = 1 AND number = :round
  AND batch = (SELECT seq FROM batch WHERE merchant = :merchant AND id = :id)
  AND EXISTS (SELECT 1 FROM lane WHERE merchant = :merchant AND kind = :kind AND attempt = :attempt)

-- name: give_lane_back
UPDATE lane SET until = 0, holder = NULL WHERE merchant = :merchant AND kind = :kind AND attempt = :attempt

-- name: other_lane_waits
-- Every merchant: somebody else's turn has come.
SELECT EXISTS (
    SELECT 1 FROM lane l
    WHERE l.open > 0 AND l.until <= :now AND (l.merchant, l.kind) <> (:merchant, :kind) AND l.open > (
        SELECT count(*) FROM round r
        WHERE r.merchant = l.merchant AND r.kind = l.kind AND r.open = 1 AND r.starts_at > 0 AND r.starts_at > :now
    )
)

-- name: start_held
UPDATE round SET starts_at = 0
WHERE merchant = :merchant AND kind = :kind AND open = 1 AND starts_at > 0 AND starts_at = :held AND EXISTS (
    SELECT 1 FROM batch b
    WHERE b.seq = round.batch AND b.collection = :collection AND (:before IS NULL OR b.received_at < :before)
)

-- name: cancelling_rounds
-- Differs because a statement more costs nothing.
SELECT lower(hex(b.id)) FROM round r CROSS JOIN batch b ON b.seq = r.batch
WHERE r.open = 1 AND r.cancelling = 1 AND r.merchant = :merchant AND r.kind = :kind

-- name: cancel_round
UPDATE round SET cancelling = 1
WHERE open = 1 AND merchant = :merchant AND batch = (SELECT seq FROM batch WHERE merchant = :merchant AND id = :id)

-- name: end_round
UPDATE round SET open = 0
WHERE open = 1 AND number = :round AND merchant = :merchant
  AND batch = (SELECT seq FROM batch WHERE merchant = :merchant AND id = :id)

-- name: end_batch
UPDATE batch
SET state = :state, finished_at = :finished_at, total = :total, bytes_done = min(:bytes_done, bytes_total),
    created = :created, updated = :updated, unchanged = :unchanged, deleted = :deleted, superseded = :superseded,
    rejected = :rejected, cancelled = :cancelled, warned = :warned, columns = :columns, withheld = :withheld
WHERE merchant = :merchant AND id = :id

-- name: close_lane
-- Differs because the lane is in the other file than what ended.
UPDATE lane SET open = open - 1 WHERE merchant = :merchant AND kind = :kind

-- name: queue_figures
-- Every merchant: figures for metrics.
SELECT (SELECT count(*) FROM lane WHERE open > 0), count(*) - count(started_at), count(started_at),
       min(CASE WHEN started_at IS NULL AND starts_at < :held
           THEN (SELECT received_at FROM batch WHERE seq = round.batch) END)
FROM round WHERE open = 1

-- name: lanes
-- Every merchant: for those who run the gate.
SELECT m.id, l.kind, l.open, l.holder, l.until, (
    SELECT b.received_at FROM round r JOIN batch b ON b.seq = r.batch
    WHERE r.merchant = l.merchant AND r.kind = l.kind AND r.open = 1 AND r.started_at IS NULL AND r.starts_at < :held
    ORDER BY r.id LIMIT 1
)
FROM lane l JOIN merchant m ON m.number = l.merchant
WHERE l.open > 0 AND (:id IS NULL OR m.id = :id) ORDER BY l.served LIMIT :limit

-- name: leases
-- Every merchant: figures for a doctor.
-- Differs because the lease of a worker that is known to be dead is set to 0.
SELECT count(*), count(CASE WHEN until > 0 AND until < :before THEN 1 END) FROM lane WHERE holder IS NOT NULL

-- =============================================== intake: sweeping ===============================================

-- name: payloads_due
-- Every merchant: the sweep.
SELECT merchant, seq FROM batch WHERE finished_at < :before AND payload_kept = 1 ORDER BY finished_at LIMIT :limit

-- name: payload_files
-- Differs because large payloads are files.
SELECT file FROM round WHERE merchant = :merchant AND batch = :seq AND file IS NOT NULL

-- name: drop_payloads
-- Differs because small payloads are rows, and go whole.
DELETE FROM payload WHERE merchant = :merchant AND round IN (SELECT id FROM round WHERE batch = :seq)

-- name: forget_files
-- Differs because large payloads are files.
UPDATE round SET file = NULL WHERE merchant = :merchant AND batch = :seq

-- name: mark_payloads
UPDATE batch SET payload_kept = 0 WHERE merchant = :merchant AND seq = :seq AND finished_at < :before

-- name: reports_due
-- Every merchant: the sweep.
SELECT merchant, seq, id FROM batch WHERE finished_at < :before AND report_kept = 1 ORDER BY finished_at LIMIT :limit

-- name: mark_report
UPDATE batch SET report_kept = 0 WHERE merchant = :merchant AND seq = :seq AND finished_at < :before

-- name: batches_due
-- Every merchant: the sweep.
SELECT merchant, seq, id FROM batch WHERE finished_at < :before ORDER BY finished_at LIMIT :limit

-- name: mark_leaving
UPDATE batch SET leaving = 1 WHERE merchant = :merchant AND seq = :seq AND finished_at < :before

-- name: drop_rounds
DELETE FROM round WHERE merchant = :merchant AND batch = :seq

-- name: drop_batch
DELETE FROM batch WHERE merchant = :merchant AND seq = :seq

-- name: drop_answers
-- Every merchant: the sweep.
DELETE FROM answer WHERE rowid IN (
    SELECT rowid FROM answer WHERE made_at < :before AND until < :now ORDER BY made_at LIMIT :limit
)

-- name: payload_files_named
-- Every merchant: a backup is of all of them.
-- Differs because only this store has files beside it, which a backup copies.
SELECT file FROM round WHERE file IS NOT NULL

-- name: drop_tokens
-- Every merchant: the sweep.
DELETE FROM token WHERE digest IN (SELECT digest FROM token WHERE until < :now ORDER BY until LIMIT :limit)

-- name: sweep_resources
-- Every merchant: the sweep.
DELETE FROM resource WHERE (merchant, sort, number) IN (
    SELECT merchant, sort, number FROM resource WHERE ends_at <= :now ORDER BY ends_at LIMIT :limit
)

-- name: drop_messages
-- Every merchant: the sweep.
DELETE FROM message WHERE (merchant, number) IN (
    SELECT merchant, number FROM message
    WHERE due_at IS NULL AND coalesce(sent_at, given_up_at) < :before
    ORDER BY coalesce(sent_at, given_up_at) LIMIT :limit
)

-- name: file_is_named
-- Differs because a file without a row belonged to a process that is dead.
-- Every merchant: the sweep asks of a file whose it is.
SELECT EXISTS (SELECT 1 FROM round WHERE file = :file)

-- ============================================== catalogue: shelves ==============================================

-- name: shelf
SELECT id, items, marked FROM shelf WHERE merchant = :merchant AND kind = :kind AND collection = :collection

-- name: add_shelf
INSERT INTO shelf (merchant, kind, collection) VALUES (:merchant, :kind, :collection) RETURNING id

-- name: count_items
UPDATE shelf SET items = items + :change WHERE merchant = :merchant AND id = :shelf

-- name: collections
SELECT kind, collection, items FROM shelf WHERE merchant = :merchant AND items > 0 ORDER BY kind, collection

-- name: mark_shelf
UPDATE shelf SET marked = 1 WHERE merchant = :merchant AND id = :shelf

-- =============================================== catalogue: items ===============================================

-- name: held
-- With the keys that differ from those asked for by case. CROSS JOIN pins the order: the planner would otherwise read
-- the whole shelf and run json_each inside.
SELECT j.value, i.key, i.hash, i.version, i.batch, NULL
FROM json_each(?3) j CROSS JOIN item i INDEXED BY item_key
ON i.merchant = ?1 AND i.shelf = ?2 AND i.key = j.value COLLATE NOCASE

-- name: held_documents
SELECT j.value, i.key, i.hash, i.version, i.batch, i.document
FROM json_each(?3) j CROSS JOIN item i INDEXED BY item_key
ON i.merchant = ?1 AND i.shelf = ?2 AND i.key = j.value COLLATE NOCASE

-- name: items
SELECT key, document, version, lower(hex(batch)), written_at FROM item INDEXED BY item_key
WHERE merchant = :merchant AND shelf = :shelf AND (key COLLATE NOCASE, key) > (:from, :after) AND hash IS NOT NULL
ORDER BY key COLLATE NOCASE, key LIMIT :limit

-- name: items_of_prefix
SELECT key, document, version, lower(hex(batch)), written_at FROM item INDEXED BY item_key
WHERE merchant = :merchant AND shelf = :shelf AND (key COLLATE NOCASE, key) > (:from, :after)
  AND key COLLATE NOCASE < :prefix || char(0x10FFFF) AND substr(key, 1, length(:prefix)) = :prefix
  AND hash IS NOT NULL
ORDER BY key COLLATE NOCASE, key LIMIT :limit

-- name: item
SELECT key, document, version, lower(hex(batch)), written_at FROM item
WHERE merchant = :merchant AND shelf = :shelf AND key = :key COLLATE NOCASE AND key = :key AND hash IS NOT NULL

-- name: last_item
-- Differs because rows that were made are counted by their numbers.
-- Every merchant: how far the table has grown, to tell made rows from changed ones.
SELECT coalesce(max(id), 0) FROM item

-- name: has_tombstones
-- Differs because one statement writes rows, whether they are there or not, so that tombstones are counted apart.
SELECT EXISTS (SELECT 1 FROM item WHERE merchant = ?1 AND shelf = ?2 AND hash IS NULL)

-- name: count_tombstones_among
-- Differs because one statement writes rows, whether they are there or not.
SELECT count(*) FROM json_each(?3) j CROSS JOIN item i INDEXED BY item_key
ON i.merchant = ?1 AND i.shelf = ?2 AND i.key = j.value COLLATE NOCASE AND i.key = j.value WHERE i.hash IS NULL

-- name: count_live_among
-- Differs because one statement writes rows, whether they are there or not.
SELECT count(*) FROM json_each(?3) j CROSS JOIN item i INDEXED BY item_key
ON i.merchant = ?1 AND i.shelf = ?2 AND i.key = j.value COLLATE NOCASE AND i.key = j.value WHERE i.hash IS NOT NULL

-- name: write_items
-- Differs because one statement writes rows, whether they are there or not; nothing has to travel.
INSERT INTO item (merchant, shelf, key, hash, version, document, batch, written_at) VALUES (?1, ?2, :row)
ON CONFLICT (merchant, shelf, key COLLATE NOCASE, key) DO UPDATE SET
    hash = excluded.hash, version = excluded.version, document = excluded.document, batch = excluded.batch,
    written_at = excluded.written_at

-- name: delete_item
-- Differs because a statement is run for each; nothing has to travel.
DELETE FROM item WHERE merchant = ?1 AND shelf = ?2 AND key = ?3 COLLATE NOCASE AND key = ?3

-- =============================================== catalogue: marks ===============================================

-- name: marks_of
SELECT i.key, i.marks FROM json_each(?3) j CROSS JOIN item_marks i ON i.merchant = ?1 AND i.shelf = ?2 AND i.key = j.value

-- name: marked
SELECT m.value, m.key FROM json_each(?4) j
CROSS JOIN mark m ON m.merchant = ?1 AND m.shelf = ?2 AND m.name = ?3 AND m.value = j.value ORDER BY m.value, m.key

-- name: count_marks
-- IN, not EXISTS: the items that are among those asked for are looked for once.
SELECT count(*) FROM mark
WHERE merchant = :merchant AND shelf = :shelf AND name = :name AND (:demands = 0 OR key IN (
    SELECT m.key FROM (
        SELECT value ->> 0 AS at, value ->> 1 AS name, value ->> 2 AS least, value ->> 3 AS most, value ->> 4 AS text
        FROM json_each(:ways)
    ) w CROSS JOIN mark m ON m.merchant = :merchant AND m.shelf = :shelf AND m.name = w.name
        AND m.value BETWEEN w.least AND w.most AND instr(m.value, w.text) > 0
    GROUP BY m.key HAVING count(DISTINCT w.at) = :demands
))

-- name: marks
SELECT value, key FROM mark
WHERE merchant = :merchant AND shelf = :shelf AND name = :name AND (:demands = 0 OR key IN (
    SELECT m.key FROM (
        SELECT value ->> 0 AS at, value ->> 1 AS name, value ->> 2 AS least, value ->> 3 AS most, value ->> 4 AS text
        FROM json_each(:ways)
    ) w CROSS JOIN mark m ON m.merchant = :merchant AND m.shelf = :shelf AND m.name = w.name
        AND m.value BETWEEN w.least AND w.most AND instr(m.value, w.text) > 0
    GROUP BY m.key HAVING count(DISTINCT w.at) = :demands
))
ORDER BY value, key LIMIT :limit OFFSET :offset

-- name: marks_backwards
SELECT value, key FROM mark
WHERE merchant = :merchant AND shelf = :shelf AND name = :name AND (:demands = 0 OR key IN (
    SELECT m.key FROM (
        SELECT value ->> 0 AS at, value ->> 1 AS name, value ->> 2 AS least, value ->> 3 AS most, value ->> 4 AS text
        FROM json_each(:ways)
    ) w CROSS JOIN mark m ON m.merchant = :merchant AND m.shelf = :shelf AND m.name = w.name
        AND m.value BETWEEN w.least AND w.most AND instr(m.value, w.text) > 0
    GROUP BY m.key HAVING count(DISTINCT w.at) = :demands
))
ORDER BY value DESC, key DESC LIMIT :limit OFFSET :offset

-- name: drop_mark
DELETE FROM mark WHERE merchant = ?1 AND shelf = ?2 AND (name, value, key) IN (
    SELECT j.value ->> 0, j.value ->> 1, j.value ->> 2 FROM json_each(?3) j
)

-- name: add_mark
INSERT INTO mark (merchant, shelf, name, value, key)
SELECT ?1, ?2, j.value ->> 0, j.value ->> 1, j.value ->> 2 FROM json_each(?3) j

-- name: add_marks_of
-- Differs because the rows are made here, of items that had no marks: no other thread is held up by that.
WITH item AS MATERIALIZED (SELECT j.value ->> 0 AS key, j.value -> 1 AS marks FROM json_each(?3) j)
INSERT INTO mark (merchant, shelf, name, value, key)
SELECT ?1, ?2, m.value ->> 0, m.value ->> 1, item.key FROM item CROSS JOIN json_each(item.marks) m

-- name: put_item_marks
INSERT INTO item_marks (merchant, shelf, key, marks)
SELECT ?1, ?2, j.value ->> 0, CAST(j.value ->> 1 AS BLOB) FROM json_each(?3) j WHERE true
ON CONFLICT (merchant, shelf, key) DO UPDATE SET marks = excluded.marks

-- name: drop_item_marks
DELETE FROM item_marks WHERE merchant = ?1 AND shelf = ?2 AND key IN (SELECT value FROM json_each(?3))

-- =============================================== catalogue: stock ===============================================

-- name: move_shelf
UPDATE shelf SET moved = 1 WHERE merchant = :merchant AND id = :shelf AND moved = 0

-- name: is_moved
SELECT moved FROM shelf WHERE merchant = :merchant AND id = :shelf

-- name: hashes
-- Differs because nobody else writes meanwhile: the rows need not be held.
SELECT i.key, i.hash FROM json_each(?3) j CROSS JOIN item i INDEXED BY item_key
ON i.merchant = ?1 AND i.shelf = ?2 AND i.key = j.value COLLATE NOCASE AND i.key = j.value

-- name: stock
SELECT j.value, i.document, r.amount FROM json_each(?3) j
LEFT JOIN item i INDEXED BY item_key
ON i.merchant = ?1 AND i.shelf = ?2 AND i.key = j.value COLLATE NOCASE AND i.key = j.value
LEFT JOIN reserved r ON r.merchant = ?1 AND r.shelf = ?2 AND r.key = j.value

-- name: stock_order
-- Differs because nobody else writes meanwhile: the row need not be held.
SELECT memory FROM stock_order WHERE merchant = :merchant AND shelf = :shelf AND name = :name

-- name: put_stock_order
INSERT INTO stock_order (merchant, shelf, name, memory, ended_at) VALUES (:merchant, :shelf, :name, :memory, :ended_at)
ON CONFLICT (merchant, shelf, name) DO UPDATE SET memory = :memory, ended_at = :ended_at

-- name: move_item
-- Differs because a statement is run for each; nothing has to travel.
UPDATE item SET hash = ?4, document = ?5
WHERE merchant = ?1 AND shelf = ?2 AND key = ?3 COLLATE NOCASE AND key = ?3 AND hash IS NOT NULL

-- name: put_reserved
INSERT INTO reserved (merchant, shelf, key, amount) VALUES (:merchant, :shelf, :key, :amount)
ON CONFLICT (merchant, shelf, key) DO UPDATE SET amount = :amount

-- name: drop_reserved
DELETE FROM reserved WHERE merchant = :merchant AND shelf = :shelf AND key = :key

-- ============================================= catalogue: progress ==============================================

-- name: progress
SELECT batch, seq, round, portions, records, total, bytes_before, bytes_done, created, updated, unchanged, deleted,
       superseded, rejected, cancelled, warned, columns, mapping, withheld, held, first_at, ended, ended_at
FROM progress WHERE merchant = ?1 AND batch IN (SELECT unhex(value) FROM json_each(?2))

-- name: add_progress
-- Differs because it is in the other file than the batch.
INSERT INTO progress (merchant, portions, records, total, bytes_before, bytes_done, created, updated, unchanged,
                      deleted, superseded, rejected, cancelled, warned, batch, round, held, first_at)
VALUES (?1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, :row)

-- name: tally
INSERT INTO tally (merchant, name, count) VALUES (?1, :row)
ON CONFLICT (merchant, name) DO UPDATE SET count = count + excluded.count

-- name: tallies
-- Every merchant: figures for metrics.
SELECT name, sum(count) FROM tally GROUP BY name

-- name: move_progress
-- Differs because rows are given one by one; none is made.
INSERT INTO progress (merchant, batch, seq, round, portions, records, total, bytes_before, bytes_done, created, updated,
                      unchanged, deleted, superseded, rejected, cancelled, warned, columns, mapping, withheld, held,
                      first_at, ended, ended_at)
VALUES (?1, :row)
ON CONFLICT (merchant, batch) DO UPDATE SET
    round = excluded.round, portions = excluded.portions, records = excluded.records, total = excluded.total,
    bytes_before = excluded.bytes_before, bytes_done = excluded.bytes_done, created = excluded.created,
    updated = excluded.updated, unchanged = excluded.unchanged, deleted = excluded.deleted,
    superseded = excluded.superseded, rejected = excluded.rejected, cancelled = excluded.cancelled,
    warned = excluded.warned, columns = excluded.columns, mapping = excluded.mapping, withheld = excluded.withheld,
    ended = excluded.ended, ended_at = excluded.ended_at

-- name: fence
-- Differs because the lease is in the other file than what it guards.
SELECT attempt FROM fence WHERE merchant = :merchant AND kind = :kind

-- name: raise_fence
-- Differs because the lease is in the other file than what it guards.
INSERT INTO fence (merchant, kind, attempt) VALUES (:merchant, :kind, :attempt)
ON CONFLICT (merchant, kind) DO UPDATE SET attempt = max(attempt, :attempt)

-- name: clock
-- Differs because one process settles, for all lanes.
-- Every merchant: one clock for all portions.
SELECT written_at FROM clock

-- name: set_clock
-- Differs because one process settles, for all lanes.
-- Every merchant: one clock for all portions.
UPDATE clock SET written_at = :written_at

-- ============================================== catalogue: results ==============================================

-- name: add_portion
INSERT INTO portion (merchant, batch, first, results) VALUES (?1, :row)

-- name: add_portion_keys
-- Differs because nothing keeps long values apart from short ones unasked.
INSERT INTO portion_keys (merchant, batch, first, keys) VALUES (?1, :row)

-- name: portion_of_record
SELECT first, results FROM portion
WHERE merchant = :merchant AND batch = :batch AND first <= :number ORDER BY first DESC LIMIT 1

-- name: portions_after
SELECT first, results FROM portion
WHERE merchant = :merchant AND batch = :batch AND first > :after ORDER BY first

-- name: portions_from
SELECT first, results FROM portion
WHERE merchant = :merchant AND batch = :batch AND first >= coalesce(
    (SELECT max(first) FROM portion WHERE merchant = :merchant AND batch = :batch AND first <= :number), 0
) ORDER BY first

-- name: portion_keys
SELECT keys FROM portion_keys WHERE merchant = :merchant AND batch = :batch AND first = :first

-- name: set_results
UPDATE portion SET results = :results WHERE merchant = :merchant AND batch = :batch AND first = :first

-- name: set_portion_keys
UPDATE portion_keys SET keys = :keys WHERE merchant = :merchant AND batch = :batch AND first = :first

-- ============================================= catalogue: findings ==============================================

-- name: last_finding
-- Differs because rows are numbered, to tie raw records to them.
-- Every merchant: how far the table has grown.
SELECT coalesce(max(id), 0) FROM finding

-- name: add_finding
-- Differs because a statement is run for each; nothing has to travel.
INSERT INTO finding (id, merchant, batch, number, place, key, result, refused, severities, codes, issues)
VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)

-- name: add_raw
-- Differs because nothing keeps long values apart from short ones unasked.
INSERT INTO raw (id, merchant, bytes) VALUES (?1, ?2, ?3)

-- name: findings_among
SELECT f.id, f.number, f.key, f.issues
FROM json_each(:numbers) j CROSS JOIN finding f ON f.merchant = :merchant AND f.batch = :batch AND f.number = j.value

-- name: drop_findings
DELETE FROM finding WHERE merchant = :merchant AND id IN (SELECT value FROM json_each(:ids))

-- name: drop_raws
-- Differs because nothing keeps long values apart from short ones unasked.
DELETE FROM raw WHERE merchant = :merchant AND id IN (SELECT value FROM json_each(:ids))

-- name: rejected
SELECT f.number, f.place, f.key, f.result, f.issues, r.bytes
FROM finding f INDEXED BY finding_refused CROSS JOIN raw r ON r.id = f.id AND r.merchant = f.merchant
WHERE f.merchant = :merchant AND f.batch = :batch AND f.number > :after AND f.refused = 1 AND f.result = :rejected
ORDER BY f.number LIMIT :limit

-- name: rejected_among
SELECT f.number, f.place, f.key, f.result, f.issues, r.bytes
FROM json_each(:numbers) j
CROSS JOIN finding f ON f.merchant = :merchant AND f.batch = :batch AND f.number = j.value
CROSS JOIN raw r ON r.id = f.id AND r.merchant = f.merchant
WHERE f.result = :rejected

-- name: findings
SELECT number, place, key, result, issues FROM finding
WHERE merchant = :merchant AND batch = :batch AND number > :after AND (:code IS NULL OR instr(codes, :code) > 0)
  AND (:severity IS NULL OR instr(severities, :severity) > 0)
ORDER BY number LIMIT :limit

-- name: findings_refused
SELECT number, place, key, result, issues FROM finding INDEXED BY finding_refused
WHERE merchant = :merchant AND batch = :batch AND number > :after AND refused = 1
  AND (:code IS NULL OR instr(codes, :code) > 0) AND instr(severities, :severity) > 0
ORDER BY number LIMIT :limit

-- name: findings_of_key
SELECT p.batch, f.number, f.place, f.key, f.result, f.issues
FROM finding f INDEXED BY finding_key CROSS JOIN progress p ON p.seq = f.batch AND p.merchant = f.merchant
WHERE f.merchant = :merchant AND substr(f.key, 1, 64) = substr(:key, 1, 64) AND f.key = :key
ORDER BY f.batch DESC, f.number LIMIT :limit

-- name: group
SELECT count, top FROM issue_group
WHERE merchant = :merchant AND batch = :batch AND code = :code AND severity = :severity AND field = :field

-- name: put_group
INSERT INTO issue_group (merchant, batch, code, severity, field, count, top)
VALUES (:merchant, :batch, :code, :severity, :field, :count, :top)
ON CONFLICT (merchant, batch, code, severity, field) DO UPDATE SET count = :count, top = :top

-- name: drop_group
DELETE FROM issue_group
WHERE merchant = :merchant AND batch = :batch AND code = :code AND severity = :severity AND field = :field

-- name: groups
SELECT g.code, g.severity, g.field, g.count, g.top
FROM progress p CROSS JOIN issue_group g ON g.merchant = p.merchant AND g.batch = p.seq
WHERE p.merchant = :merchant AND p.batch = :batch ORDER BY g.count DESC, g.code, g.severity, g.field LIMIT :limit

-- ====================================== catalogue: keys of a batch, scratch =====================================

-- name: make_scratch
-- Every merchant: a table of this connection alone, by batch.
CREATE TEMP TABLE IF NOT EXISTS scratch (batch INTEGER, key TEXT, PRIMARY KEY (batch, key)) WITHOUT ROWID

-- name: fill_scratch
-- Every merchant: a table of this connection alone, by batch.
INSERT OR IGNORE INTO temp.scratch (batch, key) SELECT :batch, value FROM json_each(:keys)

-- name: drop_scratch
-- Differs because one table is for all batches.
-- Every merchant: a table of this connection alone, by batch.
DELETE FROM temp.scratch WHERE batch = :batch

-- name: seen
-- Every merchant: a table of this connection alone, by batch, filled from that of one merchant.
SELECT s.key FROM json_each(:keys) j CROSS JOIN temp.scratch s ON s.batch = :batch AND s.key = j.value

-- name: count_missing
-- Differs because the keys of the feed are in the same process as the items.
-- The item's row is read last, behind the index and the scratch table: most keys of a full feed are in it.
SELECT count(*)
FROM item i INDEXED BY item_key CROSS JOIN item d ON d.id = i.id
WHERE i.merchant = :merchant AND i.shelf = :shelf
  AND NOT EXISTS (SELECT 1 FROM temp.scratch s WHERE s.batch = :batch AND s.key = i.key)
  AND d.hash IS NOT NULL AND d.written_at < :first_at

-- name: missing
SELECT i.key
FROM item i INDEXED BY item_key CROSS JOIN item d ON d.id = i.id
WHERE i.merchant = :merchant AND i.shelf = :shelf AND (i.key COLLATE NOCASE, i.key) > (:after, :after)
  AND NOT EXISTS (SELECT 1 FROM temp.scratch s WHERE s.batch = :batch AND s.key = i.key)
  AND d.hash IS NOT NULL AND d.written_at < :first_at
ORDER BY i.key COLLATE NOCASE, i.key LIMIT :limit

-- ============================================= catalogue: sweeping ==============================================

-- name: drop_some_findings
DELETE FROM finding WHERE merchant = :merchant AND id IN (
    SELECT id FROM finding WHERE merchant = :merchant AND batch = :batch ORDER BY number LIMIT :limit
) RETURNING id

-- name: drop_some_portions
DELETE FROM portion WHERE merchant = :merchant AND batch = :batch AND first IN (
    SELECT first FROM portion WHERE merchant = :merchant AND batch = :batch ORDER BY first LIMIT :limit
)

-- name: drop_some_portion_keys
-- Differs because nothing keeps long values apart from short ones unasked.
DELETE FROM portion_keys WHERE merchant = :merchant AND batch = :batch AND first IN (
    SELECT first FROM portion_keys WHERE merchant = :merchant AND batch = :batch ORDER BY first LIMIT :limit
)

-- name: drop_some_groups
DELETE FROM issue_group WHERE merchant = :merchant AND batch = :batch AND (code, severity, field) IN (
    SELECT code, severity, field FROM issue_group WHERE merchant = :merchant AND batch = :batch LIMIT :limit
)

-- name: drop_progress
-- Differs because it is in the other file than the batch.
DELETE FROM progress WHERE merchant = :merchant AND seq = :seq

-- name: drop_stock_orders
-- Every merchant: the sweep.
DELETE FROM stock_order WHERE ended_at < :before AND (merchant, shelf, name) IN (
    SELECT merchant, shelf, name FROM stock_order WHERE ended_at < :before ORDER BY ended_at LIMIT :limit
)

-- name: tombstones_due
-- Every merchant: the sweep.
SELECT s.merchant, s.id FROM shelf s WHERE EXISTS (
    SELECT 1 FROM item i
    WHERE i.merchant = s.merchant AND i.shelf = s.id AND i.hash IS NULL AND i.written_at < :before
)

-- name: drop_tombstones
DELETE FROM item WHERE merchant = :merchant AND id IN (
    SELECT id FROM item WHERE merchant = :merchant AND shelf = :shelf AND hash IS NULL AND written_at < :before
    ORDER BY written_at LIMIT :limit
)
