-- Every statement of the PostgreSQL store, by name, in the order of the embedded store's. Each is limited to one
-- merchant, or says on a line "-- Every merchant: …" why it is not (tested). Where a statement or its name differs
-- from the embedded store's, a comment begins "-- Differs because".

-- ================================================ merchants, keys ===============================================

-- name: merchant_number
-- Every merchant: the id is looked up among all.
SELECT number FROM merchant WHERE id = :id

-- name: add_merchant
-- Every merchant: the new one is not one of them yet.
INSERT INTO merchant (number, id, name, created_at) VALUES (:number, :id, :name, :created_at)
ON CONFLICT (id) DO NOTHING

-- name: rename_merchant
UPDATE merchant SET name = :name WHERE number = :merchant

-- name: merchant
SELECT id, name, created_at FROM merchant WHERE number = :merchant

-- name: merchants
-- Every merchant: it is the list of merchants.
SELECT id, name, created_at FROM merchant WHERE id > :after ORDER BY id LIMIT :limit

-- name: add_key
INSERT INTO credential (
    merchant, id, digest, scopes, label, created_at, revoked_at, settings, expires_at, previous_digest, previous_until,
    used_on
) VALUES (
    :merchant, :id, :digest, :scopes, :label, :created_at, :revoked_at, :settings, :expires_at, :previous_digest,
    :previous_until, :used_on
)

-- name: key_of_digest
-- Every merchant: the key tells which one it is.
SELECT m.id, c.id, c.digest, c.scopes, c.label, c.created_at, c.revoked_at, c.settings, c.expires_at, c.previous_digest,
       c.previous_until, c.used_on
FROM credential c JOIN merchant m ON m.number = c.merchant WHERE c.digest = :digest OR c.previous_digest = :digest

-- name: keys
SELECT m.id, c.id, c.digest, c.scopes, c.label, c.created_at, c.revoked_at, c.settings, c.expires_at, c.previous_digest,
       c.previous_until, c.used_on
FROM credential c JOIN merchant m ON m.number = c.merchant WHERE c.merchant = :merchant ORDER BY c.created_at, c.id

-- name: key_of_id
SELECT m.id, c.id, c.digest, c.scopes, c.label, c.created_at, c.revoked_at, c.settings, c.expires_at, c.previous_digest,
       c.previous_until, c.used_on
FROM credential c JOIN merchant m ON m.number = c.merchant WHERE c.merchant = :merchant AND c.id = :id

-- name: change_key
UPDATE credential SET scopes = :scopes, label = :label, expires_at = :expires_at
WHERE merchant = :merchant AND id = :id AND revoked_at IS NULL

-- name: rotate_key
UPDATE credential SET previous_digest = digest, previous_until = :previous_until, digest = :digest
WHERE merchant = :merchant AND id = :id AND revoked_at IS NULL

-- name: mark_key_used
UPDATE credential SET used_on = :day
WHERE merchant = :merchant AND id = :id AND (used_on IS NULL OR used_on < :day)

-- name: revoke_key
UPDATE credential SET revoked_at = :now WHERE merchant = :merchant AND id = :id AND revoked_at IS NULL

-- name: add_token
INSERT INTO token (digest, merchant, key, created_at, expires_at)
VALUES (:digest, :merchant, :key, :created_at, :expires_at)

-- name: token_of_digest
-- Every merchant: the token tells which one it is.
SELECT m.id, c.id, c.digest, c.scopes, c.label, c.created_at, c.revoked_at, c.settings, c.expires_at, c.previous_digest,
       c.previous_until, c.used_on, t.created_at, t.expires_at
FROM token t JOIN credential c ON c.merchant = t.merchant AND c.id = t.key JOIN merchant m ON m.number = t.merchant
WHERE t.digest = :digest

-- name: delete_token
-- Every merchant: the token tells which one it is.
DELETE FROM token WHERE digest = :digest

-- name: add_secret
-- Every merchant: it belongs to the installation.
INSERT INTO secret (name, bytes) VALUES (:name, :bytes) ON CONFLICT (name) DO NOTHING

-- name: secret
-- Every merchant: it belongs to the installation.
SELECT bytes FROM secret WHERE name = :name

-- ================================================== reference ===================================================

-- name: next_reference_version
-- The time, so that a restored backup does not use a version again that processes have cached.
UPDATE merchant SET reference_version = greatest(reference_version + 1, :now) WHERE number = :merchant
RETURNING reference_version

-- name: put_entries
INSERT INTO reference_entry (merchant, kind, code, name, parent, data, folded, version)
SELECT :merchant, :kind, e ->> 0, e ->> 1, e ->> 2, (e ->> 3)::json, e ->> 4, :version
FROM json_array_elements(:entries::json) AS e
ON CONFLICT (merchant, kind, code) DO UPDATE
SET name = excluded.name, parent = excluded.parent, data = excluded.data, folded = excluded.folded,
    version = excluded.version

-- name: delete_older_entries
DELETE FROM reference_entry WHERE merchant = :merchant AND kind = :kind AND version < :version

-- name: count_entries
SELECT count(*) FROM reference_entry WHERE merchant = :merchant AND kind = :kind

-- name: entries
SELECT code, name, parent, data FROM reference_entry
WHERE merchant = :merchant AND kind = :kind AND code > :after AND (:search = '' OR strpos(folded, :search) > 0)
ORDER BY code LIMIT :limit

-- name: reference_version
SELECT reference_version FROM merchant WHERE number = :merchant

-- ==================================================== audit =====================================================

-- name: lock_audit_head
INSERT INTO audit_head (merchant, number, hash) VALUES (:merchant, 0, :hash)
ON CONFLICT (merchant) DO UPDATE SET number = audit_head.number RETURNING number, hash

-- name: move_audit_head
UPDATE audit_head SET number = :number, hash = :hash WHERE merchant = :merchant

-- name: add_audit_entry
INSERT INTO audit_entry (merchant, number, at, action, subject, actor, address, request, detail, hash)
VALUES (:merchant, :number, :at, :action, :subject, :actor, :address, :request, :detail, :hash)

-- name: audit_entries
SELECT number, at, action, subject, actor, address, request, detail, hash FROM audit_entry
WHERE merchant = :merchant AND number > :after AND at >= :since AND at < :until
  AND (:action = '' OR action = :action OR substr(action, 1, length(:action) + 1) = :action || '.')
  AND (:actor = '' OR substr(actor, 1, length(:actor)) = :actor)
ORDER BY number LIMIT :limit

-- name: newest_audit_entries
SELECT number, at, action, subject, actor, address, request, detail, hash FROM audit_entry
WHERE merchant = :merchant AND number < :after AND at >= :since AND at < :until
  AND (:action = '' OR action = :action OR substr(action, 1, length(:action) + 1) = :action || '.')
  AND (:actor = '' OR substr(actor, 1, length(:actor)) = :actor)
ORDER BY number DESC LIMIT :limit

-- name: audit_due
-- Every merchant: the sweep looks for what is past its retention.
SELECT DISTINCT a.merchant, coalesce(m.id, '') FROM audit_entry a LEFT JOIN merchant m ON m.number = a.merchant
WHERE a.at < :before LIMIT :limit

-- name: oldest_audit_entries
SELECT number, hash FROM audit_entry WHERE merchant = :merchant AND at < :before ORDER BY number LIMIT :limit

-- name: delete_audit_entries
DELETE FROM audit_entry WHERE merchant = :merchant AND number <= :number

-- =================================================== resources ==================================================

-- name: next_number
INSERT INTO numbering (merchant, type, last) VALUES (:merchant, :type, :count)
ON CONFLICT (merchant, type) DO UPDATE SET last = numbering.last + :count RETURNING last

-- name: next_common_number
-- Every merchant: the number is unique in the installation.
INSERT INTO common_numbering (type, last) VALUES (:type, 1)
ON CONFLICT (type) DO UPDATE SET last = common_numbering.last + 1 RETURNING last

-- name: last_number
-- Differs because others write at the same time, and have to wait.
SELECT last FROM numbering WHERE merchant = :merchant AND type = :type FOR UPDATE

-- name: delete_expired_resources
DELETE FROM resource WHERE merchant = :merchant AND type = :type AND expires_at <= :now

-- name: resource_by_name
SELECT number FROM resource WHERE merchant = :merchant AND type = :type AND name = :name

-- name: count_resources
SELECT count(*) FROM resource WHERE merchant = :merchant AND type = :type AND expires_at IS NULL

-- name: add_resource
INSERT INTO resource (merchant, type, number, version, name, body, expires_at)
VALUES (:merchant, :type, :number, 1, :name, :body, :expires_at)

-- name: put_resource
UPDATE resource SET version = version + 1, name = :name, body = :body, expires_at = :expires_at
WHERE merchant = :merchant AND type = :type AND number = :number AND version = :version

-- name: resource
SELECT number, version, name, body, expires_at FROM resource
WHERE merchant = :merchant AND type = :type AND number = :number AND (expires_at IS NULL OR expires_at > :now)

-- name: resources
SELECT number, version, name, body, expires_at FROM resource
WHERE merchant = :merchant AND type = :type AND number > :after AND expires_at IS NULL ORDER BY number LIMIT :limit

-- name: delete_labels
DELETE FROM label WHERE merchant = :merchant AND type = :type AND number = :number

-- name: add_label
INSERT INTO label (merchant, type, label, position, number) VALUES (:merchant, :type, :label, :position, :number)

-- name: labelled_resources
-- Every merchant: for webhooks.
SELECT o.id, l.number FROM label AS l JOIN merchant AS o ON o.number = l.merchant
WHERE l.type = 'native/webhook' AND l.type = :type AND l.label = :label

-- name: resources_by_label
SELECT r.number, r.version, r.name, r.body, r.expires_at FROM label AS l
JOIN resource AS r ON r.merchant = l.merchant AND r.type = l.type AND r.number = l.number
WHERE l.merchant = :merchant AND l.type = :type AND l.label = :label AND l.position BETWEEN :since AND :until
    AND (r.expires_at IS NULL OR r.expires_at > :now)
ORDER BY l.position, l.number LIMIT :limit OFFSET :offset

-- =================================================== messages ===================================================

-- name: subscribers
-- The resources of a type that have one of the labels, by label.
SELECT label, number FROM label
WHERE merchant = :merchant AND type = :type AND label IN (SELECT json_array_elements_text(:labels::json))
ORDER BY number

-- name: has_labels
SELECT 1 FROM label WHERE merchant = :merchant AND type = :type LIMIT 1

-- name: add_messages
-- One in order is due if no other waits in its queue.
INSERT INTO message (merchant, number, topic, subject, body, created_at, due_at, in_order)
SELECT :merchant, (m ->> 0)::bigint, m ->> 1, m ->> 2, (m ->> 3)::json, :now,
       CASE WHEN (m ->> 5)::boolean AND EXISTS (
           SELECT 1 FROM message q WHERE q.merchant = :merchant AND q.topic = m ->> 1 AND q.subject = m ->> 2
               AND q.in_order AND q.due_at IS NOT NULL
       ) THEN :behind ELSE (m ->> 4)::bigint END,
       (m ->> 5)::boolean
FROM json_array_elements(:messages::json) AS m

-- name: due_merchants
-- Every merchant: they take turns. Steps from one to the next in the index, however many messages each has.
WITH RECURSIVE w (merchant) AS (
    SELECT min(merchant) FROM message WHERE due_at IS NOT NULL AND merchant > :after
    UNION ALL
    SELECT (SELECT min(m.merchant) FROM message m WHERE m.due_at IS NOT NULL AND m.merchant > w.merchant)
    FROM w WHERE w.merchant IS NOT NULL
)
SELECT o.number, o.id FROM w CROSS JOIN merchant o
WHERE o.number = w.merchant AND w.merchant NOT IN (
    SELECT value::bigint FROM json_array_elements_text(:without::json)
) AND EXISTS (
    SELECT 1 FROM message d WHERE d.merchant = w.merchant AND d.due_at <= :now
)
ORDER BY o.number LIMIT :limit

-- name: claim_message
-- Differs because others claim at the same time: rows that they have locked are skipped.
UPDATE message SET due_at = :until, attempts = attempts + 1
WHERE merchant = :merchant AND number = (
    SELECT number FROM message WHERE merchant = :merchant AND due_at <= :now ORDER BY due_at, number LIMIT 1
    FOR UPDATE SKIP LOCKED
)
RETURNING number, topic, subject, body, created_at, attempts, due_at, in_order, sent_at, given_up_at, last_error,
          history::text

-- name: mark_message_sent
UPDATE message SET sent_at = :now, given_up_at = NULL, due_at = NULL, last_error = '',
                   history = history || :attempt::jsonb
WHERE merchant = :merchant AND number = :number AND sent_at IS NULL

-- name: postpone_message
UPDATE message SET due_at = :due_at, last_error = :last_error, in_order = in_order AND NOT :leave_queue::boolean,
                   history = history || :attempt::jsonb
WHERE merchant = :merchant AND number = :number AND attempts = :attempts AND due_at IS NOT NULL

-- name: give_up_message
UPDATE message SET given_up_at = :now, due_at = NULL, last_error = :last_error,
                   history = history || :attempt::jsonb
WHERE merchant = :merchant AND number = :number AND attempts = :attempts AND due_at IS NOT NULL

-- name: give_up_queue
UPDATE message SET given_up_at = :now, due_at = NULL, last_error = :last_error
WHERE merchant = :merchant AND topic = :topic AND subject = :subject AND in_order AND due_at IS NOT NULL
  AND created_at <= :before

-- name: hold_message
UPDATE message SET due_at = :held, attempts = attempts - 1
WHERE merchant = :merchant AND number = :number AND attempts = :attempts AND due_at IS NOT NULL

-- name: advance_queue
-- The first message of the queue is due.
UPDATE message SET due_at = :now
WHERE merchant = :merchant AND due_at = :behind AND number = (
    SELECT min(number) FROM message
    WHERE merchant = :merchant AND topic = :topic AND subject = :subject AND in_order AND due_at IS NOT NULL
)

-- name: advance_queues
-- Every merchant: the sweep. The same for all queues.
UPDATE message SET due_at = :now
WHERE in_order AND due_at IS NOT NULL AND due_at = :behind AND NOT EXISTS (
    SELECT 1 FROM message q
    WHERE q.merchant = message.merchant AND q.topic = message.topic AND q.subject = message.subject AND q.in_order
      AND q.due_at IS NOT NULL AND q.number < message.number
)

-- name: give_up_old_messages
-- Every merchant: the sweep.
UPDATE message SET given_up_at = :now, due_at = NULL, last_error = 'it waited for too long'
WHERE in_order AND due_at IS NOT NULL AND created_at < :before

-- name: release_messages
-- A message that was never tried may be on its way.
UPDATE message SET due_at = :now
WHERE merchant = :merchant AND topic = :topic AND subject = :subject AND due_at > :now AND due_at <> :behind
  AND (due_at = :held OR last_error <> '')

-- name: replay_messages
-- One that still waits in its queue stays there.
UPDATE message SET due_at = CASE WHEN in_order AND due_at IS NOT NULL THEN due_at ELSE :now END,
                   in_order = in_order AND due_at IS NOT NULL, attempts = 0, sent_at = NULL, given_up_at = NULL
WHERE merchant = :merchant AND number IN (SELECT value::bigint FROM json_array_elements_text(:numbers::json))

-- name: messages
SELECT number, topic, subject, body, created_at, attempts, due_at, in_order, sent_at, given_up_at, last_error,
       history::text
