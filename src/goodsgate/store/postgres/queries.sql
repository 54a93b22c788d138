-- Every statement of the PostgreSQL store, by name, in the order of the embedded store's. Each names the merchant it
-- speaks of, or says on a line "-- Every merchant: …" why it speaks of all (tested). Where a statement or its name is
-- another one than there, a comment begins "-- Differs because".

-- ================================================ merchants, keys ===============================================

-- name: merchant_number
-- Every merchant: their ids are looked up among them.
SELECT number FROM merchant WHERE id = :id

-- name: add_merchant
-- Every merchant: the new one is none of them yet.
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

-- ============================================== reference, mappings =============================================

-- name: next_reference_version
UPDATE merchant SET reference_version = reference_version + 1 WHERE number = :merchant RETURNING reference_version

-- name: put_entry
-- Differs because many entries go in one statement.
INSERT INTO entry (merchant, kind, code, name, parent, data, folded, version)
SELECT :merchant, :kind, e.code, e.name, e.parent, e.data::json, e.folded, :version
FROM unnest(:codes::text[], :names::text[], :parents::text[], :datas::text[], :foldeds::text[])
    AS e (code, name, parent, data, folded)
ON CONFLICT (merchant, kind, code) DO UPDATE
SET name = excluded.name, parent = excluded.parent, data = excluded.data, folded = excluded.folded,
    version = excluded.version

-- name: drop_older_entries
DELETE FROM entry WHERE merchant = :merchant AND kind = :kind AND version < :version

-- name: count_entries
SELECT count(*) FROM entry WHERE merchant = :merchant AND kind = :kind

-- name: entries
SELECT code, name, parent, data FROM entry
WHERE merchant = :merchant AND kind = :kind AND code > :after AND (:search = '' OR strpos(folded, :search) > 0)
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

-- =================================================== resources ==================================================

-- name: next_number
INSERT INTO numbering (merchant, sort, last) VALUES (:merchant, :sort, 1)
ON CONFLICT (merchant, sort) DO UPDATE SET last = numbering.last + 1 RETURNING last

-- name: last_number
-- Differs because others write at the same time: they wait.
SELECT last FROM numbering WHERE merchant = :merchant AND sort = :sort FOR UPDATE

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

-- =================================================== messages ===================================================

-- name: add_messages
-- Differs because several go in one statement, with their numbers.
WITH numbered AS (
    INSERT INTO numbering (merchant, sort, last) VALUES (:merchant, :sort, :count)
    ON CONFLICT (merchant, sort) DO UPDATE SET last = numbering.last + :count RETURNING last
)
INSERT INTO message (merchant, number, topic, subject, body, made_at, due_at)
SELECT :merchant, n.last - :count + m.place, m.topic, m.subject, m.body::json, :now, m.due_at
FROM numbered n CROSS JOIN unnest(:topics::text[], :subjects::text[], :bodies::text[], :dues::bigint[])
    WITH ORDINALITY AS m (topic, subject, body, due_at, place)

-- name: due_merchants
-- Every merchant: they are served in turn. From one to the next in the index, however much each has waiting.
WITH RECURSIVE w (merchant) AS (
    SELECT min(merchant) FROM message WHERE due_at IS NOT NULL AND merchant > :after
    UNION ALL
    SELECT (SELECT min(m.merchant) FROM message m WHERE m.due_at IS NOT NULL AND m.merchant > w.merchant)
    FROM w WHERE w.merchant IS NOT NULL
)
SELECT o.number, o.id FROM w CROSS JOIN merchant o
WHERE o.number = w.merchant AND w.merchant <> ALL (:without::bigint[]) AND EXISTS (
    SELECT 1 FROM message d WHERE d.merchant = w.merchant AND d.due_at <= :now
)
ORDER BY o.number LIMIT :limit