FROM message
WHERE merchant = :merchant AND number > :after AND (:topic::text IS NULL OR topic = :topic)
  AND (:state::text IS NULL OR :state = CASE
       WHEN sent_at IS NOT NULL THEN 'sent' WHEN given_up_at IS NULL THEN 'waiting' ELSE 'given_up' END)
ORDER BY number LIMIT :limit

-- name: newest_messages
SELECT number, topic, subject, body, created_at, attempts, due_at, in_order, sent_at, given_up_at, last_error,
       history::text
FROM message
WHERE merchant = :merchant AND topic = :topic AND subject = :subject AND number < :before
  AND (:state::text IS NULL OR :state = CASE
       WHEN sent_at IS NOT NULL THEN 'sent' WHEN given_up_at IS NULL THEN 'waiting' ELSE 'given_up' END)
ORDER BY number DESC LIMIT :limit

-- name: queue_status
SELECT w.waiting, w.retrying, w.since, (
    SELECT sent_at FROM message WHERE merchant = :merchant AND topic = :topic AND subject = :subject AND sent_at IS NOT NULL
    ORDER BY sent_at DESC LIMIT 1
), (
    SELECT given_up_at FROM message
    WHERE merchant = :merchant AND topic = :topic AND subject = :subject AND given_up_at IS NOT NULL ORDER BY given_up_at DESC LIMIT 1
)
FROM (
    SELECT count(*) AS waiting, count(*) FILTER (WHERE last_error <> '') AS retrying, min(created_at) AS since
    FROM message WHERE merchant = :merchant AND topic = :topic AND subject = :subject AND due_at IS NOT NULL
) AS w

-- name: queue_error
-- Of a message that waits, or else of the one that was given up last.
SELECT coalesce((
    SELECT last_error FROM message
    WHERE merchant = :merchant AND topic = :topic AND subject = :subject AND due_at IS NOT NULL AND last_error <> ''
    ORDER BY number LIMIT 1
), (
    SELECT last_error FROM message
    WHERE merchant = :merchant AND topic = :topic AND subject = :subject AND given_up_at IS NOT NULL
    ORDER BY given_up_at DESC, number LIMIT 1
), '')

-- name: message_statistics
-- Every merchant: for metrics. A message that is not due yet and was never tried does not wait.
SELECT count(*), min(created_at) FROM message WHERE due_at IS NOT NULL AND (due_at <= :now OR attempts > 0)

-- name: given_up_messages
-- Every merchant: for metrics.
SELECT count(*) FROM message WHERE given_up_at IS NOT NULL

-- ===================================================== jobs =====================================================

-- name: has_due_job
-- Every merchant: whether anything is to be claimed.
SELECT 1 FROM job j
WHERE coalesce(j.lease_until, j.due_at) <= :now AND j.type IN (SELECT json_array_elements_text(:types::json))
  AND j.merchant NOT IN (SELECT json_array_elements_text(:without::json)::bigint)
LIMIT 1

-- name: due_job
-- Differs because others claim at the same time: rows that they have locked are skipped.
-- Every merchant: whoever has waited longest is next.
SELECT o.number, o.id, j.type, j.number, j.due_at, j.requested, j.lease_until, j.attempt, j.alert, j.state, j.runs
FROM job j JOIN merchant o ON o.number = j.merchant
WHERE coalesce(j.lease_until, j.due_at) <= :now AND j.type IN (SELECT json_array_elements_text(:types::json))
  AND j.merchant NOT IN (SELECT json_array_elements_text(:without::json)::bigint)
ORDER BY coalesce(j.lease_until, j.due_at), j.merchant, j.type, j.number LIMIT 1
FOR UPDATE OF j SKIP LOCKED

-- name: claim_job
UPDATE job SET lease_until = :until, due_at = NULL, attempt = attempt + 1
WHERE merchant = :merchant AND type = :type AND number = :number

-- name: renew_job
UPDATE job SET lease_until = :until
WHERE merchant = :merchant AND type = :type AND number = :number AND attempt = :attempt AND lease_until IS NOT NULL

-- name: save_job
UPDATE job SET state = :state::json, alert = :alert
WHERE merchant = :merchant AND type = :type AND number = :number AND attempt = :attempt AND lease_until IS NOT NULL

-- name: end_job
-- What was set since the claim stays.
UPDATE job SET lease_until = NULL, due_at = coalesce(due_at, :due_at::bigint),
               requested = CASE WHEN due_at IS NULL THEN :requested ELSE requested END
WHERE merchant = :merchant AND type = :type AND number = :number AND attempt = :attempt

-- name: set_job
INSERT INTO job (merchant, type, number, due_at, requested)
VALUES (:merchant, :type, :number, :due_at::bigint, :requested)
ON CONFLICT (merchant, type, number) DO UPDATE SET due_at = :due_at::bigint, requested = :requested

-- name: jobs
SELECT j.number, j.due_at, j.requested, j.lease_until, j.attempt, j.alert, j.state, j.runs FROM job j
WHERE j.merchant = :merchant AND j.type = :type AND (:number::bigint IS NULL OR j.number = :number) ORDER BY j.number

-- name: job_alerts
-- Every merchant: for metrics.
SELECT type, alert, count(*) FROM job WHERE alert <> '' GROUP BY type, alert

-- name: save_run
INSERT INTO job_run (merchant, type, number, run, started_at, ended_at, body)
VALUES (:merchant, :type, :number, :run, :started_at, :ended_at::bigint, :body::json)
ON CONFLICT (merchant, type, number, run) DO UPDATE SET ended_at = :ended_at::bigint, body = :body::json

-- name: count_run
UPDATE job SET runs = :run WHERE merchant = :merchant AND type = :type AND number = :number AND runs < :run

-- name: delete_old_runs
DELETE FROM job_run WHERE merchant = :merchant AND type = :type AND number = :number AND run <= :until

-- name: job_runs
SELECT run, started_at, ended_at, body FROM job_run
WHERE merchant = :merchant AND type = :type AND number = :number AND run < :before ORDER BY run DESC LIMIT :limit

-- ================================================== submissions ==================================================

-- name: idempotency_key
SELECT expires_at, fingerprint, body, batch FROM idempotency_key WHERE merchant = :merchant AND key = :key

-- name: reserve_idempotency_key
-- Differs because others write at the same time: the statement decides who gets the key.
INSERT INTO idempotency_key (merchant, key, expires_at, created_at) VALUES (:merchant, :key, :until, :now)
ON CONFLICT (merchant, key) DO UPDATE SET expires_at = :until, created_at = :now
WHERE idempotency_key.body IS NULL AND idempotency_key.expires_at <= :now

-- name: renew_idempotency_key
UPDATE idempotency_key SET expires_at = :until WHERE merchant = :merchant AND key = :key AND body IS NULL

-- name: release_idempotency_key
DELETE FROM idempotency_key WHERE merchant = :merchant AND key = :key AND body IS NULL

-- name: answer_idempotency_key
INSERT INTO idempotency_key (merchant, key, expires_at, created_at, fingerprint, body, batch)
VALUES (:merchant, :key, 0, :now, :fingerprint, :body, :batch::uuid)
ON CONFLICT (merchant, key) DO UPDATE
SET expires_at = 0, created_at = :now, fingerprint = :fingerprint, body = :body, batch = :batch::uuid
WHERE idempotency_key.body IS NULL

-- name: add_upload
-- Differs because payloads are rows; the embedded store locks their files.
INSERT INTO upload (merchant, id, touched_at) VALUES (:merchant, :upload::uuid, :now)

-- name: touch_upload
-- Differs because payloads are rows. Each piece names the one before, which may have been lost with the server.
UPDATE upload SET touched_at = :now WHERE merchant = :merchant AND id = :upload::uuid AND touched_at = :before

-- name: seal_upload
-- Differs because payloads are rows. An upload that the sweep has begun to delete, or whose last piece was lost with
-- the server, cannot be used any more.
DELETE FROM upload WHERE merchant = :merchant AND id = :upload::uuid AND touched_at = :touched_at

-- name: delete_upload
-- Differs because payloads are rows.
DELETE FROM upload WHERE merchant = :merchant AND id = :upload::uuid

-- name: add_batch
-- Differs because the rest of a submission goes in one statement: each costs a round trip. The lane's row comes before
-- what is numbered by it, and returns what open_lane returns. A lane without work has lost its turn to those of the
-- merchant that were served meanwhile.
WITH waiting AS (
    SELECT coalesce(sum(o.open), 0)::bigint AS others,
           coalesce(max(o.served) FILTER (WHERE o.kind = :kind), 0) AS served
    FROM lane o WHERE o.merchant = :merchant AND (o.kind, o.collection) <> (:kind, :collection)
), lane_row AS (
    INSERT INTO lane (merchant, kind, collection, open, accepted_at, waits_until, served, claimed)
    SELECT :merchant, :kind, :collection, 1, :now, :waits_until, served, served FROM waiting WHERE others < :rounds_max
    ON CONFLICT (merchant, kind, collection) DO UPDATE
    SET open = lane.open + 1, accepted_at = greatest(lane.accepted_at, :now),
        waits_until = greatest(lane.waits_until, :waits_until),
        served = CASE WHEN lane.open > 0 THEN lane.served ELSE greatest(lane.served, excluded.served) END
    WHERE lane.open + (SELECT others FROM waiting) < :rounds_max
    RETURNING accepted_at, open - 1 AS position
), last_piece AS (
    INSERT INTO payload (merchant, upload, piece, packed, bytes)
    SELECT :merchant, :upload::uuid, :piece, :packed, :content FROM lane_row WHERE :content::bytea IS NOT NULL
), new_batch AS (
    INSERT INTO batch (merchant, id, kind, collection, policy, format, content_encoding, label, folded, protocol,
                       protocol_data, bytes_total, received_at)
    SELECT :merchant, :id::uuid, :kind, :collection, :policy, :format, :content_encoding, :label, :folded, :protocol,
           :protocol_data, :bytes, accepted_at
    FROM lane_row
    RETURNING seq
), first_round AS (
    INSERT INTO round (merchant, kind, collection, batch, number, round_kind, format, content_encoding, bytes, upload,
                       pieces, starts_at, waits_for, waits_until, request, traceparent, submitter)
    SELECT :merchant, :kind, :collection, seq, 0, :round_kind, :format, :content_encoding, :bytes, :upload::uuid,
           :pieces, :starts_at, CASE WHEN :waits_until > 0 THEN coalesce((
               SELECT max(p.id) FROM round p
               WHERE p.merchant = :merchant AND p.kind = 'product' AND p.collection = :collection AND p.open
                 AND p.starts_at = 0
           ), 0) ELSE 0 END, :waits_until, :request, :traceparent, :submitter
    FROM new_batch
)
SELECT accepted_at, position FROM lane_row

-- name: add_round
INSERT INTO round (merchant, kind, collection, batch, number, round_kind, format, content_encoding, bytes, upload,
                   pieces, waits_for, waits_until, request, traceparent, submitter)
SELECT merchant, kind, collection, seq, rounds - 1, :round_kind, :format, :content_encoding, :bytes, :upload::uuid,
       :pieces, CASE WHEN :waits_until > 0 THEN coalesce((
           SELECT max(p.id) FROM round p
           WHERE p.merchant = :merchant AND p.kind = 'product' AND p.collection = batch.collection AND p.open
             AND p.starts_at = 0
       ), 0) ELSE 0 END, :waits_until, :request, :traceparent, :submitter
FROM batch WHERE merchant = :merchant AND id = :id::uuid

-- name: add_payload
INSERT INTO payload (merchant, upload, piece, packed, bytes)
VALUES (:merchant, :upload::uuid, :piece, :packed, :content)

-- name: open_lane
-- Differs because others submit at the same time: the row is locked until the commit. Returns the time of acceptance
-- and the position in the lane; nothing if the queue is full.
WITH waiting AS (
    SELECT coalesce(sum(o.open), 0)::bigint AS others,
           coalesce(max(o.served) FILTER (WHERE o.kind = :kind), 0) AS served
    FROM lane o WHERE o.merchant = :merchant AND (o.kind, o.collection) <> (:kind, :collection)
)
INSERT INTO lane (merchant, kind, collection, open, accepted_at, waits_until, served, claimed)
SELECT :merchant, :kind, :collection, 1, :now, :waits_until, served, served FROM waiting WHERE others < :rounds_max
ON CONFLICT (merchant, kind, collection) DO UPDATE
SET open = lane.open + 1, accepted_at = greatest(lane.accepted_at, :now),
    waits_until = greatest(lane.waits_until, :waits_until),
    served = CASE WHEN lane.open > 0 THEN lane.served ELSE greatest(lane.served, excluded.served) END
WHERE lane.open + (SELECT others FROM waiting) < :rounds_max
RETURNING accepted_at, open - 1

-- name: open_rounds_of_key
SELECT count(*) FROM round WHERE merchant = :merchant AND open AND submitter = :submitter

-- name: reopen_batch
UPDATE batch b
SET rounds = rounds + 1, bytes_total = bytes_total + :bytes, finished_at = NULL,
    payload_kept = payload_kept OR :has_payload, report_kept = true
WHERE merchant = :merchant AND id = :id::uuid AND NOT deleting AND :expected IN (0, rounds) AND NOT EXISTS (
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

-- name: batch
SELECT b.seq, b.id, b.kind, b.collection, b.policy, b.format, b.content_encoding, b.label, b.protocol,
       b.protocol_data, b.rounds, b.bytes_total, b.received_at, b.started_at, b.finished_at, b.round, b.chunks, b.total,
       b.bytes_before + b.bytes_done,
       b.created, b.updated, b.unchanged, b.deleted, b.superseded, b.rejected, b.cancelled, b.merged, b.waiting, b.warned,
       b.file_errors,
       b.columns,
       b.withheld, b.reading, b.roles, b.rule_counts, b.trial, b.hold, b.ended, r.open, r.cancelling, r.approved,
       r.started_at,
       CASE WHEN r.open AND r.started_at IS NULL THEN (
           SELECT count(*) FROM round q
           WHERE q.merchant = b.merchant AND q.kind = b.kind AND q.collection = b.collection AND q.open AND q.id < r.id
       ) ELSE 0 END
FROM batch b JOIN round r ON r.merchant = b.merchant AND r.batch = b.seq AND r.number = b.rounds - 1
WHERE b.merchant = :merchant AND b.id = :id::uuid AND NOT b.deleting

-- name: batch_revisions
-- Every merchant: for all clients that wait.
SELECT b.id, b.rounds, b.round, b.chunks, b.ended, b.trial, r.open, r.cancelling, r.approved, r.started_at
FROM (
    SELECT (value->>0)::bigint AS merchant, (value->>1)::uuid AS id FROM json_array_elements(:batches::json)
) w
CROSS JOIN LATERAL (
    SELECT * FROM batch d WHERE d.merchant = w.merchant AND d.id = w.id AND NOT d.deleting OFFSET 0
) b
CROSS JOIN LATERAL (
    SELECT * FROM round l WHERE l.merchant = b.merchant AND l.batch = b.seq AND l.number = b.rounds - 1 OFFSET 0
) r

-- name: lane_revisions
-- Every merchant: for all clients that wait.
SELECT merchant, sum(attempt)::bigint FROM lane
WHERE merchant IN (SELECT value::bigint FROM json_array_elements_text(:merchants::json)) GROUP BY merchant

-- name: batches
SELECT b.seq, b.id, b.kind, b.collection, b.policy, b.format, b.content_encoding, b.label, b.protocol,
       b.protocol_data, b.rounds, b.bytes_total, b.received_at, b.started_at, b.finished_at, b.round, b.chunks, b.total,
       b.bytes_before + b.bytes_done,
       b.created, b.updated, b.unchanged, b.deleted, b.superseded, b.rejected, b.cancelled, b.merged, b.waiting, b.warned,
       b.file_errors,
       b.columns,
       b.withheld, b.reading, b.roles, b.rule_counts, b.trial, b.hold, b.ended, r.open, r.cancelling, r.approved,
       r.started_at,
       CASE WHEN r.open AND r.started_at IS NULL THEN (
           SELECT count(*) FROM round q
           WHERE q.merchant = b.merchant AND q.kind = b.kind AND q.collection = b.collection AND q.open AND q.id < r.id
       ) ELSE 0 END
FROM (
    -- Each source has an index of its own, so that a page costs what it shows. What is not asked for is folded away:
    -- without a filter but kind and words, only the index is read. With both ends of a range, a server without
    -- statistics reads the newest batches in their order, too, instead of all. The sum keeps it from the index of
    -- batches, where it would read all rounds to find those that are open.
    SELECT p.seq FROM batch p
    WHERE p.merchant = :merchant AND (:source::text = 'open' OR (p.seq < :after AND p.seq > 0))
      AND (:source <> 'open' OR (p.finished_at IS NULL AND p.seq = ANY (ARRAY(
          SELECT o.batch FROM round o WHERE o.merchant = :merchant AND o.open AND o.batch + 0 < :after
      ))))
      AND (:source <> 'stopped' OR (p.finished_at IS NOT NULL AND p.ended <> 'finished' AND p.ended = :state))
      AND (:source <> 'failed' OR (p.finished_at IS NOT NULL AND p.ended <> 'cancelled' AND (
          p.ended = 'broken' OR p.rejected + p.waiting > 0 OR p.file_errors > 0 OR p.withheld IS NOT NULL)))
      AND (:kind::text IS NULL OR p.kind = :kind)
      AND (:collection::text IS NULL OR p.collection = :collection)
      AND (:since::bigint IS NULL OR p.received_at >= :since)
      AND (:until::bigint IS NULL OR p.received_at < :until)
      AND (:word::text IS NULL OR strpos(p.folded, :word) > 0 OR p.id BETWEEN :low::uuid AND :high::uuid)
      AND (:words::text IS NULL OR NOT EXISTS (
          SELECT FROM json_array_elements_text(:words::json) w
          WHERE strpos(p.folded, w) = 0 AND NOT starts_with(replace(p.id::text, '-', ''), w)
      ))
      AND (:protocol::text IS NULL OR p.protocol = :protocol)
      AND (:state::text IS NULL OR :source = 'open' OR (p.finished_at IS NOT NULL AND p.ended = :state))
      AND (:view::text IS NULL OR CASE
           WHEN :source = 'open' THEN true
           WHEN :view = 'clean' THEN p.finished_at IS NOT NULL AND p.ended = 'finished'
                AND p.rejected + p.waiting = 0 AND p.file_errors = 0 AND p.withheld IS NULL
           ELSE :source = 'failed' OR (p.finished_at IS NOT NULL AND (p.ended = 'broken' OR (p.ended = 'finished' AND (
                p.rejected + p.waiting > 0 OR p.file_errors > 0 OR p.withheld IS NOT NULL)))) END)
      AND (:outcome::text IS NULL OR (p.finished_at IS NOT NULL AND p.ended = 'finished' AND :outcome = CASE
           WHEN p.rejected + p.waiting = 0 AND p.file_errors = 0 AND p.withheld IS NULL THEN 'clean'
           WHEN p.created + p.updated + p.unchanged + p.deleted + p.superseded + p.cancelled + p.merged
                + p.waiting = 0 THEN 'rejected'
           ELSE 'partial' END))
) p CROSS JOIN LATERAL (
    SELECT * FROM batch d WHERE d.merchant = :merchant AND d.seq = p.seq AND NOT d.deleting LIMIT 1
) b CROSS JOIN LATERAL (
    SELECT * FROM round l WHERE l.merchant = b.merchant AND l.batch = b.seq AND l.number = b.rounds - 1 LIMIT 1
) r
WHERE (:state::text IS NULL OR :source::text <> 'open' OR :state = CASE
       WHEN b.ended = 'held' AND NOT r.approved THEN 'held' WHEN r.started_at IS NULL THEN 'queued' ELSE 'working' END)
  AND (:view::text IS NULL OR :view NOT IN ('open', 'held')
       OR (:view = 'held') = (coalesce(b.ended, '') = 'held' AND NOT r.approved))
ORDER BY p.seq DESC LIMIT :limit

-- name: all_batches
-- Every merchant: for operators.
-- Differs because every index leads with the merchant: the newest of each are read.
SELECT b.seq, b.id, b.kind, b.collection, b.policy, b.format, b.content_encoding, b.label, b.protocol,
       b.protocol_data, b.rounds, b.bytes_total, b.received_at, b.started_at, b.finished_at, b.round, b.chunks, b.total,
       b.bytes_before + b.bytes_done,
       b.created, b.updated, b.unchanged, b.deleted, b.superseded, b.rejected, b.cancelled, b.merged, b.waiting, b.warned,
       b.file_errors,
       b.columns,
       b.withheld, b.reading, b.roles, b.rule_counts, b.trial, b.hold, b.ended, b.open, b.cancelling, b.approved,
       b.round_started_at,
       CASE WHEN b.open AND b.round_started_at IS NULL THEN (
           SELECT count(*) FROM round q
           WHERE q.merchant = b.merchant AND q.kind = b.kind AND q.collection = b.collection AND q.open AND q.id < b.round_id
       ) ELSE 0 END,
       m.id
FROM merchant m CROSS JOIN LATERAL (
    SELECT b.*, r.open, r.cancelling, r.approved, r.started_at AS round_started_at, r.id AS round_id
    FROM batch b JOIN round r ON r.merchant = b.merchant AND r.batch = b.seq AND r.number = b.rounds - 1
    WHERE b.merchant = m.number AND b.seq < :after AND NOT b.deleting
      AND b.seq >= CASE WHEN :view IN ('open', 'held') OR :state IN ('queued', 'working', 'held') THEN coalesce((
          SELECT min(o.batch) FROM round o WHERE o.merchant = m.number AND o.open
      ), 9223372036854775807) ELSE 0 END
      AND (:kind::text IS NULL OR b.kind = :kind)
      AND (:collection::text IS NULL OR b.collection = :collection)
      AND (:since::bigint IS NULL OR b.received_at >= :since)
      AND (:until::bigint IS NULL OR b.received_at < :until)
      AND (:all_words::text IS NULL OR NOT EXISTS (
          SELECT FROM json_array_elements_text(:all_words::json) w
          WHERE strpos(b.folded || ' ' || lower(m.id), w) = 0 AND NOT starts_with(replace(b.id::text, '-', ''), w)
      ))
      AND (:view::text IS NULL OR :view = CASE
           WHEN r.open THEN CASE WHEN b.ended = 'held' AND NOT r.approved THEN 'held' ELSE 'open' END
           WHEN b.ended = 'broken' THEN 'failed' WHEN b.ended <> 'finished' THEN ''
           WHEN b.rejected + b.waiting = 0 AND b.file_errors = 0 AND b.withheld IS NULL THEN 'clean' ELSE 'failed' END)
      AND (:protocol::text IS NULL OR b.protocol = :protocol)
      AND (:state::text IS NULL OR :state = CASE
           WHEN NOT r.open OR (b.ended = 'held' AND NOT r.approved) THEN b.ended WHEN r.started_at IS NULL THEN 'queued' ELSE 'working' END)
      AND (:outcome::text IS NULL OR (NOT r.open AND b.ended = 'finished' AND :outcome = CASE
           WHEN b.rejected + b.waiting = 0 AND b.file_errors = 0 AND b.withheld IS NULL THEN 'clean'
           WHEN b.created + b.updated + b.unchanged + b.deleted + b.superseded + b.cancelled + b.merged
                + b.waiting = 0 THEN 'rejected'
           ELSE 'partial' END))
    ORDER BY b.seq DESC LIMIT :limit
) b
ORDER BY b.seq DESC LIMIT :limit

-- ===================================================== lanes ====================================================

-- name: claim_lane
-- Every merchant: the one with the first round to be cancelled in a free lane, or else they take turns. Merchants do,
-- not lanes: the turn of one is that of the merchant's other collections as well.
-- Differs because others claim at the same time: the row is locked, and rows that others have locked are skipped.
WITH cancelling AS MATERIALIZED (
    SELECT l.merchant, l.kind, l.collection, l.holder
    FROM round r JOIN lane l ON l.merchant = r.merchant AND l.kind = r.kind AND l.collection = r.collection
    WHERE r.open AND r.cancelling AND (l.expires_at <= :now OR l.holder IS NULL)
    ORDER BY r.id LIMIT 1 FOR UPDATE OF l SKIP LOCKED
), ready AS MATERIALIZED (
    SELECT merchant, kind, collection, holder FROM lane l WHERE NOT EXISTS (SELECT 1 FROM cancelling) AND l.open > 0
      AND l.expires_at <= :now AND l.open > (
        SELECT count(*) FROM round r
        WHERE r.merchant = l.merchant AND r.kind = l.kind AND r.collection = l.collection AND r.open
          AND r.starts_at > 0 AND r.starts_at > :now
    )
      AND (l.blocked_from = 9223372036854775807 OR EXISTS (
          SELECT 1 FROM round r
          WHERE r.merchant = l.merchant AND r.kind = l.kind AND r.collection = l.collection AND r.open
            AND r.id < l.blocked_from AND r.starts_at <= :now
      ))
      AND (l.waits_until <= :now OR NOT EXISTS (
          SELECT 1 FROM round r
          WHERE r.merchant = l.merchant AND r.waits_until > :now AND r.id = (
              SELECT min(h.id) FROM round h
              WHERE h.merchant = l.merchant AND h.kind = l.kind AND h.collection = l.collection AND h.open
                AND h.starts_at <= :now
          ) AND EXISTS (
              SELECT 1 FROM round p
              WHERE p.merchant = r.merchant AND p.kind = 'product' AND p.collection = r.collection AND p.open
                AND p.id <= r.waits_for AND p.starts_at <= :now
          )
      ))
    ORDER BY served, claimed LIMIT 1 FOR UPDATE SKIP LOCKED
), found AS (
    SELECT merchant, kind, collection, holder, true AS cancelling FROM cancelling
    UNION ALL SELECT merchant, kind, collection, holder, false FROM ready
), taken AS (
    UPDATE lane l SET holder = :worker, expires_at = :until, served = :now, claimed = :now, attempt = attempt + 1
    FROM found f WHERE l.merchant = f.merchant AND l.kind = f.kind AND l.collection = f.collection
    RETURNING l.merchant, l.kind, l.collection, f.cancelling, l.attempt, f.holder, l.blocked_from
), others AS MATERIALIZED (
    SELECT o.merchant, o.kind, o.collection FROM lane o JOIN found f ON o.merchant = f.merchant AND o.kind = f.kind
    WHERE o.collection <> f.collection AND o.open > 0 FOR UPDATE OF o SKIP LOCKED
), passed AS (
    UPDATE lane l SET served = :now
    FROM others o WHERE l.merchant = o.merchant AND l.kind = o.kind AND l.collection = o.collection
)
SELECT t.merchant, m.id, t.kind, t.collection, t.cancelling, t.attempt, t.holder, t.blocked_from
FROM taken t JOIN merchant m ON m.number = t.merchant

-- name: claim_awaited_lane
-- Every merchant: they take turns.
-- Differs because a submission may just be locking the only lane for a moment.
WITH ready AS MATERIALIZED (
    SELECT merchant, kind, collection, holder FROM lane l WHERE l.open > 0 AND l.expires_at <= :now AND l.open > (
        SELECT count(*) FROM round r
        WHERE r.merchant = l.merchant AND r.kind = l.kind AND r.collection = l.collection AND r.open
          AND r.starts_at > 0 AND r.starts_at > :now
    )
      AND (l.blocked_from = 9223372036854775807 OR EXISTS (
          SELECT 1 FROM round r
          WHERE r.merchant = l.merchant AND r.kind = l.kind AND r.collection = l.collection AND r.open
            AND r.id < l.blocked_from AND r.starts_at <= :now
      ))
      AND (l.waits_until <= :now OR NOT EXISTS (
          SELECT 1 FROM round r
          WHERE r.merchant = l.merchant AND r.waits_until > :now AND r.id = (
              SELECT min(h.id) FROM round h
              WHERE h.merchant = l.merchant AND h.kind = l.kind AND h.collection = l.collection AND h.open
                AND h.starts_at <= :now
          ) AND EXISTS (
              SELECT 1 FROM round p
              WHERE p.merchant = r.merchant AND p.kind = 'product' AND p.collection = r.collection AND p.open
                AND p.id <= r.waits_for AND p.starts_at <= :now
          )
      ))
    ORDER BY served, claimed LIMIT 1 FOR UPDATE
), taken AS (
    UPDATE lane l SET holder = :worker, expires_at = :until, served = :now, claimed = :now, attempt = attempt + 1
    FROM ready f WHERE l.merchant = f.merchant AND l.kind = f.kind AND l.collection = f.collection
    RETURNING l.merchant, l.kind, l.collection, l.attempt, f.holder, l.blocked_from
)
SELECT t.merchant, m.id, t.kind, t.collection, false, t.attempt, t.holder, t.blocked_from
FROM taken t JOIN merchant m ON m.number = t.merchant

-- name: next_lease
-- Every merchant: a turn comes when a lease ends, or a deferred round may start.
-- Differs because workers of the embedded store poll.
SELECT least(min(l.expires_at) FILTER (WHERE l.expires_at > :now), min(r.starts_at))
FROM lane l LEFT JOIN round r
  ON r.merchant = l.merchant AND r.kind = l.kind AND r.collection = l.collection AND r.open AND r.starts_at > 0
    AND r.starts_at > :now
WHERE l.open > 0

-- name: open_rounds
-- Differs because the progress of the batch is in the same row.
SELECT r.id, b.seq, b.id, r.number, r.round_kind, b.collection, b.policy, r.format, r.content_encoding, r.bytes,
       b.received_at, coalesce(r.started_at, :now), r.cancelling, EXISTS (
           SELECT 1 FROM round q
           WHERE q.merchant = r.merchant AND q.kind = r.kind AND q.collection = r.collection AND q.open
             AND q.starts_at > 0 AND q.id < r.id AND q.starts_at < :held
       ), r.attempt, r.deaths, r.death_chunks, r.waits_until > :now AND NOT r.cancelling AND EXISTS (
           SELECT 1 FROM round p
           WHERE p.merchant = r.merchant AND p.kind = 'product' AND p.collection = r.collection AND p.open
             AND p.id <= r.waits_for AND p.starts_at <= :now
       ), r.request, r.traceparent, r.submitter, r.approved,
       b.seq, b.round, b.chunks, b.records, b.total, b.bytes_before, b.bytes_done, b.created, b.updated, b.unchanged,
       b.deleted, b.superseded, b.rejected, b.cancelled, b.merged, b.waiting, b.warned, b.file_errors, b.columns, b.mapping,
       b.withheld, b.reading, b.roles, b.rule_counts, b.items_before,
       b.first_at, b.ended, b.ended_at, b.trial, b.hold
FROM round r JOIN batch b ON b.merchant = r.merchant AND b.seq = r.batch
WHERE r.merchant = :merchant AND r.kind = :kind AND r.collection = :collection AND r.open
  AND (r.cancelling OR NOT :cancelling)
  AND ((r.starts_at <= :now AND r.id < :blocked_from) OR r.cancelling)
ORDER BY r.id LIMIT :limit

-- name: has_open_products
SELECT EXISTS (
    SELECT 1 FROM round r JOIN batch b ON b.merchant = r.merchant AND b.seq = r.batch
    WHERE r.merchant = :merchant AND r.kind = 'product' AND r.collection = :collection AND r.open
      AND r.starts_at <= :now AND b.received_at < :before
)

-- name: start_rounds
-- Differs because the batches start with their rounds.
WITH started AS (
    UPDATE batch SET started_at = :now
    WHERE merchant = :merchant AND seq = ANY (:batches::bigint[]) AND started_at IS NULL
)
UPDATE round SET attempt = :attempt, started_at = coalesce(started_at, :now)
WHERE merchant = :merchant AND id = ANY (:rounds::bigint[])

-- name: lane_block
SELECT blocked_from FROM lane
WHERE merchant = :merchant AND kind = :kind AND collection = :collection AND attempt = :attempt
  AND holder IS NOT NULL

-- name: start_behind
-- Differs because the batches start with their rounds, all of them at once.
WITH started AS (
    UPDATE batch SET started_at = :now
    WHERE merchant = :merchant AND id = ANY (:batches::uuid[]) AND started_at IS NULL
)
UPDATE round r SET attempt = :attempt, started_at = coalesce(r.started_at, :now)
FROM batch b
WHERE r.merchant = :merchant AND r.open AND r.number = 0 AND r.attempt < :attempt AND b.merchant = r.merchant
  AND b.seq = r.batch AND b.id = ANY (:batches::uuid[])

-- name: count_death
UPDATE round SET deaths = :deaths, death_chunks = :chunks WHERE merchant = :merchant AND id = :round

-- name: rest_lane
UPDATE lane SET expires_at = :until, holder = NULL
WHERE merchant = :merchant AND kind = :kind AND collection = :collection AND attempt = :attempt

-- name: lease
-- Differs because it also says whether the merchant has a webhook, and because others work at the same time: products
-- are not committed while somebody notes that they are missing.
SELECT written_at, EXISTS (SELECT 1 FROM label WHERE merchant = :merchant AND type = :webhook),
       (SELECT pg_advisory_xact_lock_shared(:merchant)::text WHERE :kind = 'product')
FROM lane
WHERE merchant = :merchant AND kind = :kind AND collection = :collection AND attempt = :attempt
  AND holder IS NOT NULL

-- name: commit_lane
-- Differs because the fence and the rounds are in one database: this is the last statement of a commit.
UPDATE lane SET written_at = :written_at, open = open - :closed
WHERE merchant = :merchant AND kind = :kind AND collection = :collection AND attempt = :attempt
  AND holder IS NOT NULL

-- name: renew_lease
-- Differs because it also returns the batches to be cancelled: each statement is a round trip.
UPDATE lane SET expires_at = :until
WHERE merchant = :merchant AND kind = :kind AND collection = :collection AND attempt = :attempt
  AND holder IS NOT NULL
RETURNING ARRAY(
    SELECT b.id::text FROM round r JOIN batch b ON b.merchant = r.merchant AND b.seq = r.batch
    WHERE r.open AND r.cancelling AND r.merchant = :merchant AND r.kind = :kind AND r.collection = :collection
)

-- name: defer_round
UPDATE round SET starts_at = :until
WHERE merchant = :merchant AND open AND number = :round
  AND batch = (SELECT seq FROM batch WHERE merchant = :merchant AND id = :id::uuid)
  AND EXISTS (
      SELECT 1 FROM lane
      WHERE merchant = :merchant AND kind = :kind AND collection = :collection AND attempt = :attempt
  )

-- name: release_lane
UPDATE lane SET expires_at = 0, holder = NULL
WHERE merchant = :merchant AND kind = :kind AND collection = :collection AND attempt = :attempt

-- name: other_lane_waits
-- Every merchant: another one's turn has come.
SELECT EXISTS (
    SELECT 1 FROM lane l
    WHERE l.open > 0 AND l.expires_at <= :now AND (l.merchant, l.kind, l.collection) <> (:merchant, :kind, :collection)
      AND l.open > (
        SELECT count(*) FROM round r
        WHERE r.merchant = l.merchant AND r.kind = l.kind AND r.collection = l.collection AND r.open
          AND r.starts_at > 0 AND r.starts_at > :now
    )
      AND (l.blocked_from = 9223372036854775807 OR EXISTS (
          SELECT 1 FROM round r
          WHERE r.merchant = l.merchant AND r.kind = l.kind AND r.collection = l.collection AND r.open
            AND r.id < l.blocked_from AND r.starts_at <= :now
      ))
      AND (l.waits_until <= :now OR NOT EXISTS (
          SELECT 1 FROM round r
          WHERE r.merchant = l.merchant AND r.waits_until > :now AND r.id = (
              SELECT min(h.id) FROM round h
              WHERE h.merchant = l.merchant AND h.kind = l.kind AND h.collection = l.collection AND h.open
                AND h.starts_at <= :now
          ) AND EXISTS (
              SELECT 1 FROM round p
              WHERE p.merchant = r.merchant AND p.kind = 'product' AND p.collection = r.collection AND p.open
                AND p.id <= r.waits_for AND p.starts_at <= :now
          )
      ))
)

-- name: release_held_rounds
UPDATE round r SET starts_at = 0 FROM batch b
WHERE r.merchant = :merchant AND r.kind = :kind AND r.collection = :collection AND r.open AND r.starts_at > 0
  AND r.starts_at = :held AND b.merchant = r.merchant AND b.seq = r.batch
  AND (:before::bigint IS NULL OR b.received_at < :before)

-- name: cancel_round
UPDATE round SET cancelling = true
WHERE open AND merchant = :merchant
  AND batch = (SELECT seq FROM batch WHERE merchant = :merchant AND id = :id::uuid)

-- name: hold_round
UPDATE round SET starts_at = :starts_at, hold_expires_at = :until
WHERE open AND number = :round AND merchant = :merchant AND NOT approved AND hold_expires_at = 0
  AND batch = (SELECT seq FROM batch WHERE merchant = :merchant AND id = :id::uuid)

-- name: approve_round
UPDATE round SET approved = true, starts_at = 0, hold_expires_at = 0, started_at = NULL
WHERE open AND NOT cancelling AND hold_expires_at > 0 AND merchant = :merchant
  AND batch = (SELECT seq FROM batch WHERE merchant = :merchant AND id = :id::uuid)

-- name: block_lane
-- After a round was held, or one that was held goes on or ends.
UPDATE lane SET blocked_from = coalesce((
    SELECT min(r.id) FROM round r
    WHERE r.merchant = lane.merchant AND r.kind = lane.kind AND r.collection = lane.collection AND r.open
      AND r.starts_at > 0 AND r.starts_at = :guarded
), 9223372036854775807)
WHERE merchant = :merchant AND kind = :kind AND collection = :collection

-- name: requeue_rounds
-- They were claimed with one that is held, and have not been worked.
UPDATE round SET started_at = NULL
WHERE merchant = :merchant AND kind = :kind AND collection = :collection AND open AND starts_at = 0
  AND started_at IS NOT NULL AND id > (
      SELECT blocked_from FROM lane WHERE merchant = :merchant AND kind = :kind AND collection = :collection
  )

-- name: blocking_batch
SELECT hb.id FROM batch b JOIN round r ON r.merchant = b.merchant AND r.batch = b.seq AND r.open
JOIN lane l ON l.merchant = r.merchant AND l.kind = r.kind AND l.collection = r.collection
JOIN round h ON h.merchant = l.merchant AND h.id = l.blocked_from
JOIN batch hb ON hb.merchant = h.merchant AND hb.seq = h.batch
WHERE b.merchant = :merchant AND b.id = :id::uuid AND r.id > l.blocked_from

-- name: in_front
WITH ahead AS (
    SELECT q.id, q.batch, q.bytes
    FROM batch b JOIN round r ON r.merchant = b.merchant AND r.batch = b.seq AND r.open
    JOIN round q ON q.merchant = r.merchant AND q.kind = r.kind AND q.collection = r.collection AND q.open
    WHERE b.merchant = :merchant AND b.id = :id::uuid AND q.id < r.id
)
SELECT f.id, (SELECT count(*) FROM ahead), (SELECT sum(bytes)::bigint FROM ahead)
FROM ahead a JOIN batch f ON f.merchant = :merchant AND f.seq = a.batch ORDER BY a.id LIMIT 1

-- name: expired_holds
-- Every merchant: nobody has decided about them.
SELECT m.id, b.id FROM round r JOIN batch b ON b.merchant = r.merchant AND b.seq = r.batch
JOIN merchant m ON m.number = r.merchant
WHERE r.open AND r.hold_expires_at > 0 AND r.hold_expires_at <= :now AND NOT r.cancelling
ORDER BY r.hold_expires_at LIMIT :limit

-- name: end_round
-- Differs because the rounds of one commit end in one statement.
UPDATE round r SET open = false, ended_at = e.ended_at, records = e.records, counts = e.counts::json
FROM unnest(:batches::bigint[], :numbers::integer[], :ended_ats::bigint[], :records::bigint[], :counts::text[])
    AS e (batch, number, ended_at, records, counts)
WHERE r.merchant = :merchant AND r.batch = e.batch AND r.number = e.number AND r.open

-- name: end_batch
-- Differs because the progress is in the same row.
UPDATE batch SET finished_at = ended_at WHERE merchant = :merchant AND seq = ANY (:batches)

-- name: queue_statistics
-- Every merchant: for metrics.
SELECT (SELECT count(*) FROM lane WHERE open > 0), count(*) - count(r.started_at), count(r.started_at),
       min(CASE WHEN r.started_at IS NULL AND r.starts_at < :held THEN b.received_at END),
       count(*) FILTER (WHERE r.hold_expires_at > 0)
FROM round r JOIN batch b ON b.merchant = r.merchant AND b.seq = r.batch WHERE r.open

-- name: waiting_rounds
-- Every merchant: for health checks.
SELECT count(*), min(b.received_at) FROM round r JOIN batch b ON b.merchant = r.merchant AND b.seq = r.batch
WHERE r.open AND r.starts_at <= :now

-- name: lanes
-- Every merchant: for operators.
SELECT m.id, l.kind, l.collection, l.open, l.holder, l.expires_at, (
    SELECT b.received_at FROM round r JOIN batch b ON b.merchant = r.merchant AND b.seq = r.batch
    WHERE r.merchant = l.merchant AND r.kind = l.kind AND r.collection = l.collection AND r.open
      AND r.started_at IS NULL AND r.starts_at < :held
    ORDER BY r.id LIMIT 1
)
FROM lane l JOIN merchant m ON m.number = l.merchant
WHERE l.open > 0 AND (:id::text IS NULL OR m.id = :id) ORDER BY l.served, l.claimed LIMIT :limit

-- name: disturbed_rounds
-- Every merchant: for health checks.
SELECT m.id, b.id, r.deaths FROM round r
JOIN batch b ON b.merchant = r.merchant AND b.seq = r.batch JOIN merchant m ON m.number = r.merchant
WHERE r.open AND r.deaths > 0 ORDER BY r.deaths DESC, r.id LIMIT :limit

-- name: leases
-- Every merchant: for health checks.
SELECT m.id, l.kind, l.collection, l.holder, l.expires_at, l.open
FROM lane l JOIN merchant m ON m.number = l.merchant WHERE l.holder IS NOT NULL ORDER BY l.expires_at LIMIT :limit

-- name: put_host
-- Every merchant: hosts belong to none.
-- Differs because a single host has no other clock to differ from.
INSERT INTO host (name, seen_at, ahead) VALUES (:name, :now, :ahead)
ON CONFLICT (name) DO UPDATE SET seen_at = :now, ahead = :ahead

-- name: hosts
-- Every merchant: hosts belong to none.
-- Differs because a single host has no other clock to differ from.
SELECT name, ahead FROM host WHERE seen_at > :since ORDER BY name LIMIT :limit

-- ================================================== processes ===================================================

-- name: note_worker
-- Every merchant: workers belong to none.
INSERT INTO worker (name, seen_at) VALUES (:name, :now) ON CONFLICT (name) DO UPDATE SET seen_at = :now

-- name: forget_worker
-- Every merchant: workers belong to none.
DELETE FROM worker WHERE name = :name

-- name: forget_workers
-- Every merchant: workers belong to none.
DELETE FROM worker WHERE seen_at < :before

-- name: worker_statistics
-- Every merchant: for metrics.
SELECT count(CASE WHEN seen_at > :since THEN 1 END), max(seen_at) FROM worker

-- name: open_quota
INSERT INTO quota (merchant, quota, starts_at, used) VALUES (:merchant, :quota, :starts_at, 0)
ON CONFLICT (merchant, quota) DO NOTHING

-- name: quota
-- Differs because other processes lease at the same time: the row is locked until the commit.
SELECT starts_at, used FROM quota WHERE merchant = :merchant AND quota = :quota FOR UPDATE

-- name: set_quota
UPDATE quota SET starts_at = :starts_at, used = :used WHERE merchant = :merchant AND quota = :quota

-- ================================================== retention ==================================================

-- name: lock_sweep
-- Every merchant: one process at a time sweeps.
-- Differs because others may sweep at the same time.
SELECT pg_try_advisory_xact_lock(:key)

-- name: payloads_due
-- Every merchant: the sweep.
SELECT merchant, seq FROM batch WHERE finished_at < :before AND waiting = 0 AND payload_kept ORDER BY finished_at LIMIT :limit

-- name: payload_uploads
-- Differs because payloads are rows.
SELECT id, upload FROM round WHERE merchant = :merchant AND batch = :seq AND upload IS NOT NULL ORDER BY number

-- name: delete_pieces
-- Differs because payloads are rows.
DELETE FROM payload WHERE merchant = :merchant AND upload = :upload::uuid

-- name: payload_objects
-- Differs because payloads are rows, or objects that rows without bytes name: of the rows that are deleted next.
SELECT piece FROM (
    SELECT piece, bytes IS NULL AS is_object FROM payload
    WHERE merchant = :merchant AND upload = :upload::uuid ORDER BY piece LIMIT :limit
) p WHERE is_object ORDER BY piece

-- name: delete_some_pieces
-- Differs because payloads are rows, deleted in steps.
DELETE FROM payload WHERE merchant = :merchant AND upload = :upload::uuid AND piece IN (
    SELECT piece FROM payload WHERE merchant = :merchant AND upload = :upload::uuid ORDER BY piece LIMIT :limit
)

-- name: clear_upload
-- Differs because payloads are rows.
UPDATE round SET upload = NULL WHERE merchant = :merchant AND id = :round

-- name: mark_payloads_deleted
UPDATE batch SET payload_kept = false WHERE merchant = :merchant AND seq = :seq AND finished_at < :before AND waiting = 0

-- name: uploads_due
-- Every merchant: the sweep. Uploads marked 0 come first: their pieces are being deleted.
-- Differs because payloads are rows.
SELECT merchant, id FROM upload WHERE touched_at < :before ORDER BY touched_at LIMIT :limit

-- name: expire_upload
-- Differs because payloads are rows.
UPDATE upload SET touched_at = 0 WHERE merchant = :merchant AND id = :upload::uuid AND touched_at < :before

-- name: reports_due
-- Every merchant: the sweep.
SELECT merchant, seq, trial FROM batch WHERE finished_at < :before AND waiting = 0 AND report_kept ORDER BY finished_at LIMIT :limit

-- name: mark_report_deleted
UPDATE batch SET report_kept = false WHERE merchant = :merchant AND seq = :seq AND finished_at < :before AND waiting = 0

-- name: batches_due
-- Every merchant: the sweep.
SELECT merchant, seq, trial FROM batch WHERE finished_at < :before AND waiting = 0 ORDER BY finished_at LIMIT :limit

-- name: mark_deleting
UPDATE batch SET deleting = true WHERE merchant = :merchant AND seq = :seq AND finished_at < :before AND waiting = 0

-- name: delete_rounds
DELETE FROM round WHERE merchant = :merchant AND batch = :seq

-- name: delete_batch
DELETE FROM batch WHERE merchant = :merchant AND seq = :seq

-- name: delete_idempotency_keys
-- Every merchant: the sweep.
DELETE FROM idempotency_key WHERE (merchant, key) IN (
    SELECT merchant, key FROM idempotency_key WHERE created_at < :before AND expires_at < :now
    ORDER BY created_at LIMIT :limit FOR UPDATE SKIP LOCKED
)

-- name: delete_tokens
-- Every merchant: the sweep.
-- Differs because rows have no single id.
DELETE FROM token WHERE (merchant, digest) IN (
    SELECT merchant, digest FROM token WHERE expires_at < :now ORDER BY expires_at LIMIT :limit
)

-- name: delete_resources
-- Every merchant: the sweep.
DELETE FROM resource WHERE (merchant, type, number) IN (
    SELECT merchant, type, number FROM resource WHERE expires_at <= :now ORDER BY expires_at LIMIT :limit
)

-- name: delete_messages
-- Every merchant: the sweep.
DELETE FROM message WHERE (merchant, number) IN (
    SELECT merchant, number FROM message
    WHERE due_at IS NULL AND coalesce(sent_at, given_up_at) < :before
    ORDER BY coalesce(sent_at, given_up_at) LIMIT :limit
)

-- ================================================== collections =================================================

-- name: collection
SELECT id, items, indexed, has_variants, search_gap FROM collection
WHERE merchant = :merchant AND kind = :kind AND name = :name

-- name: add_collection
INSERT INTO collection (merchant, id, kind, name, search_gap) VALUES (:merchant, :id, :kind, :name, :search_gap)
RETURNING id

-- name: change_item_count
UPDATE collection SET items = items + :change, tombstone_at = least(tombstone_at, :tombstone_at::bigint),
    search_gap = CASE WHEN :searched THEN search_gap ELSE '' END
WHERE merchant = :merchant AND id = :collection

-- name: collections
SELECT kind, name, items FROM collection WHERE merchant = :merchant AND items > 0 ORDER BY kind, name

-- name: is_collection_indexed
-- Differs because the number of a collection is cached, and whether it is indexed is not.
SELECT indexed FROM collection WHERE merchant = :merchant AND id = :collection

-- name: mark_collection_indexed
UPDATE collection SET indexed = true WHERE merchant = :merchant AND id = :collection

-- name: mark_collection_variants
UPDATE collection SET has_variants = true WHERE merchant = :merchant AND id = :collection AND NOT has_variants

-- name: collections_to_fill
-- Every merchant: a health check.
SELECT count(*), coalesce(sum(items), 0) FROM collection WHERE search_gap IS NOT NULL AND items > 0

-- name: collection_to_fill
-- Every merchant: the search index is filled for one after the other.
SELECT merchant, id, kind, search_gap FROM collection WHERE search_gap IS NOT NULL AND items > 0 LIMIT 1

-- name: lock_collection
-- Differs because others write, too. Whoever fills the search index waits for nobody, so that nobody waits for him.
SELECT search_gap FROM collection WHERE merchant = :merchant AND id = :collection FOR UPDATE NOWAIT

-- name: set_search_gap
UPDATE collection SET search_gap = :gap WHERE merchant = :merchant AND id = :collection

-- ===================================================== items ====================================================

-- name: current_items
-- Includes case variants, which the client tells apart. OFFSET 0 keeps the planner from turning the lookups around:
-- without statistics, as after a first load, it would read the whole collection for each. With row-level security an
-- index is used only where no function sees a row before the policy, so that `folded` is a column.
SELECT i.key, i.hash, coalesce((
    SELECT v.version FROM item_version v
    WHERE v.merchant = :merchant AND v.collection = :collection AND v.key = i.key AND i.version IS NOT NULL
), i.version), i.field_state, i.batch, NULL
FROM (SELECT value, lower(value COLLATE "C") AS folded FROM json_array_elements_text(:keys::json) OFFSET 0) w
CROSS JOIN LATERAL (
    SELECT key, hash, version, field_state, batch FROM item
    WHERE merchant = :merchant AND collection = :collection AND folded = w.folded OFFSET 0
) i

-- name: count_items_between
-- Differs because a server reads thousands of neighbours at once much faster than one by one. Counts them, up to a
-- limit. ORDER BY keeps the planner from collecting the whole range of the index first.
SELECT count(*) FROM (
    SELECT FROM item WHERE merchant = :merchant AND collection = :collection AND folded BETWEEN :least AND :most
    ORDER BY folded LIMIT :limit
) i

-- name: current_items_between
-- Differs because a server reads thousands of neighbours at once much faster than one by one.
SELECT i.key, i.hash, coalesce((
    SELECT v.version FROM item_version v
    WHERE v.merchant = :merchant AND v.collection = :collection AND v.key = i.key AND i.version IS NOT NULL
), i.version), i.field_state, i.batch, NULL FROM item i
WHERE i.merchant = :merchant AND collection = :collection AND folded BETWEEN :least AND :most ORDER BY folded

-- name: changed_items_between
-- Differs because unchanged items are not sent by the server; all other neighbours are, and each key without an item. A
-- FULL JOIN is never done key by key, with or without statistics. The hashes are concatenated: to send an array of them
-- costs the client more than to read the rows.
SELECT w.value, i.key, i.hash, coalesce((
    SELECT v.version FROM item_version v
    WHERE v.merchant = :merchant AND v.collection = :collection AND v.key = i.key AND i.version IS NOT NULL
), i.version), i.field_state, i.batch, NULL
FROM (
    SELECT key, hash, version, field_state, batch FROM item
    WHERE merchant = :merchant AND collection = :collection AND folded BETWEEN :least AND :most OFFSET 0
) i FULL JOIN (
    SELECT value, substring(:hashes::bytea, 16 * ordinality::integer - 15, 16) AS hash
    FROM json_array_elements_text(:keys::json) WITH ORDINALITY
) w ON i.key = w.value COLLATE "C"
WHERE (uuid_send(i.hash) = w.hash AND i.version IS NULL AND i.batch <> :batch::uuid) IS NOT TRUE

-- name: current_documents
SELECT i.key, i.hash, coalesce((
    SELECT v.version FROM item_version v
    WHERE v.merchant = :merchant AND v.collection = :collection AND v.key = i.key AND i.version IS NOT NULL
), i.version), i.field_state, i.batch, i.document
FROM (SELECT value, lower(value COLLATE "C") AS folded FROM json_array_elements_text(:keys::json) OFFSET 0) w
CROSS JOIN LATERAL (
    SELECT key, hash, version, field_state, batch, document FROM item
    WHERE merchant = :merchant AND collection = :collection AND folded = w.folded OFFSET 0
) i

-- name: live_keys
-- Differs because existing rows are written by other statements than new ones.
SELECT i.key, i.live
FROM (SELECT value, lower(value COLLATE "C") AS folded FROM json_array_elements_text(:keys::json) OFFSET 0) w
CROSS JOIN LATERAL (
    SELECT key, hash IS NOT NULL AS live FROM item
    WHERE merchant = :merchant AND collection = :collection AND folded = w.folded
          AND key = w.value COLLATE "C" OFFSET 0
) i

-- name: items
SELECT i.key, i.document, coalesce((
    SELECT v.version FROM item_version v
    WHERE v.merchant = :merchant AND v.collection = :collection AND v.key = i.key AND i.version IS NOT NULL
), i.version), i.field_state, i.batch, i.written_at FROM item i
WHERE i.merchant = :merchant AND collection = :collection
  AND (folded, key) > (lower(:from::text COLLATE "C"), :after::text COLLATE "C") AND hash IS NOT NULL
ORDER BY folded, key LIMIT :limit

-- name: items_by_prefix
SELECT i.key, i.document, coalesce((
    SELECT v.version FROM item_version v
    WHERE v.merchant = :merchant AND v.collection = :collection AND v.key = i.key AND i.version IS NOT NULL
), i.version), i.field_state, i.batch, i.written_at FROM item i
WHERE i.merchant = :merchant AND collection = :collection
  AND (folded, key) > (lower(:from::text COLLATE "C"), :after::text COLLATE "C")
  AND folded < lower(:prefix::text COLLATE "C") || chr(1114111) AND starts_with(key, :prefix) AND hash IS NOT NULL
ORDER BY folded, key LIMIT :limit

-- name: item
SELECT i.key, i.document, coalesce((
    SELECT v.version FROM item_version v
    WHERE v.merchant = :merchant AND v.collection = :collection AND v.key = i.key AND i.version IS NOT NULL
), i.version), i.field_state, i.batch, i.written_at FROM item i
WHERE i.merchant = :merchant AND collection = :collection AND folded = lower(:key::text COLLATE "C")
  AND key = :key::text COLLATE "C" AND hash IS NOT NULL

-- name: unknown_skus
-- OFFSET 0 keeps the planner from reading the whole collection to compare it.
SELECT w.value
FROM (SELECT value, lower(value COLLATE "C") AS folded FROM json_array_elements_text(:keys::json) OFFSET 0) w
WHERE NOT EXISTS (
    SELECT FROM item i
    WHERE i.merchant = :merchant AND i.collection = :collection AND i.folded = w.folded
      AND i.key = w.value COLLATE "C" AND i.hash IS NOT NULL OFFSET 0
)

-- name: copy_items
-- Differs because new rows go in by COPY.
-- Every merchant: each row of COPY names its merchant.
COPY item (merchant, collection, searched, key, hash, version, batch, written_at, document) FROM STDIN (FORMAT binary)

-- name: create_staged_items
-- Every merchant: a table of this transaction only.
-- Differs because changed rows come by a temporary table.
CREATE TEMPORARY TABLE IF NOT EXISTS staged (
    merchant bigint, collection bigint, searched boolean, key text COLLATE "C", hash uuid, version bigint, batch uuid,
    written_at bigint, document json, field_state text
) ON COMMIT DELETE ROWS

-- name: copy_staged_items
-- Every merchant: each row of COPY names its merchant.
-- Differs because changed rows come by a temporary table.
COPY pg_temp.staged (merchant, collection, searched, key, hash, version, batch, written_at, document)
FROM STDIN (FORMAT binary)

-- name: copy_staged_items_with_state
-- Every merchant: each row of COPY names its merchant.
-- Differs because changed rows come by a temporary table. Items with versions of groups or with locks: few, so that
-- the others need not have the column.
COPY pg_temp.staged (merchant, collection, searched, key, hash, version, batch, written_at, document, field_state)
FROM STDIN (FORMAT binary)

-- name: write_items
-- Differs because changed rows come by a temporary table. The conflict finds each row by the index, whatever the plan.
-- What SQLite does by a trigger is done here for all rows at once.
WITH outdated AS (
    DELETE FROM item_version v USING pg_temp.staged s
    WHERE v.merchant = :merchant AND v.collection = s.collection AND v.key = s.key
      AND (s.version IS NOT NULL OR s.hash IS NULL)
)
INSERT INTO item (merchant, collection, searched, key, hash, version, batch, written_at, document, field_state)
SELECT merchant, collection, searched, key, hash, version, batch, written_at, document, field_state
FROM pg_temp.staged
WHERE merchant = :merchant
ON CONFLICT (merchant, collection, folded, key) DO UPDATE
SET searched = excluded.searched,
    batch = CASE WHEN item.hash IS NOT DISTINCT FROM excluded.hash THEN item.batch ELSE excluded.batch END,
    written_at = CASE
        WHEN item.hash IS NOT DISTINCT FROM excluded.hash THEN item.written_at ELSE excluded.written_at
    END,
    moved_at = CASE WHEN item.hash IS NOT DISTINCT FROM excluded.hash THEN item.moved_at END,
    hash = excluded.hash, version = excluded.version, document = excluded.document,
    field_state = excluded.field_state

-- name: clear_staged_items
-- Every merchant: a table of this transaction only.
-- Differs because changed rows come by a temporary table.
TRUNCATE pg_temp.staged

-- name: move_versions
-- Differs because a row that is known to be missing is inserted without the log records that ON CONFLICT adds.
WITH w AS MATERIALIZED (
    SELECT w.key, w.version, EXISTS (
        SELECT FROM item_version v
        WHERE v.merchant = :merchant AND v.collection = :collection AND v.key = w.key COLLATE "C" OFFSET 0
    ) AS exists
    FROM unnest(:keys::text[], :versions::bigint[]) AS w (key, version)
), added AS (
    INSERT INTO item_version (merchant, collection, key, version)
    SELECT :merchant, :collection, key, version FROM w WHERE NOT exists
)
INSERT INTO item_version (merchant, collection, key, version)
SELECT :merchant, :collection, key, version FROM w WHERE exists
ON CONFLICT (merchant, collection, key) DO UPDATE SET version = excluded.version

-- name: stored_items
SELECT i.key, i.hash, coalesce((
    SELECT v.version FROM item_version v
    WHERE v.merchant = :merchant AND v.collection = :collection AND v.key = i.key AND i.version IS NOT NULL
), i.version), i.field_state, i.written_at, i.moved_at, i.document
FROM (SELECT value, lower(value COLLATE "C") AS folded FROM json_array_elements_text(:keys::json) OFFSET 0) w
CROSS JOIN LATERAL (
    SELECT key, hash, version, field_state, written_at, moved_at, document FROM item
    WHERE merchant = :merchant AND collection = :collection AND folded = w.folded
          AND key = w.value COLLATE "C" OFFSET 0
) i

-- ==================================================== journal ===================================================

-- name: raise_journal_head
INSERT INTO journal_head (merchant, last, oldest_at) VALUES (:merchant, :count, :written_at)
ON CONFLICT (merchant) DO UPDATE
SET last = journal_head.last + :count, oldest_at = coalesce(journal_head.oldest_at, :written_at)
RETURNING last

-- name: add_segments
INSERT INTO journal (merchant, first, collection, written_at, batch, order_name, count, last_key, body)
SELECT :merchant, p.first, p.collection, p.written_at, p.batch, p.order_name, p.count, p.last_key, p.body
FROM unnest(
    :firsts::bigint[], :collections::bigint[], :times::bigint[], :batches::uuid[], :orders::text[], :counts::integer[],
    :last_keys::text[], :bodies::bytea[]
) AS p (first, collection, written_at, batch, order_name, count, last_key, body)

-- name: journal_head
SELECT last, swept, swept_at FROM journal_head WHERE merchant = :merchant

-- name: journal_numbers
-- Every merchant: for webhooks.
SELECT merchant, last FROM journal_head WHERE merchant IN (SELECT value::bigint FROM json_array_elements_text(:merchants::json))

-- name: count_changes
SELECT c.kind, c.name, sum(j.count)
FROM journal j JOIN collection c ON c.merchant = j.merchant AND c.id = j.collection
WHERE j.merchant = :merchant AND j.first > :after AND j.first <= :until
GROUP BY c.kind, c.name ORDER BY c.kind, c.name

-- name: segment_of
SELECT first, written_at, count FROM journal WHERE merchant = :merchant AND first <= :number
ORDER BY first DESC LIMIT 1

-- name: journal_segments
-- The last segment that begins before the next number may contain it. Bodies of other collections are not read.
SELECT j.first, j.count, j.written_at, c.kind, c.name, j.batch, j.order_name,
       CASE WHEN c.kind = coalesce(:kind, c.kind) AND c.name = coalesce(:collection, c.name) THEN j.body END
FROM journal j JOIN collection c ON c.merchant = j.merchant AND c.id = j.collection
WHERE j.merchant = :merchant AND j.first >= coalesce((
    SELECT max(first) FROM journal WHERE merchant = :merchant AND first <= :after + 1
), 0) AND j.first + j.count > :after + 1
ORDER BY j.first LIMIT :limit

-- name: flush_journal
-- Differs because chunks are committed before they are on disk: this writes a record to the log, behind theirs.
-- Every merchant: it reads no row.
SELECT pg_logical_emit_message(true, 'goodsgate', '')::text

-- name: batch_segments
SELECT j.first, j.count, j.written_at, c.kind, c.name, j.batch, j.order_name, j.body
FROM journal j JOIN collection c ON c.merchant = j.merchant AND c.id = j.collection
WHERE j.merchant = :merchant AND j.batch = :batch::uuid AND j.first >= coalesce((
    SELECT max(first) FROM journal WHERE merchant = :merchant AND batch = :batch::uuid AND first <= :after + 1
), 0) AND j.first + j.count > :after + 1
ORDER BY j.first LIMIT :limit

-- name: batch_journal
SELECT count, written_at FROM journal WHERE merchant = :merchant AND batch = :batch::uuid

-- name: segments_at
SELECT j.first, j.count, j.written_at, c.kind, c.name, j.batch, j.order_name, j.body
FROM journal j JOIN collection c ON c.merchant = j.merchant AND c.id = j.collection
WHERE j.merchant = :merchant AND j.collection = :collection AND j.written_at = :written_at
  AND j.last_key >= :key COLLATE "C"
ORDER BY j.last_key LIMIT 3

-- name: journal_due
-- Every merchant: the sweep.
SELECT merchant FROM journal_head WHERE oldest_at < :before LIMIT :limit

-- name: journals
-- Every merchant: the sweep.
SELECT merchant FROM journal_head

-- name: skip_number
-- A cursor from before is behind what was swept, whatever has changed without a journal.
UPDATE journal_head SET last = last + 1, swept = last + 1, swept_at = greatest(swept_at, :now) WHERE merchant = :merchant

-- name: oldest_segments
SELECT first, count, written_at FROM journal WHERE merchant = :merchant ORDER BY first LIMIT :limit

-- name: delete_segments
DELETE FROM journal WHERE merchant = :merchant AND first <= :last

-- name: set_journal_swept
UPDATE journal_head SET swept = greatest(swept, :last), swept_at = greatest(swept_at, :swept_at), oldest_at = (
    SELECT written_at FROM journal WHERE merchant = :merchant ORDER BY first LIMIT 1
) WHERE merchant = :merchant

-- ===================================================== index ====================================================

-- name: item_entries
SELECT entries FROM item_index_entries WHERE merchant = :merchant AND collection = :collection AND key = :key

-- name: item_entries_by_key
SELECT m.key, m.entries
FROM (SELECT value FROM json_array_elements_text(:keys::json) OFFSET 0) w
CROSS JOIN LATERAL (
    SELECT key, entries FROM item_index_entries
    WHERE merchant = :merchant AND collection = :collection AND key = w.value COLLATE "C" OFFSET 0
) m

-- name: find_by_index
SELECT w.name, w.value, m.key
FROM (SELECT e ->> 0 AS name, e ->> 1 AS value FROM json_array_elements(:entries::json) AS e OFFSET 0) w
CROSS JOIN LATERAL (
    SELECT key FROM index_entry
    WHERE merchant = :merchant AND collection = :collection AND name = w.name COLLATE "C"
      AND value = w.value COLLATE "C" OFFSET 0
) m ORDER BY w.name COLLATE "C", w.value COLLATE "C", m.key

-- name: count_index
-- IN, not EXISTS: the matching items are looked up once.
SELECT count(*) FROM index_entry
WHERE merchant = :merchant AND collection = :collection AND name = :name AND (:required = 0 OR key IN (
    SELECT m.key FROM (
        SELECT (f ->> 0)::int AS at, (f ->> 1) COLLATE "C" AS name, (f ->> 2) COLLATE "C" AS minimum,
               (f ->> 3) COLLATE "C" AS maximum, f ->> 4 AS contains
        FROM json_array_elements(:filters::json) AS f
    ) w JOIN index_entry m ON m.merchant = :merchant AND m.collection = :collection AND m.name = w.name
        AND m.value BETWEEN w.minimum AND w.maximum AND strpos(m.value, w.contains) > 0
    GROUP BY m.key HAVING count(DISTINCT w.at) = :required
))

-- name: list_index
SELECT value, key FROM index_entry
WHERE merchant = :merchant AND collection = :collection AND name = :name AND (:required = 0 OR key IN (
    SELECT m.key FROM (
        SELECT (f ->> 0)::int AS at, (f ->> 1) COLLATE "C" AS name, (f ->> 2) COLLATE "C" AS minimum,
               (f ->> 3) COLLATE "C" AS maximum, f ->> 4 AS contains
        FROM json_array_elements(:filters::json) AS f
    ) w JOIN index_entry m ON m.merchant = :merchant AND m.collection = :collection AND m.name = w.name
        AND m.value BETWEEN w.minimum AND w.maximum AND strpos(m.value, w.contains) > 0
    GROUP BY m.key HAVING count(DISTINCT w.at) = :required
))
ORDER BY value, key LIMIT :limit OFFSET :offset

-- name: list_index_backwards
SELECT value, key FROM index_entry
WHERE merchant = :merchant AND collection = :collection AND name = :name AND (:required = 0 OR key IN (
    SELECT m.key FROM (
        SELECT (f ->> 0)::int AS at, (f ->> 1) COLLATE "C" AS name, (f ->> 2) COLLATE "C" AS minimum,
               (f ->> 3) COLLATE "C" AS maximum, f ->> 4 AS contains
        FROM json_array_elements(:filters::json) AS f
    ) w JOIN index_entry m ON m.merchant = :merchant AND m.collection = :collection AND m.name = w.name
        AND m.value BETWEEN w.minimum AND w.maximum AND strpos(m.value, w.contains) > 0
    GROUP BY m.key HAVING count(DISTINCT w.at) = :required
))
ORDER BY value DESC, key DESC LIMIT :limit OFFSET :offset

-- name: delete_index_entries
-- Differs because many go in one statement.
DELETE FROM index_entry WHERE merchant = :merchant AND ctid = ANY (ARRAY (
    SELECT m.ctid FROM unnest(:names::text[], :texts::text[], :keys::text[]) AS w (name, value, key)
    CROSS JOIN LATERAL (
        SELECT ctid FROM index_entry
        WHERE merchant = :merchant AND collection = :collection AND name = w.name AND value = w.value
          AND key = w.key OFFSET 0
    ) m
))

-- name: add_index_entries
-- Differs because many go in one statement.
INSERT INTO index_entry (merchant, collection, name, value, key)
SELECT :merchant, :collection, g.name, g.value, g.key
FROM unnest(:names::text[], :texts::text[], :keys::text[]) AS g (name, value, key)

-- name: put_item_entries
-- Differs because many go in one statement.
INSERT INTO item_index_entries (merchant, collection, key, entries)
SELECT :merchant, :collection, g.key, g.entries::json FROM unnest(:keys::text[], :entries::text[]) AS g (key, entries)
ON CONFLICT (merchant, collection, key) DO UPDATE SET entries = excluded.entries

-- name: delete_item_entries
-- Differs because many go in one statement.
DELETE FROM item_index_entries WHERE merchant = :merchant AND ctid = ANY (ARRAY (
    SELECT m.ctid FROM unnest(:keys::text[]) AS w (key) CROSS JOIN LATERAL (
        SELECT ctid FROM item_index_entries
        WHERE merchant = :merchant AND collection = :collection AND key = w.key OFFSET 0
    ) m
))

-- ==================================================== search ====================================================

-- name: items_by_terms
-- Terms name their collection, so that their index alone is used (`+ 0`). It is not used with row-level security.
SELECT i.key, i.batch, i.written_at
FROM (
    SELECT key, lower(key) AS folded FROM item_terms
    WHERE merchant = :merchant AND collection + 0 = :collection AND terms @@ :match::tsquery LIMIT :limit
) t
CROSS JOIN LATERAL (
    SELECT key, batch, written_at FROM item
    WHERE merchant = :merchant AND collection = :collection AND folded = t.folded AND key = t.key AND hash IS NOT NULL
    OFFSET 0
) i

-- name: items_by_start
SELECT key, batch, written_at FROM item
WHERE merchant = :merchant AND collection = :collection AND folded >= :start::text COLLATE "C"
  AND folded < :start::text COLLATE "C" || chr(1114111) AND hash IS NOT NULL
LIMIT :limit

-- name: items_changed
SELECT key, batch, written_at FROM item
WHERE merchant = :merchant AND collection = :collection AND searched IS NOT NULL
  AND written_at BETWEEN :since AND :until AND hash IS NOT NULL
LIMIT :limit

-- name: items_by_key
SELECT i.key, i.document, coalesce((
    SELECT v.version FROM item_version v
    WHERE v.merchant = :merchant AND v.collection = :collection AND v.key = i.key AND i.version IS NOT NULL
), i.version), i.field_state, i.batch, i.written_at
FROM (SELECT value, lower(value COLLATE "C") AS folded FROM json_array_elements_text(:keys::json) OFFSET 0) w
CROSS JOIN LATERAL (
    SELECT key, document, version, field_state, batch, written_at FROM item
    WHERE merchant = :merchant AND collection = :collection AND folded = w.folded
          AND key = w.value COLLATE "C" AND hash IS NOT NULL OFFSET 0
) i

-- name: items_to_fill
SELECT key, CASE WHEN hash IS NOT NULL AND searched IS NULL THEN document END FROM item
WHERE merchant = :merchant AND collection = :collection
  AND (folded, key) > (lower(:gap::text COLLATE "C"), :gap::text COLLATE "C")
ORDER BY folded, key LIMIT :limit FOR NO KEY UPDATE NOWAIT

-- name: mark_searched
UPDATE item i SET searched = true
FROM (SELECT value, lower(value COLLATE "C") AS folded FROM json_array_elements_text(:keys::json) OFFSET 0) w
WHERE i.merchant = :merchant AND i.collection = :collection AND i.folded = w.folded AND i.key = w.value COLLATE "C"

-- name: copy_terms
-- Every merchant: each row of COPY names its merchant.
-- Differs because new rows go in by COPY.
COPY item_terms (merchant, collection, key, terms) FROM STDIN (FORMAT binary)

-- name: put_terms
-- Differs because terms that have not changed are not written again.
INSERT INTO item_terms (merchant, collection, key, terms)
SELECT :merchant, :collection, key, terms::tsvector FROM unnest(:keys::text[], :terms::text[]) AS u (key, terms)
ON CONFLICT (merchant, collection, key) DO UPDATE SET terms = excluded.terms
WHERE item_terms.terms <> excluded.terms

-- name: delete_terms
DELETE FROM item_terms WHERE merchant = :merchant AND collection = :collection AND key = ANY (:keys)

-- ==================================================== stock =====================================================

-- name: mark_stock_changed
UPDATE collection SET stock_changed = true WHERE merchant = :merchant AND id = :collection AND NOT stock_changed

-- name: has_stock_changes
-- The first stock change waits until this transaction is committed.
SELECT stock_changed FROM collection WHERE merchant = :merchant AND id = :collection FOR SHARE

-- name: lock_items
-- Differs because others write at the same time: the rows are locked, in the order of the keys. See `current_items`.
SELECT i.key, i.hash
FROM (SELECT value, lower(value COLLATE "C") AS folded FROM json_array_elements_text(:keys::json) OFFSET 0) w
CROSS JOIN LATERAL (
    SELECT key, hash FROM item
    WHERE merchant = :merchant AND collection = :collection AND folded = w.folded
          AND key = w.value COLLATE "C" OFFSET 0
    FOR UPDATE
) i

-- name: lock_reserved
-- Differs because others write at the same time: reserved amounts of deleted items are locked by their own rows.
SELECT r.key
FROM (SELECT value FROM json_array_elements_text(:keys::json) OFFSET 0) w
CROSS JOIN LATERAL (
    SELECT key FROM reserved
    WHERE merchant = :merchant AND collection = :collection AND key = w.value COLLATE "C" OFFSET 0
    FOR UPDATE
) r

-- name: stock_levels
SELECT w.value, i.document, i.field_state, r.amount
FROM (SELECT value, lower(value COLLATE "C") AS folded FROM json_array_elements_text(:keys::json) OFFSET 0) w
LEFT JOIN LATERAL (
    SELECT document, field_state FROM item
    WHERE merchant = :merchant AND collection = :collection AND folded = w.folded
          AND key = w.value COLLATE "C" OFFSET 0
) i ON true
LEFT JOIN LATERAL (
    SELECT amount FROM reserved
    WHERE merchant = :merchant AND collection = :collection AND key = w.value COLLATE "C" OFFSET 0
) r ON true

-- name: lock_stock_order
-- Differs because others write at the same time: changes by one order wait for each other, the first one too.
INSERT INTO stock_order (merchant, collection, name) VALUES (:merchant, :collection, :name)
ON CONFLICT (merchant, collection, name) DO UPDATE SET name = excluded.name RETURNING state

-- name: put_stock_order
UPDATE stock_order SET state = :state, closed_at = :closed_at
WHERE merchant = :merchant AND collection = :collection AND name = :name

-- name: change_stock_items
-- Differs because several go in one statement.
UPDATE item i SET hash = m.hash, document = m.document::json, moved_at = :moved_at
FROM (
    SELECT key, lower(key COLLATE "C") AS folded, hash, document
    FROM unnest(:keys::text[], :hashes::uuid[], :documents::text[]) AS u (key, hash, document) OFFSET 0
) m
WHERE i.merchant = :merchant AND i.collection = :collection AND i.folded = m.folded AND i.key = m.key COLLATE "C"
  AND i.hash IS NOT NULL

-- name: put_reserved
-- Differs because several go in one statement.
INSERT INTO reserved (merchant, collection, key, amount)
SELECT :merchant, :collection, u.key, u.amount FROM unnest(:keys::text[], :amounts::bigint[]) AS u (key, amount)
ON CONFLICT (merchant, collection, key) DO UPDATE SET amount = excluded.amount

-- name: delete_reserved
-- Differs because several go in one statement.
DELETE FROM reserved WHERE merchant = :merchant AND collection = :collection AND key = ANY (:keys::text[])

-- =================================================== progress ===================================================

-- name: lock_batches
-- Differs because a worker that was cut off may still be writing: the next statements wait for it. The last column says
-- whether records of the merchant wait.
SELECT id, seq, round, chunks, records, total, bytes_before, bytes_done, created, updated, unchanged, deleted,
       superseded, rejected, cancelled, merged, waiting, warned, file_errors, columns, mapping, withheld, reading,
       roles, rule_counts, items_before, first_at, ended, ended_at, trial, hold,
       EXISTS (SELECT 1 FROM waiting_reference w WHERE w.merchant = :merchant)
FROM batch WHERE merchant = :merchant AND id = ANY (:batches::uuid[]) ORDER BY seq FOR UPDATE

-- name: progress
-- Differs because it is part of the batch's row.
SELECT seq, round, chunks, records, total, bytes_before, bytes_done, created, updated, unchanged, deleted,
       superseded, rejected, cancelled, merged, waiting, warned, file_errors, columns, mapping, withheld, reading,
       roles, rule_counts, items_before, first_at, ended, ended_at, trial, hold
FROM batch WHERE merchant = :merchant AND id = :id::uuid AND round IS NOT NULL

-- name: batch_number
SELECT CASE trial WHEN 1 THEN -seq ELSE seq END, CASE trial WHEN 0 THEN seq ELSE -seq END FROM batch WHERE merchant = :merchant AND id = :id::uuid AND NOT deleting

-- name: add_totals
INSERT INTO total_count (merchant, name, count)
SELECT :merchant, t.counted ->> 0, (t.counted ->> 1)::bigint FROM json_array_elements(:counts::json) AS t (counted)
ON CONFLICT (merchant, name) DO UPDATE SET count = total_count.count + excluded.count

-- name: totals
-- Every merchant: for metrics.
SELECT name, sum(count)::bigint FROM total_count GROUP BY name

-- name: put_progress
-- Differs because the batches of one commit are updated in one statement.
UPDATE batch b
SET round = p.round, chunks = p.chunks, records = p.records, total = p.total, bytes_before = p.bytes_before,
    bytes_done = p.bytes_done, created = p.created, updated = p.updated, unchanged = p.unchanged, deleted = p.deleted,
    superseded = p.superseded, rejected = p.rejected, cancelled = p.cancelled, merged = p.merged, waiting = p.waiting,
    warned = p.warned,
    file_errors = p.file_errors,
    columns = p.columns::json, mapping = p.mapping::json, withheld = p.withheld::json,
    reading = p.reading::json, roles = p.roles::json, rule_counts = p.rule_counts::json,
    items_before = p.items_before, first_at = p.first_at,
    ended = p.ended, ended_at = p.ended_at, trial = p.trial, hold = p.hold::json
FROM json_to_recordset(:rows::json) AS p (
    seq bigint, round integer, chunks integer, records bigint, total bigint, bytes_before bigint, bytes_done bigint,
    created bigint, updated bigint, unchanged bigint, deleted bigint, superseded bigint, rejected bigint,
    cancelled bigint, merged bigint, waiting bigint, warned bigint, file_errors bigint, columns text, mapping text,
    withheld text, reading text, roles text, rule_counts text, items_before bigint, first_at bigint,
    ended text, ended_at bigint, trial smallint,
    hold text
)
WHERE b.merchant = :merchant AND b.seq = p.seq

-- ==================================================== results ===================================================

-- name: add_chunks
-- Differs because several go in one statement, and TOAST stores results and keys apart.
INSERT INTO chunk (merchant, batch, first, results, keys)
SELECT :merchant, p.batch, p.first, p.results, p.keys
FROM unnest(:batches::bigint[], :firsts::bigint[], :results::bytea[], :keys::bytea[])
    AS p (batch, first, results, keys)

-- name: chunk_of_record
SELECT first, results, keys FROM chunk
WHERE merchant = :merchant AND batch = :batch AND first <= :number ORDER BY first DESC LIMIT 1

-- name: chunks_after
SELECT first, results FROM chunk
WHERE merchant = :merchant AND batch = :batch AND first > :after ORDER BY first

-- name: chunks_from
SELECT first, results FROM chunk
WHERE merchant = :merchant AND batch = :batch AND first >= coalesce(
    (SELECT max(first) FROM chunk WHERE merchant = :merchant AND batch = :batch AND first <= :number), 0
) ORDER BY first LIMIT :limit

-- name: chunk_keys
SELECT keys FROM chunk WHERE merchant = :merchant AND batch = :batch AND first = :first

-- name: set_chunk_results
UPDATE chunk SET results = :results WHERE merchant = :merchant AND batch = :batch AND first = :first

-- name: set_chunk_keys
UPDATE chunk SET keys = :keys WHERE merchant = :merchant AND batch = :batch AND first = :first

-- =================================================== findings ===================================================

-- name: copy_findings
-- Every merchant: each row of COPY names its merchant.
-- Differs because they go in by COPY, and TOAST stores long records apart.
COPY finding (merchant, batch, number, source_row, fix_round, fix_row, key, result, has_error, severities, codes,
             issues, role, raw) FROM STDIN

-- name: lock_findings
-- Differs because others sweep at the same time: until the commit, no segment is deleted.
SELECT pg_advisory_xact_lock_shared(number # :key)::text FROM merchant WHERE number = :merchant

-- name: known_findings
SELECT w.at, k.batch, k.first, k.place
FROM (SELECT ordinality - 1 AS at, value ->> 0 AS stem, (value ->> 1)::bigint AS hash
      FROM json_array_elements(:findings::json) WITH ORDINALITY OFFSET 0) w
CROSS JOIN LATERAL (
    SELECT batch, first, place FROM finding_place
    WHERE merchant = :merchant AND stem = w.stem COLLATE "C" AND hash = w.hash ORDER BY batch DESC, first DESC LIMIT 1
) k

-- name: add_finding_segments
INSERT INTO finding_segment (merchant, batch, chunk, first, last, base_batch, base_first, severities, codes, body)
SELECT :merchant, s.batch, s.chunk, s.first, s.last, s.base_batch, s.base_first, s.severities, s.codes, s.body
FROM unnest(
    :batches::bigint[], :chunks::bigint[], :firsts::bigint[], :lasts::bigint[], :base_batches::bigint[],
    :base_firsts::bigint[], :severities::text[], :codes::text[], :bodies::bytea[]
) AS s (batch, chunk, first, last, base_batch, base_first, severities, codes, body)

-- name: add_finding_places
INSERT INTO finding_place (merchant, stem, hash, batch, first, place)
SELECT :merchant, k.stem, k.hash, k.batch, k.first, k.place
FROM unnest(:stems::text[], :hashes::bigint[], :batches::bigint[], :firsts::bigint[], :places::integer[])
    AS k (stem, hash, batch, first, place)

-- name: findings_by_number
SELECT f.number, f.issues FROM unnest(:numbers::bigint[]) AS w (number) CROSS JOIN LATERAL (
    SELECT number, issues FROM finding WHERE merchant = :merchant AND batch = :batch AND number = w.number OFFSET 0
) f

-- name: delete_findings
-- Differs because the same statement returns what it deletes.
DELETE FROM finding WHERE merchant = :merchant AND ctid = ANY (ARRAY (
    SELECT f.ctid FROM unnest(:numbers::bigint[]) AS w (number) CROSS JOIN LATERAL (
        SELECT ctid FROM finding WHERE merchant = :merchant AND batch = :batch AND number = w.number OFFSET 0
    ) f
)) RETURNING issues

-- name: cancel_findings
UPDATE finding SET result = :cancelled
WHERE merchant = :merchant AND batch = :batch AND result IS NOT NULL AND result <> :rejected

-- name: cancel_finding_segments
UPDATE finding_segment SET is_cancelled = true WHERE merchant = :merchant AND batch = :batch

-- name: rejected_records
-- Differs because the client receives all rows: the server stops after so many bytes.
SELECT number, source_row, fix_round, fix_row, key, result, issues, role, raw FROM (
    SELECT number, source_row, fix_round, fix_row, key, result, issues, role, raw,
           sum(length(raw)) OVER (ORDER BY number) - length(raw) AS bytes_before
    FROM (
        SELECT number, source_row, fix_round, fix_row, key, result, issues, role, raw FROM finding
        WHERE merchant = :merchant AND batch = :batch AND number > :after AND has_error AND result = :rejected
        ORDER BY number LIMIT :limit
    ) page
) summed
WHERE bytes_before < :bytes_max ORDER BY number

-- name: rejected_by_number
SELECT f.number, f.source_row, f.fix_round, f.fix_row, f.key, f.result, f.issues, f.role, f.raw
FROM (SELECT value::bigint AS number FROM json_array_elements_text(:numbers::json)) w CROSS JOIN LATERAL (
    SELECT number, source_row, fix_round, fix_row, key, result, issues, role, raw FROM finding
    WHERE merchant = :merchant AND batch = :batch AND number = w.number AND result IN (:rejected, :waiting) OFFSET 0
) f

-- name: findings
SELECT number, source_row, fix_round, fix_row, key, result, issues FROM finding
WHERE merchant = :merchant AND batch = :batch AND number > :after
  AND (:code::text IS NULL OR strpos(codes, :code) > 0)
  AND (:severity::text IS NULL OR strpos(severities, :severity) > 0)
ORDER BY number LIMIT :limit

-- name: findings_with_error
SELECT number, source_row, fix_round, fix_row, key, result, issues FROM finding
WHERE merchant = :merchant AND batch = :batch AND number > :after AND has_error
  AND (:code::text IS NULL OR strpos(codes, :code) > 0) AND strpos(severities, :severity) > 0
ORDER BY number LIMIT :limit

-- name: findings_by_key
SELECT b.id, f.batch, f.number, f.source_row, f.fix_round, f.fix_row, f.key, f.result, f.issues
FROM finding f JOIN batch b ON b.merchant = f.merchant AND b.seq = f.batch
WHERE f.merchant = :merchant AND f.stem = left(:key, 64) AND f.key = :key
ORDER BY f.batch DESC, f.number LIMIT :limit

-- name: finding_chunk
SELECT chunk FROM finding_segment
WHERE merchant = :merchant AND batch = :batch AND first <= :after + 1 ORDER BY first DESC LIMIT 1

-- name: finding_segments
SELECT first, base_batch, base_first, is_cancelled, body FROM finding_segment
WHERE merchant = :merchant AND batch = :batch AND first >= :first AND last > :after AND NOT is_hidden
  AND (:code::text IS NULL OR strpos(codes, :code) > 0)
  AND (:severity::text IS NULL OR strpos(severities, :severity) > 0)
ORDER BY first LIMIT :limit

-- name: finding_segment
SELECT base_batch, base_first, is_cancelled, body FROM finding_segment
WHERE merchant = :merchant AND batch = :batch AND first = :first

-- name: finding_segments_by_key
SELECT b.id, s.batch, s.first, s.base_batch, s.base_first, s.place FROM (
    SELECT o.batch, o.first, k.batch AS base_batch, k.first AS base_first, k.place
    FROM finding_place k
    JOIN finding_segment o ON o.merchant = k.merchant AND o.batch = k.batch AND o.first = k.first
    WHERE k.merchant = :merchant AND k.stem = :stem AND NOT o.is_hidden
    UNION ALL
    SELECT o.batch, o.first, k.batch, k.first, k.place
    FROM finding_place k
    JOIN finding_segment o ON o.merchant = k.merchant AND o.base_batch = k.batch AND o.base_first = k.first
    WHERE k.merchant = :merchant AND k.stem = :stem AND NOT o.is_hidden
) s JOIN batch b ON b.merchant = :merchant AND b.seq = s.batch
ORDER BY s.batch DESC, s.first

-- name: add_feed_day
-- Differs because all feeds of one commit go in one statement. Its rows are in order, because lanes of other
-- collections write them at the same time.
WITH ended AS (
    SELECT * FROM unnest(:batches::bigint[], :submitters::text[], :days::integer[], :records::bigint[],
                         :rejected::bigint[], :ats::bigint[])
        AS e (batch, submitter, day, records, rejected, at)
)
INSERT INTO feed_day (merchant, day, submitter, kind, code, count, records, rejected, last_at)
SELECT :merchant, e.day, e.submitter, :kind, '', count(*), sum(e.records)::bigint, sum(e.rejected)::bigint, max(e.at)
FROM ended e GROUP BY e.day, e.submitter
UNION ALL
SELECT :merchant, e.day, e.submitter, :kind, g.code, sum(g.count)::bigint, 0, 0, max(e.at)
FROM ended e JOIN issue_group g ON g.merchant = :merchant AND g.batch = e.batch GROUP BY e.day, e.submitter, g.code
ORDER BY 2, 3, 5
ON CONFLICT (merchant, day, submitter, kind, code) DO UPDATE
SET count = feed_day.count + excluded.count, records = feed_day.records + excluded.records,
    rejected = feed_day.rejected + excluded.rejected, last_at = greatest(feed_day.last_at, excluded.last_at)

-- name: feed_days
SELECT day, submitter, kind, count, records, rejected, last_at FROM feed_day
WHERE merchant = :merchant AND day >= :since AND code = '' ORDER BY day, submitter, kind

-- name: feed_issues
SELECT submitter, code, sum(count)::bigint FROM feed_day
WHERE merchant = :merchant AND day >= :since AND code <> '' GROUP BY submitter, code ORDER BY 3 DESC, 1, 2 LIMIT :limit

-- name: delete_feed_days
-- Every merchant: what is past its retention.
DELETE FROM feed_day WHERE (merchant, day, submitter, kind, code) IN (
    SELECT merchant, day, submitter, kind, code FROM feed_day WHERE day < :before LIMIT :limit
)

-- name: batch_rounds
SELECT r.number, r.round_kind, r.started_at, r.ended_at, r.records, r.counts
FROM batch b JOIN round r ON r.merchant = b.merchant AND r.batch = b.seq
WHERE b.merchant = :merchant AND b.id = :batch::uuid AND NOT b.deleting AND r.ended_at IS NOT NULL ORDER BY r.number

-- name: issue_group
SELECT g.batch, g.code, g.severity, g.field, g.count, g.top
FROM unnest(:batches::bigint[], :codes::text[], :severities::text[], :fields::text[])
    AS n (batch, code, severity, field)
JOIN issue_group g ON g.merchant = :merchant AND g.batch = n.batch AND g.code = n.code AND g.severity = n.severity
    AND g.field = n.field

-- name: put_issue_group
INSERT INTO issue_group (merchant, batch, code, severity, field, count, top, "column")
SELECT :merchant, n.batch, n.code, n.severity, n.field, n.count, n.top::json, n."column"
FROM unnest(:batches::bigint[], :codes::text[], :severities::text[], :fields::text[], :counts::bigint[], :tops::text[],
            :columns::text[])
    AS n (batch, code, severity, field, count, top, "column")
ON CONFLICT (merchant, batch, code, severity, field) DO UPDATE SET count = excluded.count, top = excluded.top

-- name: delete_issue_group
DELETE FROM issue_group g
USING unnest(:batches::bigint[], :codes::text[], :severities::text[], :fields::text[])
    AS n (batch, code, severity, field)
WHERE g.merchant = :merchant AND g.batch = n.batch AND g.code = n.code AND g.severity = n.severity
  AND g.field = n.field

-- name: issue_groups
SELECT g.code, g.severity, g.field, g.count, g.top, g."column"
FROM batch b
JOIN issue_group g ON g.merchant = b.merchant AND g.batch = CASE b.trial WHEN 1 THEN -b.seq ELSE b.seq END
WHERE b.merchant = :merchant AND b.id = :batch::uuid AND NOT b.deleting
ORDER BY g.count DESC, g.code, g.severity, g.field LIMIT :limit

-- ================================================ records that wait ===============================================

-- name: waiting_until
SELECT number, min(expires_at) FROM waiting_reference
WHERE merchant = :merchant AND batch = :batch
  AND number = ANY (ARRAY(SELECT value::bigint FROM json_array_elements_text(:numbers::json))) GROUP BY number

-- name: delete_waiting
DELETE FROM waiting_reference
WHERE merchant = :merchant AND batch = :batch
  AND number = ANY (ARRAY(SELECT value::bigint FROM json_array_elements_text(:numbers::json)))

-- name: add_waiting
INSERT INTO waiting_reference (merchant, batch, number, kind, code, lane, collection, key, version, expires_at)
SELECT :merchant, :batch, (w.row ->> 0)::bigint, w.row ->> 1, w.row ->> 2, :lane, :collection, w.row ->> 3,
       (w.row ->> 4)::bigint, (w.row ->> 5)::bigint
FROM json_array_elements(:rows::json) AS w (row)

-- name: overtake_waiting
-- Records of batches before this one, and records of this batch before the number of each key.
UPDATE waiting_reference w SET overtaken = true, arrived = true
FROM (SELECT one ->> 0 AS key, (one ->> 1)::bigint AS number FROM json_array_elements(:keys::json) AS one OFFSET 0) j
WHERE w.merchant = :merchant AND w.lane = :lane AND w.collection = :collection AND w.key = j.key COLLATE "C"
  AND (w.batch < :batch OR (w.batch = :batch AND w.number < j.number))

-- name: mark_products_arrived
UPDATE waiting_reference w SET arrived = true
FROM (SELECT value FROM json_array_elements_text(:keys::json) OFFSET 0) j
WHERE w.merchant = :merchant AND w.kind = 'product' AND w.code = j.value COLLATE "C" AND w.collection = :collection
  AND NOT w.arrived

-- name: mark_all_products_arrived
UPDATE waiting_reference SET arrived = true
WHERE merchant = :merchant AND kind = 'product' AND collection = :collection AND NOT arrived

-- name: put_group_parents
-- One that would not be kept is, under a name for which records wait. An older batch changes nothing.
INSERT INTO group_parent (merchant, collection, name, batch, body, expires_at)
SELECT :merchant, :collection, j.name, :batch, j.body, greatest(j.until, coalesce(w.until, 0))
FROM (
    SELECT one ->> 0 AS name, one ->> 1 AS body, (one ->> 2)::bigint AS until
    FROM json_array_elements(:parents::json) AS one OFFSET 0
) j LEFT JOIN LATERAL (
    SELECT max(w.expires_at) AS until FROM waiting_reference w
    WHERE w.merchant = :merchant AND w.kind = 'parent' AND w.code = j.name COLLATE "C" AND w.collection = :collection
) w ON true
WHERE j.until > 0 OR w.until IS NOT NULL
ON CONFLICT (merchant, collection, name) DO UPDATE
SET batch = excluded.batch, body = excluded.body, expires_at = greatest(excluded.expires_at, group_parent.expires_at)
WHERE excluded.batch >= group_parent.batch

-- name: mark_parents_arrived
UPDATE waiting_reference w SET arrived = true
FROM (SELECT value FROM json_array_elements_text(:names::json) OFFSET 0) j
WHERE w.merchant = :merchant AND w.kind = 'parent' AND w.code = j.value COLLATE "C" AND w.collection = :collection
  AND NOT w.arrived AND EXISTS (
      SELECT 1 FROM group_parent g WHERE g.merchant = :merchant AND g.collection = :collection AND g.name = w.code
  )

-- name: group_parents
SELECT g.name, g.body FROM (SELECT value FROM json_array_elements_text(:names::json) OFFSET 0) j
JOIN group_parent g ON g.merchant = :merchant AND g.collection = :collection AND g.name = j.value COLLATE "C"

-- name: awaits_parents
SELECT EXISTS (
    SELECT 1 FROM waiting_reference WHERE merchant = :merchant AND kind = 'parent' AND collection = :collection
)

-- name: delete_group_parents
-- Every merchant: what is past its time.
DELETE FROM group_parent WHERE (merchant, collection, name) IN (
    SELECT merchant, collection, name FROM group_parent WHERE expires_at <= :now LIMIT :limit
)

-- name: lock_products
-- Differs because others work at the same time: until the commit, no products are committed that records wait for.
SELECT pg_advisory_xact_lock(number)::text FROM merchant WHERE number = :merchant

-- name: waiting_for
SELECT w.kind, w.code, count(*), min(w.expires_at)
FROM batch b JOIN waiting_reference w ON w.merchant = b.merchant AND w.batch = b.seq
WHERE b.merchant = :merchant AND b.id = :id::uuid
GROUP BY w.kind, w.code ORDER BY count(*) DESC, w.kind, w.code LIMIT :limit

-- name: waiting_records
-- Differs because the client receives all rows: the server stops after so many bytes.
SELECT number, source_row, fix_round, fix_row, key, result, issues, role, raw FROM (
    SELECT number, source_row, fix_round, fix_row, key, result, issues, role, raw,
           sum(length(raw)) OVER (ORDER BY number) - length(raw) AS bytes_before
    FROM (
        SELECT number, source_row, fix_round, fix_row, key, result, issues, role, raw FROM finding
        WHERE merchant = :merchant AND batch = :batch AND number > :after AND has_error AND result = :waiting
        ORDER BY number LIMIT :limit
    ) page
) summed
WHERE bytes_before < :bytes_max ORDER BY number

-- name: ready_records
-- Differs because the client receives all rows: the server stops after so many bytes.
SELECT number, source_row, fix_round, fix_row, key, result, issues, role, raw FROM (
    SELECT f.number, f.source_row, f.fix_round, f.fix_row, f.key, f.result, f.issues, f.role, f.raw,
           sum(length(f.raw)) OVER (ORDER BY f.number) - length(f.raw) AS bytes_before
    FROM (
        SELECT number FROM waiting_reference WHERE merchant = :merchant AND batch = :batch AND number > :after
        GROUP BY number HAVING bool_and(arrived) OR min(expires_at) <= :now ORDER BY number LIMIT :limit
    ) w CROSS JOIN LATERAL (
        SELECT number, source_row, fix_round, fix_row, key, result, issues, role, raw FROM finding
        WHERE merchant = :merchant AND batch = :batch AND number = w.number OFFSET 0
    ) f
) summed
WHERE bytes_before < :bytes_max ORDER BY number

-- name: waiting_marks
SELECT number, max(overtaken::integer), min(expires_at) <= :now FROM waiting_reference
WHERE merchant = :merchant AND batch = :batch
  AND number = ANY (ARRAY(SELECT value::bigint FROM json_array_elements_text(:numbers::json))) GROUP BY number

-- name: waiting_keys
SELECT DISTINCT key FROM waiting_reference
WHERE merchant = :merchant AND lane = :lane AND collection = :collection AND key > :after AND batch < :batch
  AND NOT overtaken
ORDER BY key LIMIT :limit

-- name: changed_references
-- Every merchant: the worker looks for what has arrived. Steps from one to the next in the index.
-- Differs because it knows the current version.
WITH RECURSIVE w (merchant) AS (
    SELECT min(merchant) FROM waiting_reference WHERE NOT arrived AND kind NOT IN ('product', 'parent')
    UNION ALL
    SELECT (SELECT min(n.merchant) FROM waiting_reference n
            WHERE NOT n.arrived AND n.kind NOT IN ('product', 'parent') AND n.merchant > w.merchant)
    FROM w WHERE w.merchant IS NOT NULL
)
SELECT m.id, m.reference_version FROM w JOIN merchant m ON m.number = w.merchant WHERE m.reference_version > (
    SELECT min(n.version) FROM waiting_reference n
    WHERE n.merchant = w.merchant AND NOT n.arrived AND n.kind NOT IN ('product', 'parent')
)

-- name: awaited_references
SELECT DISTINCT kind, code FROM waiting_reference
WHERE merchant = :merchant AND NOT arrived AND kind NOT IN ('product', 'parent') AND version < :version LIMIT :limit

-- name: mark_references
UPDATE waiting_reference w SET version = :version, arrived = w.arrived OR :arrived
FROM (SELECT one ->> 0 AS kind, one ->> 1 AS code FROM json_array_elements(:references::json) AS one OFFSET 0) j
WHERE w.merchant = :merchant AND w.kind = j.kind COLLATE "C" AND w.code = j.code COLLATE "C"

-- name: ready_batches
-- Every merchant: the worker looks for what has arrived.
-- Differs because the rounds are in the same database.
SELECT m.id, b.id FROM batch b JOIN merchant m ON m.number = b.merchant
WHERE b.waiting > 0 AND NOT b.deleting AND NOT EXISTS (
    SELECT 1 FROM round o WHERE o.merchant = b.merchant AND o.batch = b.seq AND o.open
) AND (EXISTS (
    SELECT 1 FROM waiting_reference w WHERE w.merchant = b.merchant AND w.batch = b.seq AND w.expires_at <= :now
) OR EXISTS (
    SELECT 1 FROM waiting_reference w
    WHERE w.merchant = b.merchant AND w.batch = b.seq AND w.arrived AND NOT EXISTS (
        SELECT 1 FROM waiting_reference o
        WHERE o.merchant = b.merchant AND o.batch = b.seq AND o.number = w.number AND NOT o.arrived
    )
))
ORDER BY b.seq LIMIT :limit

-- ============================================ seen keys of a batch ==========================================

-- name: create_seen_keys
-- Every merchant: a file of this process only, for one batch.
-- Differs because it is a separate SQLite database: a connection pool keeps no temporary table.
CREATE TABLE seen_key (key TEXT PRIMARY KEY) WITHOUT ROWID

-- name: add_seen_keys
-- Every merchant: a file of this process only, for one batch.
-- Differs because it is a separate SQLite database.
INSERT OR IGNORE INTO seen_key (key) SELECT value FROM json_each(:keys)

-- name: seen_keys
-- Every merchant: a file of this process only, for one batch.
-- Differs because it is a separate SQLite database.
SELECT s.key FROM json_each(:keys) j CROSS JOIN seen_key s ON s.key = j.value

-- name: absent_items
-- Differs because the client has the keys of the feed and compares.
SELECT key FROM item
WHERE merchant = :merchant AND collection = :collection
  AND (folded, key) > (lower(:after::text COLLATE "C"), :after::text COLLATE "C")
  AND hash IS NOT NULL AND written_at < :first_at
ORDER BY folded, key LIMIT :limit

-- ================================================== dry runs ====================================================

-- name: diff
SELECT last, summary::text FROM diff WHERE merchant = :merchant AND batch = :batch

-- name: put_diff
INSERT INTO diff (merchant, batch, last, summary) VALUES (:merchant, :batch, :last, :summary::json)
ON CONFLICT (merchant, batch) DO UPDATE SET last = excluded.last, summary = excluded.summary

-- name: add_diff_segments
INSERT INTO diff_segment (merchant, batch, first, count, body)
SELECT :merchant, :batch, p.first, p.count, p.body
FROM unnest(:firsts::bigint[], :counts::integer[], :bodies::bytea[]) AS p (first, count, body)

-- name: diff_segments
-- The last segment that begins before the next number may contain it.
SELECT first, count, body FROM diff_segment
WHERE merchant = :merchant AND batch = :batch AND first >= coalesce((
    SELECT max(first) FROM diff_segment WHERE merchant = :merchant AND batch = :batch AND first <= :after + 1
), 0) AND first + count > :after + 1
ORDER BY first LIMIT :limit

-- name: create_dry_run_keys
-- Every merchant: a file of this process only, for one batch.
-- Differs because it is a separate SQLite database.
CREATE TABLE dry_run_key (
    folded TEXT, key TEXT, number INTEGER, live INTEGER, PRIMARY KEY (folded, key)
) WITHOUT ROWID

-- name: add_dry_run_key
-- Every merchant: a file of this process only, for one batch.
-- Differs because it is a separate SQLite database.
INSERT OR REPLACE INTO dry_run_key (folded, key, number, live) VALUES (?, ?, ?, ?)

-- name: dry_run_keys
-- Every merchant: a file of this process only, for one batch.
-- Differs because it is a separate SQLite database.
SELECT k.folded, k.key, k.number, k.live FROM json_each(:keys) j CROSS JOIN dry_run_key k ON k.folded = j.value
ORDER BY k.folded, k.key

-- ================================================ retention, reports =============================================

-- name: delete_some_findings
-- Differs because rows have no single id.
DELETE FROM finding WHERE merchant = :merchant AND batch = :batch AND number IN (
    SELECT number FROM finding WHERE merchant = :merchant AND batch = :batch ORDER BY number LIMIT :limit
)

-- name: lock_finding_sweep
-- Differs because others work at the same time: a chunk may refer to what is swept.
SELECT pg_advisory_xact_lock(number # :key)::text FROM merchant WHERE number = :merchant

-- name: batch_finding_segments
SELECT first, base_batch, base_first FROM finding_segment
WHERE merchant = :merchant AND batch = :batch AND NOT is_hidden ORDER BY first LIMIT :limit

-- name: hide_finding_segments
UPDATE finding_segment SET is_hidden = true
WHERE merchant = :merchant AND batch = :batch AND first = ANY (ARRAY(SELECT value::bigint FROM json_array_elements_text(:firsts::json)))

-- name: unused_finding_segments
SELECT s.batch, s.first, s.body
FROM (SELECT (value ->> 0)::bigint AS batch, (value ->> 1)::bigint AS first
      FROM json_array_elements(:places::json) OFFSET 0) j
CROSS JOIN LATERAL (
    SELECT batch, first, body FROM finding_segment
    WHERE merchant = :merchant AND batch = j.batch AND first = j.first AND is_hidden OFFSET 0
) s
WHERE NOT EXISTS (
    SELECT 1 FROM finding_segment r
    WHERE r.merchant = :merchant AND r.base_batch = s.batch AND r.base_first = s.first
)

-- name: delete_finding_places
DELETE FROM finding_place WHERE merchant = :merchant AND (stem, hash, batch, first, place) IN (
    SELECT (value ->> 0) COLLATE "C", (value ->> 1)::bigint, (value ->> 2)::bigint, (value ->> 3)::bigint,
           (value ->> 4)::integer
    FROM json_array_elements(:keys::json)
)

-- name: delete_finding_segments
DELETE FROM finding_segment WHERE merchant = :merchant AND (batch, first) IN (
    SELECT (value ->> 0)::bigint, (value ->> 1)::bigint FROM json_array_elements(:places::json)
)

-- name: delete_some_chunks
DELETE FROM chunk WHERE merchant = :merchant AND batch = :batch AND first IN (
    SELECT first FROM chunk WHERE merchant = :merchant AND batch = :batch ORDER BY first LIMIT :limit
)

-- name: delete_some_issue_groups
DELETE FROM issue_group WHERE merchant = :merchant AND batch = :batch AND (code, severity, field) IN (
    SELECT code, severity, field FROM issue_group WHERE merchant = :merchant AND batch = :batch LIMIT :limit
)

-- name: delete_some_diff_segments
DELETE FROM diff_segment WHERE merchant = :merchant AND batch = :batch AND first IN (
    SELECT first FROM diff_segment WHERE merchant = :merchant AND batch = :batch ORDER BY first LIMIT :limit
)

-- name: delete_diff
DELETE FROM diff WHERE merchant = :merchant AND batch = :batch

-- name: delete_stock_orders
-- Every merchant: the sweep.
DELETE FROM stock_order WHERE closed_at < :before AND (merchant, collection, name) IN (
    SELECT merchant, collection, name FROM stock_order WHERE closed_at < :before ORDER BY closed_at LIMIT :limit
)

-- name: tombstones_due
-- Every merchant: the sweep.
-- Differs because items are never read without their merchant: the collection tells whether it has tombstones.
SELECT merchant, id FROM collection WHERE tombstone_at < :before LIMIT :limit

-- name: delete_tombstones
-- Differs because rows have no single id.
DELETE FROM item WHERE merchant = :merchant AND collection = :collection AND hash IS NULL AND (folded, key) IN (
    SELECT folded, key FROM item
    WHERE merchant = :merchant AND collection = :collection AND hash IS NULL AND written_at < :before
    ORDER BY written_at LIMIT :limit
)

-- name: mark_tombstones_deleted
-- Differs because the collection tells whether it has tombstones.
UPDATE collection SET tombstone_at = (
    SELECT min(written_at) FROM item WHERE merchant = :merchant AND collection = collection.id AND hash IS NULL
) WHERE merchant = :merchant AND id = :collection