-- name: take_message
-- Others claim at the same time: what they have taken is passed over.
UPDATE message SET due_at = :until, attempts = attempts + 1
WHERE merchant = :merchant AND number = (
    SELECT number FROM message WHERE merchant = :merchant AND due_at <= :now ORDER BY due_at, number LIMIT 1 FOR UPDATE SKIP LOCKED
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
WHERE merchant = :merchant AND number = ANY (:numbers::bigint[])

-- name: messages
SELECT number, topic, subject, body, made_at, attempts, due_at, sent_at, given_up_at, trouble
FROM message
WHERE merchant = :merchant AND number > :after AND (:topic::text IS NULL OR topic = :topic)
  AND (:told::text IS NULL OR :told = CASE
       WHEN sent_at IS NOT NULL THEN 'sent' WHEN given_up_at IS NULL THEN 'waiting' ELSE 'given_up' END)
ORDER BY number LIMIT :limit

-- name: message_figures
-- Every merchant: figures for metrics. What is not due before some moment, and was never tried, does not wait yet.
SELECT count(*), min(made_at) FROM message WHERE due_at IS NOT NULL AND (due_at <= :now OR attempts > 0)

-- name: given_up_messages
-- Every merchant: figures for metrics.
SELECT count(*) FROM message WHERE given_up_at IS NOT NULL

-- =================================================== receiving ==================================================

-- name: answer
SELECT until, fingerprint, body, batch FROM answer WHERE merchant = :merchant AND key = :key

-- name: reserve_answer
-- Differs because others write at the same time: whether it is ours is decided in the statement.
INSERT INTO answer (merchant, key, until, made_at) VALUES (:merchant, :key, :until, :now)
ON CONFLICT (merchant, key) DO UPDATE SET until = :until, made_at = :now
WHERE answer.body IS NULL AND answer.until <= :now

-- name: reserve_answer_again
UPDATE answer SET until = :until WHERE merchant = :merchant AND key = :key AND body IS NULL

-- name: release_answer
DELETE FROM answer WHERE merchant = :merchant AND key = :key AND body IS NULL

-- name: keep_answer
INSERT INTO answer (merchant, key, until, made_at, fingerprint, body, batch)
VALUES (:merchant, :key, 0, :now, :fingerprint, :body, :batch::uuid)
ON CONFLICT (merchant, key) DO UPDATE
SET until = 0, made_at = :now, fingerprint = :fingerprint, body = :body, batch = :batch::uuid
WHERE answer.body IS NULL

-- name: add_upload
-- Differs because payloads are rows; the embedded store locks their files.
INSERT INTO upload (merchant, id, touched_at) VALUES (:merchant, :upload::uuid, :now)

-- name: touch_upload
-- Differs because payloads are rows. Each piece knows the one before, which may have been lost with the server.
UPDATE upload SET touched_at = :now WHERE merchant = :merchant AND id = :upload::uuid AND touched_at = :before

-- name: seal_upload
-- Differs because payloads are rows. One that the sweep has begun to remove is not sealed any more, nor one whose last
-- piece was lost with the server.
DELETE FROM upload WHERE merchant = :merchant AND id = :upload::uuid AND touched_at = :touched_at

-- name: drop_upload
-- Differs because payloads are rows.
DELETE FROM upload WHERE merchant = :merchant AND id = :upload::uuid

-- name: add_batch
-- Differs because all of a submission but what was sent of it before goes in one statement: each costs a way to the
-- server and back. The lane's row comes before what is numbered by it, and gives what open_lane gives.
WITH waiting AS (
    SELECT coalesce(sum(o.open), 0)::bigint AS others FROM lane o WHERE o.merchant = :merchant AND o.kind <> :kind
), place AS (
    INSERT INTO lane (merchant, kind, open, accepted_at)
    SELECT :merchant, :kind, 1, :now FROM waiting WHERE others < :most
    ON CONFLICT (merchant, kind) DO UPDATE SET open = lane.open + 1, accepted_at = greatest(lane.accepted_at, :now)
    WHERE lane.open + (SELECT others FROM waiting) < :most
    RETURNING accepted_at, open - 1 AS position
), rest AS (
    INSERT INTO payload (merchant, upload, piece, packed, bytes)
    SELECT :merchant, :upload::uuid, :piece, :packed, :content FROM place WHERE :content::bytea IS NOT NULL
), made AS (
    INSERT INTO batch (merchant, id, kind, collection, policy, format, packing, label, folded, protocol, facts,
                       bytes_total, received_at)
    SELECT :merchant, :id::uuid, :kind, :collection, :policy, :format, :packing, :label, :folded, :protocol, :facts,
           :bytes, accepted_at
    FROM place
    RETURNING seq
), first AS (
    INSERT INTO round (merchant, kind, batch, number, round_kind, format, packing, bytes, upload, pieces, starts_at)
    SELECT :merchant, :kind, seq, 0, :round_kind, :format, :packing, :bytes, :upload::uuid, :pieces, :starts_at FROM made
)
SELECT accepted_at, position FROM place

-- name: add_round
INSERT INTO round (merchant, kind, batch, number, round_kind, format, packing, bytes, upload, pieces)
SELECT merchant, kind, seq, rounds - 1, :round_kind, :format, :packing, :bytes, :upload::uuid, :pieces
FROM batch WHERE merchant = :merchant AND id = :id::uuid

-- name: add_payload
INSERT INTO payload (merchant, upload, piece, packed, bytes)
VALUES (:merchant, :upload::uuid, :piece, :packed, :content)

-- name: open_lane
-- Differs because others submit at the same time: the row is held until the commit, and gives the time of acceptance
-- and the place in the lane; nothing where as many rounds are open as may be.
WITH waiting AS (
    SELECT coalesce(sum(o.open), 0)::bigint AS others FROM lane o WHERE o.merchant = :merchant AND o.kind <> :kind
)
INSERT INTO lane (merchant, kind, open, accepted_at)
SELECT :merchant, :kind, 1, :now FROM waiting WHERE others < :most
ON CONFLICT (merchant, kind) DO UPDATE SET open = lane.open + 1, accepted_at = greatest(lane.accepted_at, :now)
WHERE lane.open + (SELECT others FROM waiting) < :most
RETURNING accepted_at, open - 1

-- name: reopen_batch
UPDATE batch b
SET rounds = rounds + 1, bytes_total = bytes_total + :bytes, finished_at = NULL,
    payload_kept = payload_kept OR :has_payload, report_kept = true
WHERE merchant = :merchant AND id = :id::uuid AND NOT leaving AND NOT EXISTS (
    SELECT 1 FROM round r WHERE r.merchant = :merchant AND r.batch = b.seq AND r.open
)

-- name: payload
SELECT r.upload, r.pieces
FROM batch b JOIN round r ON r.merchant = b.merchant AND r.batch = b.seq AND r.number = :round
WHERE b.merchant = :merchant AND b.id = :id::uuid

-- name: payload_pieces
-- Differs because payloads are rows.
SELECT packed, bytes FROM payload
WHERE merchant = :merchant AND upload = :upload::uuid AND piece >= :first AND piece < :behind ORDER BY piece

-- ================================================ batch documents ===============================================

-- name: document
SELECT b.seq, b.id, b.kind, b.collection, b.policy, b.format, b.packing, b.label, b.protocol, b.facts, b.rounds,
       b.bytes_total, b.received_at, b.started_at, b.finished_at, b.round, b.total, b.bytes_before + b.bytes_done,
       b.created, b.updated, b.unchanged, b.deleted, b.superseded, b.rejected, b.cancelled, b.warned, b.columns,
       b.withheld, b.ended, r.open, r.cancelling, r.started_at,
       CASE WHEN r.open AND r.started_at IS NULL THEN (
           SELECT count(*) FROM round q
           WHERE q.merchant = b.merchant AND q.kind = b.kind AND q.open AND q.id < r.id
       ) ELSE 0 END
FROM batch b JOIN round r ON r.merchant = b.merchant AND r.batch = b.seq AND r.number = b.rounds - 1
WHERE b.merchant = :merchant AND b.id = :id::uuid AND NOT b.leaving

-- name: documents
SELECT b.seq, b.id, b.kind, b.collection, b.policy, b.format, b.packing, b.label, b.protocol, b.facts, b.rounds,
       b.bytes_total, b.received_at, b.started_at, b.finished_at, b.round, b.total, b.bytes_before + b.bytes_done,
       b.created, b.updated, b.unchanged, b.deleted, b.superseded, b.rejected, b.cancelled, b.warned, b.columns,
       b.withheld, b.ended, r.open, r.cancelling, r.started_at,
       CASE WHEN r.open AND r.started_at IS NULL THEN (
           SELECT count(*) FROM round q
           WHERE q.merchant = b.merchant AND q.kind = b.kind AND q.open AND q.id < r.id
       ) ELSE 0 END
FROM batch b JOIN round r ON r.merchant = b.merchant AND r.batch = b.seq AND r.number = b.rounds - 1
WHERE b.merchant = :merchant AND b.seq < :after AND NOT b.leaving
  AND (:kind::text IS NULL OR b.kind = :kind)
  AND (:collection::text IS NULL OR b.collection = :collection)
  AND (:since::bigint IS NULL OR b.received_at >= :since)
  AND (:until::bigint IS NULL OR b.received_at < :until)
  AND (:text::text IS NULL OR strpos(b.folded, :text) > 0 OR starts_with(replace(b.id::text, '-', ''), :text))
  AND (:protocol::text IS NULL OR b.protocol = :protocol)
  AND (:state::text IS NULL OR :state = CASE
       WHEN NOT r.open THEN b.ended WHEN r.started_at IS NULL THEN 'queued' ELSE 'working' END)
  AND (:outcome::text IS NULL OR (NOT r.open AND b.ended = 'finished' AND :outcome = CASE
       WHEN b.rejected = 0 THEN 'clean'
       WHEN b.rejected = b.created + b.updated + b.unchanged + b.deleted + b.superseded + b.rejected + b.cancelled
           THEN 'rejected'
       ELSE 'partial' END))
ORDER BY b.seq DESC LIMIT :limit

-- name: documents_of_all
-- Every merchant: for those who run the gate.
-- Differs because every index leads with the merchant: the newest are asked of each.
SELECT b.seq, b.id, b.kind, b.collection, b.policy, b.format, b.packing, b.label, b.protocol, b.facts, b.rounds,
       b.bytes_total, b.received_at, b.started_at, b.finished_at, b.round, b.total, b.bytes_before + b.bytes_done,
       b.created, b.updated, b.unchanged, b.deleted, b.superseded, b.rejected, b.cancelled, b.warned, b.columns,
       b.withheld, b.ended, b.open, b.cancelling, b.round_started_at,
       CASE WHEN b.open AND b.round_started_at IS NULL THEN (
           SELECT count(*) FROM round q
           WHERE q.merchant = b.merchant AND q.kind = b.kind AND q.open AND q.id < b.round_id
       ) ELSE 0 END,
       m.id
FROM merchant m CROSS JOIN LATERAL (
    SELECT b.*, r.open, r.cancelling, r.started_at AS round_started_at, r.id AS round_id
    FROM batch b JOIN round r ON r.merchant = b.merchant AND r.batch = b.seq AND r.number = b.rounds - 1
    WHERE b.merchant = m.number AND b.seq < :after AND NOT b.leaving
      AND (:kind::text IS NULL OR b.kind = :kind)
      AND (:collection::text IS NULL OR b.collection = :collection)
      AND (:since::bigint IS NULL OR b.received_at >= :since)
      AND (:until::bigint IS NULL OR b.received_at < :until)
      AND (:text::text IS NULL OR strpos(b.folded, :text) > 0 OR starts_with(replace(b.id::text, '-', ''), :text))
      AND (:protocol::text IS NULL OR b.protocol = :protocol)
      AND (:state::text IS NULL OR :state = CASE
           WHEN NOT r.open THEN b.ended WHEN r.started_at IS NULL THEN 'queued' ELSE 'working' END)
      AND (:outcome::text IS NULL OR (NOT r.open AND b.ended = 'finished' AND :outcome = CASE
           WHEN b.rejected = 0 THEN 'clean'
           WHEN b.rejected = b.created + b.updated + b.unchanged + b.deleted + b.superseded + b.rejected + b.cancelled
               THEN 'rejected'
           ELSE 'partial' END))
    ORDER BY b.seq DESC LIMIT :limit
) b
ORDER BY b.seq DESC LIMIT :limit

-- ===================================================== lanes ====================================================

-- name: claim_lane
-- Every merchant: the one with the first round to be cancelled in a lane that nobody holds; or else they are served in
-- turn.
-- Differs because others claim at the same time: the row is taken, and rows that others have taken are passed over.
WITH cancelling AS MATERIALIZED (
    SELECT l.merchant, l.kind
    FROM round r JOIN lane l ON l.merchant = r.merchant AND l.kind = r.kind
    WHERE r.open AND r.cancelling AND l.until <= :now ORDER BY r.id LIMIT 1 FOR UPDATE OF l SKIP LOCKED
), ready AS MATERIALIZED (
    SELECT merchant, kind FROM lane l WHERE NOT EXISTS (SELECT 1 FROM cancelling) AND l.open > 0 AND l.until <= :now AND l.open > (
        SELECT count(*) FROM round r
        WHERE r.merchant = l.merchant AND r.kind = l.kind AND r.open AND r.starts_at > 0 AND r.starts_at > :now
    )
    ORDER BY served LIMIT 1 FOR UPDATE SKIP LOCKED
), found AS (
    SELECT merchant, kind, true AS cancelling FROM cancelling UNION ALL SELECT merchant, kind, false FROM ready
), taken AS (
    UPDATE lane l SET holder = :worker, until = :until, served = :now, attempt = attempt + 1
    FROM found f WHERE l.merchant = f.merchant AND l.kind = f.kind RETURNING l.merchant, l.kind, f.cancelling, l.attempt
)
SELECT t.merchant, m.id, t.kind, t.cancelling, t.attempt FROM taken t JOIN merchant m ON m.number = t.merchant

-- name: claim_awaited_lane
-- Every merchant: they are served in turn.
-- Differs because a submission may just be entering the only lane there is; that is soon over.
WITH ready AS MATERIALIZED (
    SELECT merchant, kind FROM lane l WHERE l.open > 0 AND l.until <= :now AND l.open > (
        SELECT count(*) FROM round r
        WHERE r.merchant = l.merchant AND r.kind = l.kind AND r.open AND r.starts_at > 0 AND r.starts_at > :now
    )
    ORDER BY served LIMIT 1 FOR UPDATE
), taken AS (
    UPDATE lane l SET holder = :worker, until = :until, served = :now, attempt = attempt + 1
    FROM ready f WHERE l.merchant = f.merchant AND l.kind = f.kind RETURNING l.merchant, l.kind, l.attempt
)
SELECT t.merchant, m.id, t.kind, false, t.attempt FROM taken t JOIN merchant m ON m.number = t.merchant

-- name: next_lease
-- Every merchant: somebody's turn comes when it ends, or when a round has rested.
-- Differs because workers of the embedded store ask all the time.
SELECT least(min(l.until) FILTER (WHERE l.until > :now), min(r.starts_at))
FROM lane l LEFT JOIN round r
  ON r.merchant = l.merchant AND r.kind = l.kind AND r.open AND r.starts_at > 0 AND r.starts_at > :now
WHERE l.open > 0

-- name: open_rounds
-- Differs because where the batch stands is in the same row.
SELECT r.id, b.seq, b.id, r.number, r.round_kind, b.collection, b.policy, r.format, r.packing, r.bytes, b.received_at,
       r.cancelling, EXISTS (
           SELECT 1 FROM round q JOIN batch p ON p.merchant = q.merchant AND p.seq = q.batch
           WHERE q.merchant = r.merchant AND q.kind = r.kind AND q.open AND q.starts_at > 0 AND q.id < r.id
             AND q.starts_at < :held AND p.collection = b.collection
       ),
       r.started_at IS NOT NULL AND b.started_at IS NOT NULL,
       b.seq, b.round, b.portions, b.records, b.total, b.bytes_before, b.bytes_done, b.created, b.updated, b.unchanged,
       b.deleted, b.superseded, b.rejected, b.cancelled, b.warned, b.columns, b.mapping, b.withheld, b.held, b.first_at,
       b.ended, b.ended_at
FROM round r JOIN batch b ON b.merchant = r.merchant AND b.seq = r.batch
WHERE r.merchant = :merchant AND r.kind = :kind AND r.open AND (r.cancelling OR NOT :cancelling)
  AND (r.starts_at <= :now OR r.cancelling)
ORDER BY r.id LIMIT :limit

-- name: start_round
-- Differs because the batches start with their rounds.
WITH started AS (
    UPDATE batch SET started_at = :now
    WHERE merchant = :merchant AND seq = ANY (:batches::bigint[]) AND started_at IS NULL
)
UPDATE round SET started_at = :now
WHERE merchant = :merchant AND id = ANY (:rounds::bigint[]) AND started_at IS NULL

-- name: lease
SELECT written_at FROM lane
WHERE merchant = :merchant AND kind = :kind AND attempt = :attempt AND holder IS NOT NULL

-- name: keep_lane
-- Differs because the fence and the rounds are in one database: this is the last statement of a settle.
UPDATE lane SET written_at = :written_at, open = open - :closed
WHERE merchant = :merchant AND kind = :kind AND attempt = :attempt AND holder IS NOT NULL

-- name: renew_lane
-- Differs because it gives the batches to be cancelled, too: each statement is a way to the server and back.
UPDATE lane SET until = :until
WHERE merchant = :merchant AND kind = :kind AND attempt = :attempt AND holder IS NOT NULL
RETURNING ARRAY(
    SELECT b.id::text FROM round r JOIN batch b ON b.merchant = r.merchant AND b.seq = r.batch
    WHERE r.open AND r.cancelling AND r.merchant = :merchant AND r.kind = :kind
)

-- name: rest_round
UPDATE round SET starts_at = :until
WHERE merchant = :merchant AND open AND number = :round
  AND batch = (SELECT seq FROM batch WHERE merchant = :merchant AND id = :id::uuid)
  AND EXISTS (SELECT 1 FROM lane WHERE merchant = :merchant AND kind = :kind AND attempt = :attempt)

-- name: give_lane_back
UPDATE lane SET until = 0, holder = NULL WHERE merchant = :merchant AND kind = :kind AND attempt = :attempt

-- name: other_lane_waits
-- Every merchant: somebody else's turn has come.
SELECT EXISTS (
    SELECT 1 FROM lane l
    WHERE l.open > 0 AND l.until <= :now AND (l.merchant, l.kind) <> (:merchant, :kind) AND l.open > (
        SELECT count(*) FROM round r
        WHERE r.merchant = l.merchant AND r.kind = l.kind AND r.open AND r.starts_at > 0 AND r.starts_at > :now
    )
)

-- name: start_held
UPDATE round r SET starts_at = 0 FROM batch b
WHERE r.merchant = :merchant AND r.kind = :kind AND r.open AND r.starts_at > 0 AND r.starts_at = :held
  AND b.merchant = r.merchant AND b.seq = r.batch AND b.collection = :collection
  AND (:before::bigint IS NULL OR b.received_at < :before)

-- name: cancel_round
UPDATE round SET cancelling = true
WHERE open AND merchant = :merchant
  AND batch = (SELECT seq FROM batch WHERE merchant = :merchant AND id = :id::uuid)

-- name: end_round
-- Differs because the rounds of one settle end in one statement.
UPDATE round r SET open = false
FROM unnest(:batches::bigint[], :numbers::integer[]) AS e (batch, number)
WHERE r.merchant = :merchant AND r.batch = e.batch AND r.number = e.number AND r.open

-- name: end_batch
-- Differs because how it went is in the same row.
UPDATE batch SET finished_at = ended_at WHERE merchant = :merchant AND seq = ANY (:batches)

-- name: queue_figures
-- Every merchant: figures for metrics.
SELECT (SELECT count(*) FROM lane WHERE open > 0), count(*) - count(r.started_at), count(r.started_at),
       min(CASE WHEN r.started_at IS NULL AND r.starts_at < :held THEN b.received_at END)
FROM round r JOIN batch b ON b.merchant = r.merchant AND b.seq = r.batch WHERE r.open

-- name: lanes
-- Every merchant: for those who run the gate.
SELECT m.id, l.kind, l.open, l.holder, l.until, (
    SELECT b.received_at FROM round r JOIN batch b ON b.merchant = r.merchant AND b.seq = r.batch
    WHERE r.merchant = l.merchant AND r.kind = l.kind AND r.open AND r.started_at IS NULL AND r.starts_at < :held
    ORDER BY r.id LIMIT 1
)
FROM lane l JOIN merchant m ON m.number = l.merchant
WHERE l.open > 0 AND (:id::text IS NULL OR m.id = :id) ORDER BY l.served LIMIT :limit

-- name: leases
-- Every merchant: figures for doctors.
SELECT m.id, l.kind, l.holder, l.until, l.open
FROM lane l JOIN merchant m ON m.number = l.merchant WHERE l.holder IS NOT NULL ORDER BY l.until LIMIT :limit

-- name: put_host
-- Every merchant: hosts belong to none.
-- Differs because one host alone has no other clock to differ from.
INSERT INTO host (name, seen_at, ahead) VALUES (:name, :now, :ahead)
ON CONFLICT (name) DO UPDATE SET seen_at = :now, ahead = :ahead

-- name: hosts
-- Every merchant: hosts belong to none.
-- Differs because one host alone has no other clock to differ from.
SELECT name, ahead FROM host WHERE seen_at > :since ORDER BY name LIMIT :limit

-- =================================================== sweeping ===================================================

-- name: sweep_alone
-- Every merchant: one process at a time sweeps.
-- Differs because others may sweep at the same time.
SELECT pg_try_advisory_xact_lock(:key)

-- name: payloads_due
-- Every merchant: the sweep.
SELECT merchant, seq FROM batch WHERE finished_at < :before AND payload_kept ORDER BY finished_at LIMIT :limit

-- name: payload_uploads
-- Differs because payloads are rows.
SELECT id, upload FROM round WHERE merchant = :merchant AND batch = :seq AND upload IS NOT NULL ORDER BY number

-- name: drop_payload
-- Differs because payloads are rows.
DELETE FROM payload WHERE merchant = :merchant AND upload = :upload::uuid

-- name: drop_some_pieces
-- Differs because payloads are rows, and go in steps.
DELETE FROM payload WHERE merchant = :merchant AND upload = :upload::uuid AND piece IN (
    SELECT piece FROM payload WHERE merchant = :merchant AND upload = :upload::uuid ORDER BY piece LIMIT :limit
)

-- name: forget_upload
-- Differs because payloads are rows.
UPDATE round SET upload = NULL WHERE merchant = :merchant AND id = :round

-- name: mark_payloads
UPDATE batch SET payload_kept = false WHERE merchant = :merchant AND seq = :seq AND finished_at < :before

-- name: uploads_due
-- Every merchant: the sweep. Those marked 0 come first: their pieces are on the way out.
-- Differs because payloads are rows.
SELECT merchant, id FROM upload WHERE touched_at < :before ORDER BY touched_at LIMIT :limit

-- name: mark_upload
-- Differs because payloads are rows.
UPDATE upload SET touched_at = 0 WHERE merchant = :merchant AND id = :upload::uuid AND touched_at < :before

-- name: reports_due
-- Every merchant: the sweep.
SELECT merchant, seq FROM batch WHERE finished_at < :before AND report_kept ORDER BY finished_at LIMIT :limit

-- name: mark_report
UPDATE batch SET report_kept = false WHERE merchant = :merchant AND seq = :seq AND finished_at < :before

-- name: batches_due
-- Every merchant: the sweep.
SELECT merchant, seq FROM batch WHERE finished_at < :before ORDER BY finished_at LIMIT :limit

-- name: mark_leaving
UPDATE batch SET leaving = true WHERE merchant = :merchant AND seq = :seq AND finished_at < :before

-- name: drop_rounds
DELETE FROM round WHERE merchant = :merchant AND batch = :seq

-- name: drop_batch
DELETE FROM batch WHERE merchant = :merchant AND seq = :seq

-- name: drop_answers
-- Every merchant: the sweep.
DELETE FROM answer WHERE (merchant, key) IN (
    SELECT merchant, key FROM answer WHERE made_at < :before AND until < :now ORDER BY made_at LIMIT :limit
    FOR UPDATE SKIP LOCKED
)

-- name: drop_tokens
-- Every merchant: the sweep.
-- Differs because rows have no number of their own.
DELETE FROM token WHERE (merchant, digest) IN (
    SELECT merchant, digest FROM token WHERE until < :now ORDER BY until LIMIT :limit
)

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

-- ==================================================== shelves ===================================================

-- name: shelf
SELECT id, items, marked FROM shelf WHERE merchant = :merchant AND kind = :kind AND collection = :collection

-- name: add_shelf
INSERT INTO shelf (merchant, kind, collection) VALUES (:merchant, :kind, :collection) RETURNING id

-- name: count_items
UPDATE shelf SET items = items + :change, tombstone_at = least(tombstone_at, :tombstone_at::bigint)
WHERE merchant = :merchant AND id = :shelf

-- name: collections
SELECT kind, collection, items FROM shelf WHERE merchant = :merchant AND items > 0 ORDER BY kind, collection

-- name: is_marked
-- Differs because the number of a shelf is known for good, and whether it has marks is not.
SELECT marked FROM shelf WHERE merchant = :merchant AND id = :shelf

-- name: mark_shelf
UPDATE shelf SET marked = true WHERE merchant = :merchant AND id = :shelf

-- ===================================================== items ====================================================

-- name: held
-- With the keys that differ from those asked for by case; which is which, the client tells. OFFSET 0 keeps the planner
-- from turning the look-ups around: without statistics, as after a first load, it would read the whole shelf for each.
-- Behind row-level security an index is used only where no function sees a row before the policy has, so that `folded`
-- is a column of its own.
SELECT i.key, i.hash, i.version, i.batch, NULL
FROM (SELECT value, lower(value COLLATE "C") AS folded FROM json_array_elements_text(:keys::json) OFFSET 0) w
CROSS JOIN LATERAL (
    SELECT key, hash, version, batch FROM item
    WHERE merchant = :merchant AND shelf = :shelf AND folded = w.folded OFFSET 0
) i

-- name: count_between
-- Differs because a server looks up thousands of neighbours in one go for much less than one by one; this tells how many
-- there are, up to a limit. ORDER BY keeps the planner from gathering the whole stretch of the index first.
SELECT count(*) FROM (
    SELECT FROM item WHERE merchant = :merchant AND shelf = :shelf AND folded BETWEEN :least AND :most
    ORDER BY folded LIMIT :limit
) i

-- name: held_between
-- Differs because a server looks up thousands of neighbours in one go for much less than one by one.
SELECT key, hash, version, batch, NULL FROM item
WHERE merchant = :merchant AND shelf = :shelf AND folded BETWEEN :least AND :most ORDER BY folded

-- name: held_otherwise
-- Differs because items that are held as they come do not travel from the server; all other neighbours do, and each key
-- under which nothing is held. A FULL JOIN is never done key by key, with or without statistics. The hashes lie one
-- behind the other: to send an array of them costs the client more than to read the rows.
SELECT w.value, i.key, i.hash, i.version, i.batch, NULL
FROM (
    SELECT key, hash, version, batch FROM item
    WHERE merchant = :merchant AND shelf = :shelf AND folded BETWEEN :least AND :most OFFSET 0
) i FULL JOIN (
    SELECT value, substring(:hashes::bytea, 16 * ordinality::integer - 15, 16) AS hash
    FROM json_array_elements_text(:keys::json) WITH ORDINALITY
) w ON i.key = w.value COLLATE "C"
WHERE (uuid_send(i.hash) = w.hash AND i.version IS NULL AND i.batch <> :batch::uuid) IS NOT TRUE

-- name: held_documents
SELECT i.key, i.hash, i.version, i.batch, i.document
FROM (SELECT value, lower(value COLLATE "C") AS folded FROM json_array_elements_text(:keys::json) OFFSET 0) w
CROSS JOIN LATERAL (
    SELECT key, hash, version, batch, document FROM item
    WHERE merchant = :merchant AND shelf = :shelf AND folded = w.folded OFFSET 0
) i

-- name: live_among
-- Differs because rows that are there are changed by other means than rows that are not.
SELECT i.key, i.live
FROM (SELECT value, lower(value COLLATE "C") AS folded FROM json_array_elements_text(:keys::json) OFFSET 0) w
CROSS JOIN LATERAL (
    SELECT key, hash IS NOT NULL AS live FROM item
    WHERE merchant = :merchant AND shelf = :shelf AND folded = w.folded AND key = w.value COLLATE "C" OFFSET 0
) i

-- name: items
SELECT key, document, version, batch, written_at FROM item
WHERE merchant = :merchant AND shelf = :shelf
  AND (folded, key) > (lower(:from::text COLLATE "C"), :after::text COLLATE "C") AND hash IS NOT NULL
ORDER BY folded, key LIMIT :limit

-- name: items_of_prefix
SELECT key, document, version, batch, written_at FROM item
WHERE merchant = :merchant AND shelf = :shelf
  AND (folded, key) > (lower(:from::text COLLATE "C"), :after::text COLLATE "C")
  AND folded < lower(:prefix::text COLLATE "C") || chr(1114111) AND starts_with(key, :prefix) AND hash IS NOT NULL
ORDER BY folded, key LIMIT :limit

-- name: item
SELECT key, document, version, batch, written_at FROM item
WHERE merchant = :merchant AND shelf = :shelf AND folded = lower(:key::text COLLATE "C")
  AND key = :key::text COLLATE "C" AND hash IS NOT NULL

-- name: copy_items
-- Differs because what is new goes in by COPY; its rows name the merchant.
-- Every merchant: COPY says so of each row.
COPY item (merchant, shelf, key, hash, version, batch, written_at, document) FROM STDIN (FORMAT binary)

-- name: make_staged
-- Every merchant: a table of this transaction alone.
-- Differs because what has changed comes by a temporary table.
CREATE TEMPORARY TABLE IF NOT EXISTS staged (
    merchant bigint, shelf bigint, key text COLLATE "C", hash uuid, version bigint, batch uuid, written_at bigint,
    document json
) ON COMMIT DELETE ROWS

-- name: copy_staged
-- Every merchant: COPY says so of each row.
-- Differs because what has changed comes by a temporary table.
COPY pg_temp.staged (merchant, shelf, key, hash, version, batch, written_at, document) FROM STDIN (FORMAT binary)

-- name: write_items
-- Differs because what has changed comes by a temporary table. Whichever row it is, the index says and not a plan.
INSERT INTO item (merchant, shelf, key, hash, version, batch, written_at, document)
SELECT merchant, shelf, key, hash, version, batch, written_at, document FROM pg_temp.staged WHERE merchant = :merchant
ON CONFLICT (merchant, shelf, folded, key) DO UPDATE
SET hash = excluded.hash, version = excluded.version, batch = excluded.batch, written_at = excluded.written_at,
    document = excluded.document

-- name: clear_staged
-- Every merchant: a table of this transaction alone.
-- Differs because what has changed comes by a temporary table.
TRUNCATE pg_temp.staged

-- name: delete_items
-- Differs because many go in one statement. They are looked up one by one, see `held`; nobody else writes them.
DELETE FROM item WHERE merchant = :merchant AND ctid = ANY (ARRAY (
    SELECT i.ctid
    FROM (SELECT value, lower(value COLLATE "C") AS folded FROM json_array_elements_text(:keys::json) OFFSET 0) w
    CROSS JOIN LATERAL (
        SELECT ctid FROM item
        WHERE merchant = :merchant AND shelf = :shelf AND folded = w.folded AND key = w.value COLLATE "C" OFFSET 0
    ) i
))

-- ===================================================== marks ====================================================

-- name: marks_of
SELECT m.key, m.marks
FROM (SELECT value FROM json_array_elements_text(:keys::json) OFFSET 0) w
CROSS JOIN LATERAL (
    SELECT key, marks FROM item_marks
    WHERE merchant = :merchant AND shelf = :shelf AND key = w.value COLLATE "C" OFFSET 0
) m

-- name: marked
SELECT w.name, w.value, m.key FROM unnest(:names::text[], :texts::text[]) AS w (name, value)
CROSS JOIN LATERAL (
    SELECT key FROM mark
    WHERE merchant = :merchant AND shelf = :shelf AND name = w.name AND value = w.value OFFSET 0
) m ORDER BY w.name, w.value, m.key

-- name: count_marks
-- IN, not EXISTS: the items that are among those asked for are looked for once.
SELECT count(*) FROM mark
WHERE merchant = :merchant AND shelf = :shelf AND name = :name AND (:demands = 0 OR key IN (
    SELECT m.key FROM unnest(:at::int[], :names::text[], :minimums::text[], :maximums::text[], :containss::text[])
        AS w (at, name, least, most, text)
    JOIN mark m ON m.merchant = :merchant AND m.shelf = :shelf AND m.name = w.name
        AND m.value BETWEEN w.least AND w.most AND strpos(m.value, w.text) > 0
    GROUP BY m.key HAVING count(DISTINCT w.at) = :demands
))

-- name: marks
SELECT value, key FROM mark
WHERE merchant = :merchant AND shelf = :shelf AND name = :name AND (:demands = 0 OR key IN (
    SELECT m.key FROM unnest(:at::int[], :names::text[], :minimums::text[], :maximums::text[], :containss::text[])
        AS w (at, name, least, most, text)
    JOIN mark m ON m.merchant = :merchant AND m.shelf = :shelf AND m.name = w.name
        AND m.value BETWEEN w.least AND w.most AND strpos(m.value, w.text) > 0
    GROUP BY m.key HAVING count(DISTINCT w.at) = :demands
))
ORDER BY value, key LIMIT :limit OFFSET :offset

-- name: marks_backwards
SELECT value, key FROM mark
WHERE merchant = :merchant AND shelf = :shelf AND name = :name AND (:demands = 0 OR key IN (
    SELECT m.key FROM unnest(:at::int[], :names::text[], :minimums::text[], :maximums::text[], :containss::text[])
        AS w (at, name, least, most, text)
    JOIN mark m ON m.merchant = :merchant AND m.shelf = :shelf AND m.name = w.name
        AND m.value BETWEEN w.least AND w.most AND strpos(m.value, w.text) > 0
    GROUP BY m.key HAVING count(DISTINCT w.at) = :demands
))
ORDER BY value DESC, key DESC LIMIT :limit OFFSET :offset

-- name: drop_mark
-- Differs because many go in one statement.
DELETE FROM mark WHERE merchant = :merchant AND ctid = ANY (ARRAY (
    SELECT m.ctid FROM unnest(:names::text[], :texts::text[], :keys::text[]) AS w (name, value, key)
    CROSS JOIN LATERAL (
        SELECT ctid FROM mark
        WHERE merchant = :merchant AND shelf = :shelf AND name = w.name AND value = w.value AND key = w.key OFFSET 0
    ) m
))

-- name: add_mark
-- Differs because many go in one statement.
INSERT INTO mark (merchant, shelf, name, value, key)
SELECT :merchant, :shelf, g.name, g.value, g.key
FROM unnest(:names::text[], :texts::text[], :keys::text[]) AS g (name, value, key)

-- name: put_item_marks
-- Differs because many go in one statement.
INSERT INTO item_marks (merchant, shelf, key, marks)
SELECT :merchant, :shelf, g.key, g.marks::json FROM unnest(:keys::text[], :marks::text[]) AS g (key, marks)
ON CONFLICT (merchant, shelf, key) DO UPDATE SET marks = excluded.marks

-- name: drop_item_marks
-- Differs because many go in one statement.
DELETE FROM item_marks WHERE merchant = :merchant AND ctid = ANY (ARRAY (
    SELECT m.ctid FROM unnest(:keys::text[]) AS w (key) CROSS JOIN LATERAL (
        SELECT ctid FROM item_marks WHERE merchant = :merchant AND shelf = :shelf AND key = w.key OFFSET 0
    ) m
))

-- ==================================================== stock =====================================================

-- name: move_shelf
UPDATE shelf SET moved = true WHERE merchant = :merchant AND id = :shelf AND NOT moved

-- name: is_moved
-- A first movement waits until what asked for it is committed.
SELECT moved FROM shelf WHERE merchant = :merchant AND id = :shelf FOR SHARE

-- name: hold_items
-- Differs because others write at the same time: the rows are held, in the order of the keys. See `held`.
SELECT i.key, i.hash
FROM (SELECT value, lower(value COLLATE "C") AS folded FROM json_array_elements_text(:keys::json) OFFSET 0) w
CROSS JOIN LATERAL (
    SELECT key, hash FROM item
    WHERE merchant = :merchant AND shelf = :shelf AND folded = w.folded AND key = w.value COLLATE "C" OFFSET 0
    FOR UPDATE
) i

-- name: hold_reserved
-- Differs because others write at the same time: what is reserved of an item that is gone is held by its own row.
SELECT r.key
FROM (SELECT value FROM json_array_elements_text(:keys::json) OFFSET 0) w
CROSS JOIN LATERAL (
    SELECT key FROM reserved WHERE merchant = :merchant AND shelf = :shelf AND key = w.value COLLATE "C" OFFSET 0
    FOR UPDATE
) r

-- name: stock
SELECT w.value, i.document, r.amount
FROM (SELECT value, lower(value COLLATE "C") AS folded FROM json_array_elements_text(:keys::json) OFFSET 0) w
LEFT JOIN LATERAL (
    SELECT document FROM item
    WHERE merchant = :merchant AND shelf = :shelf AND folded = w.folded AND key = w.value COLLATE "C" OFFSET 0
) i ON true
LEFT JOIN LATERAL (
    SELECT amount FROM reserved WHERE merchant = :merchant AND shelf = :shelf AND key = w.value COLLATE "C" OFFSET 0
) r ON true

-- name: hold_stock_order
-- Differs because others write at the same time: two movements of one order wait for each other, the first one too.
INSERT INTO stock_order (merchant, shelf, name) VALUES (:merchant, :shelf, :name)
ON CONFLICT (merchant, shelf, name) DO UPDATE SET name = excluded.name RETURNING memory

-- name: put_stock_order
UPDATE stock_order SET memory = :memory, ended_at = :ended_at
WHERE merchant = :merchant AND shelf = :shelf AND name = :name

-- name: move_items
-- Differs because several go in one statement.
UPDATE item i SET hash = m.hash, document = m.document::json
FROM (
    SELECT key, lower(key COLLATE "C") AS folded, hash, document
    FROM unnest(:keys::text[], :hashes::uuid[], :documents::text[]) AS u (key, hash, document) OFFSET 0
) m
WHERE i.merchant = :merchant AND i.shelf = :shelf AND i.folded = m.folded AND i.key = m.key COLLATE "C"
  AND i.hash IS NOT NULL

-- name: put_reserved
-- Differs because several go in one statement.
INSERT INTO reserved (merchant, shelf, key, amount)
SELECT :merchant, :shelf, u.key, u.amount FROM unnest(:keys::text[], :amounts::bigint[]) AS u (key, amount)
ON CONFLICT (merchant, shelf, key) DO UPDATE SET amount = excluded.amount

-- name: drop_reserved
-- Differs because several go in one statement.
DELETE FROM reserved WHERE merchant = :merchant AND shelf = :shelf AND key = ANY (:keys::text[])

-- =================================================== progress ===================================================

-- name: hold_batches
-- Differs because a worker that was cut off may still be writing: what follows waits for it.
SELECT id, seq, round, portions, records, total, bytes_before, bytes_done, created, updated, unchanged, deleted,
       superseded, rejected, cancelled, warned, columns, mapping, withheld, held, first_at, ended, ended_at
FROM batch WHERE merchant = :merchant AND id = ANY (:batches::uuid[]) ORDER BY seq FOR UPDATE

-- name: progress
-- Differs because it is part of the batch's row.
SELECT seq, round, portions, records, total, bytes_before, bytes_done, created, updated, unchanged, deleted,
       superseded, rejected, cancelled, warned, columns, mapping, withheld, held, first_at, ended, ended_at
FROM batch WHERE merchant = :merchant AND id = :id::uuid AND round IS NOT NULL

-- name: tally
INSERT INTO tally (merchant, name, count)
SELECT :merchant, t.counted ->> 0, (t.counted ->> 1)::bigint FROM json_array_elements(:counts::json) AS t (counted)
ON CONFLICT (merchant, name) DO UPDATE SET count = tally.count + excluded.count

-- name: tallies
-- Every merchant: figures for metrics.
SELECT name, sum(count)::bigint FROM tally GROUP BY name

-- name: move_progress
-- Differs because the batches of one settle move in one statement.
UPDATE batch b
SET round = p.round, portions = p.portions, records = p.records, total = p.total, bytes_before = p.bytes_before,
    bytes_done = p.bytes_done, created = p.created, updated = p.updated, unchanged = p.unchanged, deleted = p.deleted,
    superseded = p.superseded, rejected = p.rejected, cancelled = p.cancelled, warned = p.warned,
    columns = p.columns::json, mapping = p.mapping::json, withheld = p.withheld::json, held = p.held,
    first_at = p.first_at, ended = p.ended, ended_at = p.ended_at
FROM json_to_recordset(:rows::json) AS p (
    seq bigint, round integer, portions integer, records bigint, total bigint, bytes_before bigint, bytes_done bigint,
    created bigint, updated bigint, unchanged bigint, deleted bigint, superseded bigint, rejected bigint,
    cancelled bigint, warned bigint, columns text, mapping text, withheld text, held bigint, first_at bigint,
    ended text, ended_at bigint
)
WHERE b.merchant = :merchant AND b.seq = p.seq

-- ==================================================== results ===================================================

-- name: add_portion
-- Differs because several go in one statement, and TOAST keeps results and keys apart.
INSERT INTO portion (merchant, batch, first, results, keys)
SELECT :merchant, p.batch, p.first, p.results, p.keys
FROM unnest(:batches::bigint[], :firsts::bigint[], :results::bytea[], :keys::bytea[])
    AS p (batch, first, results, keys)

-- name: portion_of_record
SELECT first, results, keys FROM portion
WHERE merchant = :merchant AND batch = :batch AND first <= :number ORDER BY first DESC LIMIT 1

-- name: portions_after
SELECT first, results FROM portion
WHERE merchant = :merchant AND batch = :batch AND first > :after ORDER BY first

-- name: portions_from
-- Differs because the client reads all that the server sends: it asks for a few at a time.
SELECT first, results FROM portion
WHERE merchant = :merchant AND batch = :batch AND first >= coalesce(
    (SELECT max(first) FROM portion WHERE merchant = :merchant AND batch = :batch AND first <= :number), 0
) ORDER BY first LIMIT :limit

-- name: portion_keys
SELECT keys FROM portion WHERE merchant = :merchant AND batch = :batch AND first = :first

-- name: set_results
UPDATE portion SET results = :results WHERE merchant = :merchant AND batch = :batch AND first = :first

-- name: set_portion_keys
UPDATE portion SET keys = :keys WHERE merchant = :merchant AND batch = :batch AND first = :first

-- =================================================== findings ===================================================

-- name: copy_findings
-- Every merchant: COPY says so of each row.
-- Differs because they go in by COPY, and TOAST keeps long records apart.
COPY finding (merchant, batch, number, place, key, result, refused, severities, codes, issues, raw) FROM STDIN

-- name: findings_among
SELECT f.number, f.issues FROM unnest(:numbers::bigint[]) AS w (number) CROSS JOIN LATERAL (
    SELECT number, issues FROM finding WHERE merchant = :merchant AND batch = :batch AND number = w.number OFFSET 0
) f

-- name: drop_findings
-- Differs because what goes is told by the same statement.
DELETE FROM finding WHERE merchant = :merchant AND ctid = ANY (ARRAY (
    SELECT f.ctid FROM unnest(:numbers::bigint[]) AS w (number) CROSS JOIN LATERAL (
        SELECT ctid FROM finding WHERE merchant = :merchant AND batch = :batch AND number = w.number OFFSET 0
    ) f
)) RETURNING issues

-- name: rejected
-- Differs because the client reads all that the server sends: behind so many bytes there is no other record.
SELECT number, place, key, result, issues, raw FROM (
    SELECT number, place, key, result, issues, raw,
           sum(length(raw)) OVER (ORDER BY number) - length(raw) AS bytes_before
    FROM (
        SELECT number, place, key, result, issues, raw FROM finding
        WHERE merchant = :merchant AND batch = :batch AND number > :after AND refused AND result = :rejected
        ORDER BY number LIMIT :limit
    ) page
) summed
WHERE bytes_before < :bytes_max ORDER BY number

-- name: rejected_among
SELECT f.number, f.place, f.key, f.result, f.issues, f.raw
FROM unnest(:numbers::bigint[]) AS w (number) CROSS JOIN LATERAL (
    SELECT number, place, key, result, issues, raw FROM finding
    WHERE merchant = :merchant AND batch = :batch AND number = w.number AND result = :rejected OFFSET 0
) f

-- name: findings
SELECT number, place, key, result, issues FROM finding
WHERE merchant = :merchant AND batch = :batch AND number > :after
  AND (:code::text IS NULL OR strpos(codes, :code) > 0)
  AND (:severity::text IS NULL OR strpos(severities, :severity) > 0)
ORDER BY number LIMIT :limit

-- name: findings_refused
SELECT number, place, key, result, issues FROM finding
WHERE merchant = :merchant AND batch = :batch AND number > :after AND refused
  AND (:code::text IS NULL OR strpos(codes, :code) > 0) AND strpos(severities, :severity) > 0
ORDER BY number LIMIT :limit

-- name: findings_of_key
SELECT b.id, f.number, f.place, f.key, f.result, f.issues
FROM finding f JOIN batch b ON b.merchant = f.merchant AND b.seq = f.batch
WHERE f.merchant = :merchant AND f.stem = left(:key, 64) AND f.key = :key
ORDER BY f.batch DESC, f.number LIMIT :limit

-- name: group
SELECT g.batch, g.code, g.severity, g.field, g.count, g.top
FROM unnest(:batches::bigint[], :codes::text[], :severities::text[], :fields::text[])
    AS n (batch, code, severity, field)
JOIN issue_group g ON g.merchant = :merchant AND g.batch = n.batch AND g.code = n.code AND g.severity = n.severity
    AND g.field = n.field

-- name: put_group
INSERT INTO issue_group (merchant, batch, code, severity, field, count, top)
SELECT :merchant, n.batch, n.code, n.severity, n.field, n.count, n.top::json
FROM unnest(:batches::bigint[], :codes::text[], :severities::text[], :fields::text[], :counts::bigint[], :tops::text[])
    AS n (batch, code, severity, field, count, top)
ON CONFLICT (merchant, batch, code, severity, field) DO UPDATE SET count = excluded.count, top = excluded.top

-- name: drop_group
DELETE FROM issue_group g
USING unnest(:batches::bigint[], :codes::text[], :severities::text[], :fields::text[])
    AS n (batch, code, severity, field)
WHERE g.merchant = :merchant AND g.batch = n.batch AND g.code = n.code AND g.severity = n.severity
  AND g.field = n.field

-- name: groups
SELECT g.code, g.severity, g.field, g.count, g.top
FROM batch b JOIN issue_group g ON g.merchant = b.merchant AND g.batch = b.seq
WHERE b.merchant = :merchant AND b.id = :batch::uuid AND NOT b.leaving
ORDER BY g.count DESC, g.code, g.severity, g.field LIMIT :limit

-- ============================================ keys of a batch, scratch ==========================================

-- name: make_scratch
-- Every merchant: a file of this process alone, of one batch.
-- Differs because it is a database of its own, in SQLite: a pool between here and the server keeps no temporary table.
CREATE TABLE scratch (key TEXT PRIMARY KEY) WITHOUT ROWID

-- name: fill_scratch
-- Every merchant: a file of this process alone, of one batch.
-- Differs because it is a database of its own, in SQLite.
INSERT OR IGNORE INTO scratch (key) SELECT value FROM json_each(:keys)

-- name: seen
-- Every merchant: a file of this process alone, of one batch.
-- Differs because it is a database of its own, in SQLite.
SELECT s.key FROM json_each(:keys) j CROSS JOIN scratch s ON s.key = j.value

-- name: missing
-- Differs because the keys of the feed are with the client: it compares.
SELECT key FROM item
WHERE merchant = :merchant AND shelf = :shelf
  AND (folded, key) > (lower(:after::text COLLATE "C"), :after::text COLLATE "C")
  AND hash IS NOT NULL AND written_at < :first_at
ORDER BY folded, key LIMIT :limit

-- ================================================ sweeping, reports =============================================

-- name: drop_some_findings
-- Differs because rows have no number of their own.
DELETE FROM finding WHERE merchant = :merchant AND batch = :batch AND number IN (
    SELECT number FROM finding WHERE merchant = :merchant AND batch = :batch ORDER BY number LIMIT :limit
)

-- name: drop_some_portions
DELETE FROM portion WHERE merchant = :merchant AND batch = :batch AND first IN (
    SELECT first FROM portion WHERE merchant = :merchant AND batch = :batch ORDER BY first LIMIT :limit
)

-- name: drop_some_groups
DELETE FROM issue_group WHERE merchant = :merchant AND batch = :batch AND (code, severity, field) IN (
    SELECT code, severity, field FROM issue_group WHERE merchant = :merchant AND batch = :batch LIMIT :limit
)

-- name: drop_stock_orders
-- Every merchant: the sweep.
DELETE FROM stock_order WHERE ended_at < :before AND (merchant, shelf, name) IN (
    SELECT merchant, shelf, name FROM stock_order WHERE ended_at < :before ORDER BY ended_at LIMIT :limit
)

-- name: tombstones_due
-- Every merchant: the sweep.
-- Differs because items are never looked at without their merchant: the shelf says whether it has any.
SELECT merchant, id FROM shelf WHERE tombstone_at < :before LIMIT :limit

-- name: drop_tombstones
-- Differs because rows have no number of their own.
DELETE FROM item WHERE merchant = :merchant AND shelf = :shelf AND hash IS NULL AND (folded, key) IN (
    SELECT folded, key FROM item
    WHERE merchant = :merchant AND shelf = :shelf AND hash IS NULL AND written_at < :before
    ORDER BY written_at LIMIT :limit
)

-- name: mark_tombstones
-- Differs because the shelf says whether it has any.
UPDATE shelf SET tombstone_at = (
    SELECT min(written_at) FROM item WHERE merchant = :merchant AND shelf = shelf.id AND hash IS NULL
) WHERE merchant = :merchant AND id = :shelf
