-- Every statement of the embedded store, by name. Each is limited to one merchant, or says on a line
-- "-- Every merchant: …" why it is not (tested). Statements of the intake file first, then the catalogue's.

-- =============================================== intake: identity ==============================================

-- name: intake_identity
-- Differs because there are two files.
-- Every merchant: it identifies the file.
SELECT store, generation, raising FROM intake_identity

-- name: add_intake_identity
-- Differs because there are two files.
-- Every merchant: it identifies the file.
INSERT INTO intake_identity (store, generation, raising) SELECT :store, 0, 1
WHERE NOT EXISTS (SELECT 1 FROM intake_identity)

-- name: begin_generation
-- Differs because there are two files.
-- Every merchant: it identifies the file.
UPDATE intake_identity SET raising = 1

-- name: end_generation
-- Differs because there are two files.
-- Every merchant: it identifies the file.
UPDATE intake_identity SET generation = :generation, raising = 0

-- name: last_finished
-- Differs because there are two files.
-- Every merchant: it tells how far the other file must be.
SELECT max(finished_at) FROM batch WHERE finished_at IS NOT NULL

-- name: rounds_of_batch
-- Differs because there are two files.
SELECT rounds FROM batch WHERE merchant = :merchant AND id = :id

-- name: last_merchant_number
-- Differs because numbers are given out one after the other.
-- Every merchant: the next number is one that none has.
SELECT coalesce(max(number), 0) FROM merchant

-- ============================================ intake: merchants, keys ===========================================

-- name: merchant_number
SELECT number FROM merchant WHERE id = :id

-- name: add_merchant
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

-- ============================================== intake: reference ===============================================

-- name: next_reference_version
-- The time, so that a restored backup does not use a version again that processes have cached.
UPDATE merchant SET reference_version = max(reference_version + 1, :now) WHERE number = :merchant
RETURNING reference_version

-- name: put_entries
INSERT INTO reference_entry (merchant, kind, code, name, parent, data, folded, version)
SELECT :merchant, :kind, value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4, :version
FROM json_each(:entries) WHERE true
ON CONFLICT (merchant, kind, code) DO UPDATE
SET name = excluded.name, parent = excluded.parent, data = excluded.data, folded = excluded.folded,
    version = excluded.version

-- name: delete_older_entries
DELETE FROM reference_entry WHERE merchant = :merchant AND kind = :kind AND version < :version

-- name: count_entries
SELECT count(*) FROM reference_entry WHERE merchant = :merchant AND kind = :kind

-- name: entries
SELECT code, name, parent, data FROM reference_entry
WHERE merchant = :merchant AND kind = :kind AND code > :after AND (:search = '' OR instr(folded, :search) > 0)
ORDER BY code LIMIT :limit

-- name: reference_version
SELECT reference_version FROM merchant WHERE number = :merchant

-- name: merchant_version
-- Differs because records that wait are in the other file than reference data.
SELECT id, reference_version FROM merchant WHERE number = :merchant

-- ================================================= intake: audit ================================================

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

-- =============================================== intake: resources ==============================================

-- name: next_number
INSERT INTO numbering (merchant, type, last) VALUES (:merchant, :type, :count)
ON CONFLICT (merchant, type) DO UPDATE SET last = numbering.last + :count RETURNING last

-- name: next_common_number
-- Every merchant: the number is unique in the installation.
INSERT INTO common_numbering (type, last) VALUES (:type, 1)
ON CONFLICT (type) DO UPDATE SET last = common_numbering.last + 1 RETURNING last

-- name: last_number
SELECT last FROM numbering WHERE merchant = :merchant AND type = :type

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
SELECT number, version, name, CAST(body AS BLOB), expires_at FROM resource
WHERE merchant = :merchant AND type = :type AND number = :number AND (expires_at IS NULL OR expires_at > :now)

-- name: resources
SELECT number, version, name, CAST(body AS BLOB), expires_at FROM resource
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
SELECT r.number, r.version, r.name, CAST(r.body AS BLOB), r.expires_at FROM label AS l
JOIN resource AS r ON r.merchant = l.merchant AND r.type = l.type AND r.number = l.number
WHERE l.merchant = :merchant AND l.type = :type AND l.label = :label AND l.position BETWEEN :since AND :until
    AND (r.expires_at IS NULL OR r.expires_at > :now)
ORDER BY l.position, l.number LIMIT :limit OFFSET :offset

-- =============================================== intake: messages ===============================================

-- name: subscribers
-- The resources of a type that have one of the labels, by label.
SELECT label, number FROM label
WHERE merchant = :merchant AND type = :type AND label IN (SELECT value FROM json_each(:labels))
ORDER BY number

-- name: has_labels
SELECT 1 FROM label WHERE merchant = :merchant AND type = :type LIMIT 1

-- name: add_messages
-- One in order is due if no other waits in its queue.
INSERT INTO message (merchant, number, topic, subject, body, created_at, due_at, in_order)
SELECT :merchant, value ->> 0, value ->> 1, value ->> 2, value ->> 3, :now,
       CASE WHEN value ->> 5 AND EXISTS (
           SELECT 1 FROM message q WHERE q.merchant = :merchant AND q.topic = value ->> 1 AND q.subject = value ->> 2
               AND q.in_order AND q.due_at IS NOT NULL
       ) THEN :behind ELSE value ->> 4 END,
       value ->> 5
FROM json_each(:messages)

-- name: due_merchants
-- Every merchant: they take turns. Steps from one to the next in the index, however many messages each has.
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

-- name: claim_message
UPDATE message SET due_at = :until, attempts = attempts + 1
WHERE merchant = :merchant AND number = (
    SELECT number FROM message WHERE merchant = :merchant AND due_at <= :now ORDER BY due_at, number LIMIT 1
)
RETURNING number, topic, subject, CAST(body AS BLOB), created_at, attempts, due_at, in_order, sent_at, given_up_at, last_error,
          history

-- name: mark_message_sent
UPDATE message SET sent_at = :now, given_up_at = NULL, due_at = NULL, last_error = '',
                   history = iif(:attempt = '[]', history, json_insert(history, '$[#]', json(:attempt)))
WHERE merchant = :merchant AND number = :number AND sent_at IS NULL

-- name: postpone_message
UPDATE message SET due_at = :due_at, last_error = :last_error, in_order = in_order AND NOT :leave_queue,
                   history = iif(:attempt = '[]', history, json_insert(history, '$[#]', json(:attempt)))
WHERE merchant = :merchant AND number = :number AND attempts = :attempts AND due_at IS NOT NULL

-- name: give_up_message
UPDATE message SET given_up_at = :now, due_at = NULL, last_error = :last_error,
                   history = iif(:attempt = '[]', history, json_insert(history, '$[#]', json(:attempt)))
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
WHERE merchant = :merchant AND number IN (SELECT value FROM json_each(:numbers))

-- name: messages
SELECT number, topic, subject, CAST(body AS BLOB), created_at, attempts, due_at, in_order, sent_at, given_up_at, last_error,
       history
FROM message
WHERE merchant = :merchant AND number > :after AND (:topic IS NULL OR topic = :topic)
  AND (:state IS NULL OR :state = CASE
       WHEN sent_at IS NOT NULL THEN 'sent' WHEN given_up_at IS NULL THEN 'waiting' ELSE 'given_up' END)
ORDER BY number LIMIT :limit

-- name: newest_messages
SELECT number, topic, subject, CAST(body AS BLOB), created_at, attempts, due_at, in_order, sent_at, given_up_at, last_error,
       history
FROM message
WHERE merchant = :merchant AND topic = :topic AND subject = :subject AND number < :before
  AND (:state IS NULL OR :state = CASE
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

-- ================================================= intake: jobs =================================================

-- name: has_due_job
-- Every merchant: whether anything is to be claimed.
SELECT 1 FROM job j
WHERE coalesce(j.lease_until, j.due_at) <= :now AND j.type IN (SELECT value FROM json_each(:types))
  AND j.merchant NOT IN (SELECT value FROM json_each(:without))
LIMIT 1

-- name: due_job
-- Every merchant: whoever has waited longest is next.
SELECT o.number, o.id, j.type, j.number, j.due_at, j.requested, j.lease_until, j.attempt, j.alert, CAST(j.state AS BLOB), j.runs
FROM job j JOIN merchant o ON o.number = j.merchant
WHERE coalesce(j.lease_until, j.due_at) <= :now AND j.type IN (SELECT value FROM json_each(:types))
  AND j.merchant NOT IN (SELECT value FROM json_each(:without))
ORDER BY coalesce(j.lease_until, j.due_at), j.merchant, j.type, j.number LIMIT 1

-- name: claim_job
UPDATE job SET lease_until = :until, due_at = NULL, attempt = attempt + 1
WHERE merchant = :merchant AND type = :type AND number = :number

-- name: renew_job
UPDATE job SET lease_until = :until
WHERE merchant = :merchant AND type = :type AND number = :number AND attempt = :attempt AND lease_until IS NOT NULL

-- name: save_job
UPDATE job SET state = :state, alert = :alert
WHERE merchant = :merchant AND type = :type AND number = :number AND attempt = :attempt AND lease_until IS NOT NULL

-- name: end_job
-- What was set since the claim stays.
UPDATE job SET lease_until = NULL, due_at = coalesce(due_at, :due_at),
               requested = CASE WHEN due_at IS NULL THEN :requested ELSE requested END
WHERE merchant = :merchant AND type = :type AND number = :number AND attempt = :attempt

-- name: set_job
INSERT INTO job (merchant, type, number, due_at, requested)
VALUES (:merchant, :type, :number, :due_at, :requested)
ON CONFLICT (merchant, type, number) DO UPDATE SET due_at = :due_at, requested = :requested

-- name: jobs
SELECT j.number, j.due_at, j.requested, j.lease_until, j.attempt, j.alert, CAST(j.state AS BLOB), j.runs FROM job j
WHERE j.merchant = :merchant AND j.type = :type AND (:number IS NULL OR j.number = :number) ORDER BY j.number

-- name: job_alerts
-- Every merchant: for metrics.
SELECT type, alert, count(*) FROM job WHERE alert <> '' GROUP BY type, alert

-- name: save_run
INSERT INTO job_run (merchant, type, number, run, started_at, ended_at, body)
VALUES (:merchant, :type, :number, :run, :started_at, :ended_at, :body)
ON CONFLICT (merchant, type, number, run) DO UPDATE SET ended_at = :ended_at, body = :body

-- name: count_run
UPDATE job SET runs = :run WHERE merchant = :merchant AND type = :type AND number = :number AND runs < :run

-- name: delete_old_runs
DELETE FROM job_run WHERE merchant = :merchant AND type = :type AND number = :number AND run <= :until

-- name: job_runs
SELECT run, started_at, ended_at, CAST(body AS BLOB) FROM job_run
WHERE merchant = :merchant AND type = :type AND number = :number AND run < :before ORDER BY run DESC LIMIT :limit

-- ============================================== intake: submissions ===============================================

-- name: idempotency_key
SELECT expires_at, fingerprint, body, batch FROM idempotency_key WHERE merchant = :merchant AND key = :key

-- name: reserve_idempotency_key
INSERT INTO idempotency_key (merchant, key, expires_at, created_at) VALUES (:merchant, :key, :until, :now)
ON CONFLICT (merchant, key) DO UPDATE SET expires_at = :until, created_at = :now

-- name: renew_idempotency_key
UPDATE idempotency_key SET expires_at = :until WHERE merchant = :merchant AND key = :key AND body IS NULL

-- name: release_idempotency_key
DELETE FROM idempotency_key WHERE merchant = :merchant AND key = :key AND body IS NULL

-- name: answer_idempotency_key
INSERT INTO idempotency_key (merchant, key, expires_at, created_at, fingerprint, body, batch)
VALUES (:merchant, :key, 0, :now, :fingerprint, :body, :batch)
ON CONFLICT (merchant, key) DO UPDATE
SET expires_at = 0, created_at = :now, fingerprint = :fingerprint, body = :body, batch = :batch
WHERE idempotency_key.body IS NULL

-- name: count_open_rounds
-- Differs because a statement costs no network round trip.
SELECT coalesce(sum(open), 0) FROM lane WHERE merchant = :merchant

-- name: add_batch
INSERT INTO batch (merchant, id, kind, collection, policy, format, content_encoding, label, folded, protocol,
                   protocol_data, bytes_total, received_at)
VALUES (:merchant, :id, :kind, :collection, :policy, :format, :content_encoding, :label, :folded, :protocol,
        :protocol_data, :bytes, :now)

-- name: add_round
INSERT INTO round (merchant, kind, collection, batch, number, round_kind, format, content_encoding, bytes, file,
                   starts_at, waits_for, waits_until, request, traceparent, submitter)
SELECT merchant, kind, collection, seq, rounds - 1, :round_kind, :format, :content_encoding, :bytes, :file, :starts_at,
       CASE WHEN :waits_until > 0 THEN coalesce((
           SELECT max(p.id) FROM round p
           WHERE p.merchant = :merchant AND p.kind = 'product' AND p.collection = batch.collection AND p.open = 1
             AND p.starts_at = 0
       ), 0) ELSE 0 END, :waits_until, :request, :traceparent, :submitter
FROM batch WHERE merchant = :merchant AND id = :id

-- name: add_payload
INSERT INTO payload (round, merchant, bytes) VALUES (last_insert_rowid(), :merchant, :content)

-- name: open_lane
-- A lane without work has lost its turn to those of the merchant that were served meanwhile.
UPDATE lane
SET open = open + 1, waits_until = max(waits_until, :waits_until), served = CASE WHEN open > 0 THEN served ELSE (
    SELECT max(o.served) FROM lane o WHERE o.merchant = :merchant AND o.kind = :kind
) END
WHERE merchant = :merchant AND kind = :kind AND collection = :collection

-- name: add_lane
-- Differs because one more statement is cheap here.
INSERT INTO lane (merchant, kind, collection, open, waits_until, served, claimed)
SELECT :merchant, :kind, :collection, 1, :waits_until, coalesce(max(served), 0), coalesce(max(served), 0)
FROM lane WHERE merchant = :merchant AND kind = :kind

-- name: open_rounds_of_key
SELECT count(*) FROM round WHERE merchant = :merchant AND open = 1 AND submitter = :submitter

-- name: reopen_batch
UPDATE batch
SET rounds = rounds + 1, bytes_total = bytes_total + :bytes, state = NULL, finished_at = NULL,
    payload_kept = payload_kept OR :has_payload, report_kept = 1
WHERE merchant = :merchant AND id = :id

-- name: payload
SELECT r.file, r.bytes, p.bytes
FROM batch b JOIN round r ON r.batch = b.seq AND r.number = :round LEFT JOIN payload p ON p.round = r.id
WHERE b.merchant = :merchant AND b.id = :id

-- name: waiting_payloads
-- Differs because payloads are files.
-- Every merchant: the store as a whole is checked.
SELECT file, bytes FROM round WHERE open = 1 AND file IS NOT NULL ORDER BY id LIMIT :limit

-- =========================================== intake: batch documents ============================================

-- name: batch
SELECT * FROM batch_document WHERE merchant = :merchant AND id = :id

-- name: batch_revisions
-- Every merchant: for all clients that wait.
SELECT b.id, b.rounds, b.state, r.open, r.cancelling, r.approved, r.started_at
FROM json_each(:batches) w
CROSS JOIN batch b ON b.merchant = w.value->>0 AND b.id = unhex(w.value->>1) AND b.deleting = 0
CROSS JOIN round r ON r.batch = b.seq AND r.number = b.rounds - 1

-- name: lane_revisions
-- Every merchant: for all clients that wait.
SELECT merchant, sum(attempt) FROM lane WHERE merchant IN (SELECT value FROM json_each(:merchants)) GROUP BY merchant

-- name: batches
-- Whether an open batch matches is decided by its progress, in the catalogue file. Only the index is read of batches of
-- another kind, or without the word.
SELECT d.* FROM batch p INDEXED BY batch_newest CROSS JOIN batch_document d ON d.seq = p.seq
WHERE p.merchant = :merchant AND p.seq < :after
  AND (:kind IS NULL OR p.kind = :kind)
  AND (:word IS NULL OR instr(p.folded, :word) > 0 OR p.id BETWEEN unhex(:low) AND unhex(:high))
  AND (:collection IS NULL OR d.collection = :collection)
  AND (:since IS NULL OR d.received_at >= :since)
  AND (:until IS NULL OR d.received_at < :until)
  AND (:words IS NULL OR NOT EXISTS (
       SELECT 1 FROM json_each(:words) w
       WHERE instr(d.folded, w.value) = 0 AND instr(lower(hex(d.id)), w.value) <> 1))
  AND (:protocol IS NULL OR d.protocol = :protocol)
  AND (:view IS NULL OR d.open = 1 OR :view = CASE
       WHEN d.state = 'broken' THEN 'failed' WHEN d.state <> 'finished' THEN ''
       WHEN d.rejected + d.waiting = 0 AND d.file_errors = 0 AND d.withheld IS NULL THEN 'clean' ELSE 'failed' END)
  AND (:state IS NULL OR d.open = 1 OR d.state = :state)
  AND (:outcome IS NULL OR d.open = 1 OR (d.state = 'finished' AND :outcome = CASE
       WHEN d.rejected + d.waiting = 0 AND d.file_errors = 0 AND d.withheld IS NULL THEN 'clean'
       WHEN d.created + d.updated + d.unchanged + d.deleted + d.superseded + d.cancelled + d.merged + d.waiting = 0
       THEN 'rejected' ELSE 'partial' END))
ORDER BY p.seq DESC LIMIT :limit

-- name: open_batches
-- Differs because the progress of an open batch is in the other file, and because plans do not depend on values here.
SELECT d.* FROM round o CROSS JOIN batch p ON p.seq = o.batch CROSS JOIN batch_document d ON d.seq = o.batch
WHERE o.merchant = :merchant AND o.open = 1 AND o.batch < :after
  AND (:kind IS NULL OR p.kind = :kind)
  AND (:word IS NULL OR instr(p.folded, :word) > 0 OR p.id BETWEEN unhex(:low) AND unhex(:high))
  AND (:collection IS NULL OR d.collection = :collection)
  AND (:since IS NULL OR d.received_at >= :since)
  AND (:until IS NULL OR d.received_at < :until)
  AND (:words IS NULL OR NOT EXISTS (
       SELECT 1 FROM json_each(:words) w
       WHERE instr(d.folded, w.value) = 0 AND instr(lower(hex(d.id)), w.value) <> 1))
  AND (:protocol IS NULL OR d.protocol = :protocol)
ORDER BY o.batch DESC LIMIT :limit

-- name: failed_batches
-- Differs because plans do not depend on values here: this one reads the index of batches with something wrong.
SELECT d.* FROM batch p INDEXED BY batch_failed CROSS JOIN batch_document d ON d.seq = p.seq
WHERE p.merchant = :merchant AND p.seq < :after AND p.finished_at IS NOT NULL AND p.state <> 'cancelled'
  AND (p.state = 'broken' OR p.rejected + p.waiting > 0 OR p.file_errors > 0 OR p.withheld IS NOT NULL)
  AND (:kind IS NULL OR p.kind = :kind)
  AND (:word IS NULL OR instr(p.folded, :word) > 0 OR p.id BETWEEN unhex(:low) AND unhex(:high))
  AND (:collection IS NULL OR d.collection = :collection)
  AND (:since IS NULL OR d.received_at >= :since)
  AND (:until IS NULL OR d.received_at < :until)
  AND (:words IS NULL OR NOT EXISTS (
       SELECT 1 FROM json_each(:words) w
       WHERE instr(d.folded, w.value) = 0 AND instr(lower(hex(d.id)), w.value) <> 1))
  AND (:protocol IS NULL OR d.protocol = :protocol)
  AND (:view IS NULL OR d.open = 1 OR :view = CASE
       WHEN d.state = 'broken' THEN 'failed' WHEN d.state <> 'finished' THEN ''
       WHEN d.rejected + d.waiting = 0 AND d.file_errors = 0 AND d.withheld IS NULL THEN 'clean' ELSE 'failed' END)
  AND (:state IS NULL OR d.open = 1 OR d.state = :state)
  AND (:outcome IS NULL OR d.open = 1 OR (d.state = 'finished' AND :outcome = CASE
       WHEN d.rejected + d.waiting = 0 AND d.file_errors = 0 AND d.withheld IS NULL THEN 'clean'
       WHEN d.created + d.updated + d.unchanged + d.deleted + d.superseded + d.cancelled + d.merged + d.waiting = 0
       THEN 'rejected' ELSE 'partial' END))
ORDER BY p.seq DESC LIMIT :limit

-- name: stopped_batches
-- Differs because plans do not depend on values here: this one reads the index of batches that did not finish.
SELECT d.* FROM batch p INDEXED BY batch_stopped CROSS JOIN batch_document d ON d.seq = p.seq
WHERE p.merchant = :merchant AND p.state = :state AND p.seq < :after AND p.finished_at IS NOT NULL
  AND p.state <> 'finished'
  AND (:kind IS NULL OR p.kind = :kind)
  AND (:word IS NULL OR instr(p.folded, :word) > 0 OR p.id BETWEEN unhex(:low) AND unhex(:high))
  AND (:collection IS NULL OR d.collection = :collection)
  AND (:since IS NULL OR d.received_at >= :since)
  AND (:until IS NULL OR d.received_at < :until)
  AND (:words IS NULL OR NOT EXISTS (
       SELECT 1 FROM json_each(:words) w
       WHERE instr(d.folded, w.value) = 0 AND instr(lower(hex(d.id)), w.value) <> 1))
  AND (:protocol IS NULL OR d.protocol = :protocol)
ORDER BY p.seq DESC LIMIT :limit

-- name: all_batches
-- Every merchant: for operators.
-- Whether an open batch matches is decided by its progress, in the catalogue file.
SELECT d.*, m.id FROM batch_document d CROSS JOIN merchant m ON m.number = d.merchant
WHERE d.seq < :after AND d.seq >= :oldest
  AND (:kind IS NULL OR d.kind = :kind)
  AND (:collection IS NULL OR d.collection = :collection)
  AND (:since IS NULL OR d.received_at >= :since)
  AND (:until IS NULL OR d.received_at < :until)
  AND (:all_words IS NULL OR NOT EXISTS (
       SELECT 1 FROM json_each(:all_words) w
       WHERE instr(d.folded || ' ' || lower(m.id), w.value) = 0 AND instr(lower(hex(d.id)), w.value) <> 1))
  AND (:view IS NULL OR d.open = 1 OR :view = CASE
       WHEN d.state = 'broken' THEN 'failed' WHEN d.state <> 'finished' THEN ''
       WHEN d.rejected + d.waiting = 0 AND d.file_errors = 0 AND d.withheld IS NULL THEN 'clean' ELSE 'failed' END)
  AND (:protocol IS NULL OR d.protocol = :protocol)
  AND (:state IS NULL OR d.open = 1 OR d.state = :state)
  AND (:outcome IS NULL OR d.open = 1 OR (d.state = 'finished' AND :outcome = CASE
       WHEN d.rejected + d.waiting = 0 AND d.file_errors = 0 AND d.withheld IS NULL THEN 'clean'
       WHEN d.created + d.updated + d.unchanged + d.deleted + d.superseded + d.cancelled + d.merged
            + d.waiting = 0 THEN 'rejected'
       ELSE 'partial' END))
ORDER BY d.seq DESC LIMIT :limit

-- name: oldest_open_of_all
-- Differs because the progress of an open batch is in the other file: listings need to know how far back to look.
-- Every merchant: for operators.
SELECT min(batch) FROM round WHERE open = 1

-- ================================================ intake: lanes =================================================

-- name: void_leases
-- Differs because only one process works, and its lock proves that the last one is dead.
-- Every merchant: the worker that held them is dead.
-- A lane that was voided before keeps its number: `attempt` is then one more than that of the dead worker's claim.
UPDATE lane SET expires_at = 0, attempt = attempt + 1 WHERE holder IS NOT NULL AND expires_at > 0

-- name: last_served
-- Differs because one process serves all lanes and counts.
-- Every merchant: they take turns.
SELECT coalesce(max(served), 0) FROM lane

-- name: cancelling_lane
-- Every merchant: the first round to be cancelled in a lane that nobody holds.
-- Differs because the lane is leased in a transaction of its own.
SELECT r.merchant, m.id, r.kind, r.collection, l.holder, l.attempt - (l.expires_at = 0), l.blocked_from
FROM round r CROSS JOIN lane l ON l.merchant = r.merchant AND l.kind = r.kind AND l.collection = r.collection
CROSS JOIN merchant m ON m.number = r.merchant
WHERE r.open = 1 AND r.cancelling = 1 AND (l.expires_at <= :now OR l.holder IS NULL) ORDER BY r.id LIMIT 1

-- name: ready_lane
-- Every merchant: they take turns.
-- Differs because the lane is leased in a transaction of its own.
SELECT l.merchant, m.id, l.kind, l.collection, l.holder, l.attempt - (l.expires_at = 0), l.blocked_from
FROM lane l CROSS JOIN merchant m ON m.number = l.merchant
WHERE l.open > 0 AND l.expires_at <= :now AND l.open > (
    SELECT count(*) FROM round r
    WHERE r.merchant = l.merchant AND r.kind = l.kind AND r.collection = l.collection AND r.open = 1
      AND r.starts_at > 0 AND r.starts_at > :now
)
  AND (l.blocked_from = 9223372036854775807 OR EXISTS (
      SELECT 1 FROM round r
      WHERE r.merchant = l.merchant AND r.kind = l.kind AND r.collection = l.collection AND r.open = 1
        AND r.id < l.blocked_from AND r.starts_at <= :now
  ))
  AND (l.waits_until <= :now OR NOT EXISTS (
      SELECT 1 FROM round r
      WHERE r.merchant = l.merchant AND r.waits_until > :now AND r.id = (
          SELECT min(h.id) FROM round h
          WHERE h.merchant = l.merchant AND h.kind = l.kind AND h.collection = l.collection AND h.open = 1
            AND h.starts_at <= :now
      ) AND EXISTS (
          SELECT 1 FROM round p
          WHERE p.merchant = r.merchant AND p.kind = 'product' AND p.collection = r.collection AND p.open = 1
            AND p.id <= r.waits_for AND p.starts_at <= :now
      )
  ))
ORDER BY l.served, l.claimed LIMIT 1

-- name: lease_lane
-- Differs because the lane was found before; nothing happens if another thread was faster.
UPDATE lane SET holder = :worker, expires_at = :until, served = :served, claimed = :served, attempt = attempt + 1
WHERE merchant = :merchant AND kind = :kind AND collection = :collection AND (expires_at <= :now OR holder IS NULL)
  AND attempt - (expires_at = 0) = :last AND holder IS :holder
RETURNING attempt

-- name: pass_turn
-- Merchants take turns, not lanes: the turn of one is that of the merchant's other collections as well.
-- Differs because another statement is cheap here.
UPDATE lane SET served = :served
WHERE merchant = :merchant AND kind = :kind AND collection <> :collection AND open > 0

-- name: open_rounds
SELECT r.id, b.seq, b.id, r.number, r.round_kind, b.collection, b.policy, r.format, r.content_encoding, r.bytes,
       b.received_at, coalesce(r.started_at, :now), r.cancelling, EXISTS (
           SELECT 1 FROM round q
           WHERE q.merchant = r.merchant AND q.kind = r.kind AND q.collection = r.collection AND q.open = 1
             AND q.starts_at > 0 AND q.id < r.id AND q.starts_at < :held
       ), r.attempt, r.deaths, r.death_chunks, r.waits_until > :now AND NOT r.cancelling AND EXISTS (
           SELECT 1 FROM round p
           WHERE p.merchant = r.merchant AND p.kind = 'product' AND p.collection = r.collection AND p.open = 1
             AND p.id <= r.waits_for AND p.starts_at <= :now
       ), r.request, r.traceparent, r.submitter, r.approved
FROM round r CROSS JOIN batch b ON b.seq = r.batch
WHERE r.merchant = :merchant AND r.kind = :kind AND r.collection = :collection AND r.open = 1
  AND r.cancelling >= :cancelling
  AND ((r.starts_at <= :now AND r.id < :blocked_from) OR r.cancelling = 1)
ORDER BY r.id LIMIT :limit

-- name: has_open_products
SELECT EXISTS (
    SELECT 1 FROM round r CROSS JOIN batch b ON b.merchant = r.merchant AND b.seq = r.batch
    WHERE r.merchant = :merchant AND r.kind = 'product' AND r.collection = :collection AND r.open = 1
      AND r.starts_at <= :now AND b.received_at < :before
)

-- name: start_rounds
UPDATE round SET attempt = :attempt, started_at = coalesce(started_at, :now)
WHERE id IN (SELECT value FROM json_each(:rounds)) AND merchant = :merchant

-- name: lane_block
SELECT blocked_from FROM lane
WHERE merchant = :merchant AND kind = :kind AND collection = :collection AND attempt = :attempt
  AND holder IS NOT NULL

-- name: start_behind
UPDATE round SET attempt = :attempt, started_at = coalesce(started_at, :now)
WHERE merchant = :merchant AND number = :round AND open = 1 AND attempt < :attempt
  AND batch = (SELECT seq FROM batch WHERE merchant = :merchant AND id = :id)

-- name: start_batch_behind
-- Differs because one more statement is cheap here.
UPDATE batch SET started_at = :now WHERE merchant = :merchant AND id = :id AND started_at IS NULL

-- name: count_death
UPDATE round SET deaths = :deaths, death_chunks = :chunks WHERE id = :round AND merchant = :merchant

-- name: rest_lane
UPDATE lane SET expires_at = :until, holder = NULL
WHERE merchant = :merchant AND kind = :kind AND collection = :collection AND attempt = :attempt

-- name: start_batches
-- Differs because one more statement is cheap here.
UPDATE batch SET started_at = :now
WHERE seq IN (SELECT value FROM json_each(:batches)) AND merchant = :merchant AND started_at IS NULL

-- name: lease
SELECT attempt, holder FROM lane WHERE merchant = :merchant AND kind = :kind AND collection = :collection

-- name: renew_lease
UPDATE lane SET expires_at = :until
WHERE merchant = :merchant AND kind = :kind AND collection = :collection AND attempt = :attempt
  AND holder IS NOT NULL

-- name: defer_round
UPDATE round SET starts_at = :until
WHERE merchant = :merchant AND open = 1 AND number = :round
  AND batch = (SELECT seq FROM batch WHERE merchant = :merchant AND id = :id)
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
        WHERE r.merchant = l.merchant AND r.kind = l.kind AND r.collection = l.collection AND r.open = 1
          AND r.starts_at > 0 AND r.starts_at > :now
    )
      AND (l.blocked_from = 9223372036854775807 OR EXISTS (
          SELECT 1 FROM round r
          WHERE r.merchant = l.merchant AND r.kind = l.kind AND r.collection = l.collection AND r.open = 1
            AND r.id < l.blocked_from AND r.starts_at <= :now
      ))
      AND (l.waits_until <= :now OR NOT EXISTS (
          SELECT 1 FROM round r
          WHERE r.merchant = l.merchant AND r.waits_until > :now AND r.id = (
              SELECT min(h.id) FROM round h
              WHERE h.merchant = l.merchant AND h.kind = l.kind AND h.collection = l.collection AND h.open = 1
                AND h.starts_at <= :now
          ) AND EXISTS (
              SELECT 1 FROM round p
              WHERE p.merchant = r.merchant AND p.kind = 'product' AND p.collection = r.collection AND p.open = 1
                AND p.id <= r.waits_for AND p.starts_at <= :now
          )
      ))
)

-- name: release_held_rounds
UPDATE round SET starts_at = 0
WHERE merchant = :merchant AND kind = :kind AND collection = :collection AND open = 1 AND starts_at > 0
  AND starts_at = :held AND EXISTS (
      SELECT 1 FROM batch b WHERE b.seq = round.batch AND (:before IS NULL OR b.received_at < :before)
  )

-- name: cancelling_batches
-- Differs because one more statement is cheap here.
SELECT lower(hex(b.id)) FROM round r CROSS JOIN batch b ON b.seq = r.batch
WHERE r.open = 1 AND r.cancelling = 1 AND r.merchant = :merchant AND r.kind = :kind AND r.collection = :collection

-- name: cancel_round
UPDATE round SET cancelling = 1
WHERE open = 1 AND merchant = :merchant AND batch = (SELECT seq FROM batch WHERE merchant = :merchant AND id = :id)

-- name: hold_round
UPDATE round SET starts_at = :starts_at, hold_expires_at = :until
WHERE open = 1 AND number = :round AND merchant = :merchant AND approved = 0 AND hold_expires_at = 0
  AND batch = (SELECT seq FROM batch WHERE merchant = :merchant AND id = :id)

-- name: approve_round
UPDATE round SET approved = 1, starts_at = 0, hold_expires_at = 0, started_at = NULL
WHERE open = 1 AND cancelling = 0 AND hold_expires_at > 0 AND merchant = :merchant
  AND batch = (SELECT seq FROM batch WHERE merchant = :merchant AND id = :id)

-- name: block_lane
-- After a round was held, or one that was held goes on or ends.
UPDATE lane SET blocked_from = coalesce((
    SELECT min(r.id) FROM round r
    WHERE r.merchant = lane.merchant AND r.kind = lane.kind AND r.collection = lane.collection AND r.open = 1
      AND r.starts_at > 0 AND r.starts_at = :guarded
), 9223372036854775807)
WHERE merchant = :merchant AND kind = :kind AND collection = :collection

-- name: requeue_rounds
-- They were claimed with one that is held, and have not been worked.
UPDATE round SET started_at = NULL
WHERE merchant = :merchant AND kind = :kind AND collection = :collection AND open = 1 AND starts_at = 0
  AND started_at IS NOT NULL AND id > (
      SELECT blocked_from FROM lane WHERE merchant = :merchant AND kind = :kind AND collection = :collection
  )

-- name: blocking_batch
SELECT hb.id FROM batch b CROSS JOIN round r ON r.batch = b.seq AND r.open = 1
CROSS JOIN lane l ON l.merchant = r.merchant AND l.kind = r.kind AND l.collection = r.collection
CROSS JOIN round h ON h.id = l.blocked_from AND h.merchant = l.merchant CROSS JOIN batch hb ON hb.seq = h.batch
WHERE b.merchant = :merchant AND b.id = :id AND r.id > l.blocked_from

-- name: in_front
WITH ahead AS (
    SELECT q.id, q.batch, q.bytes
    FROM batch b CROSS JOIN round r ON r.batch = b.seq AND r.open = 1
    CROSS JOIN round q ON q.merchant = r.merchant AND q.kind = r.kind AND q.collection = r.collection AND q.open = 1
    WHERE b.merchant = :merchant AND b.id = :id AND q.id < r.id
)
SELECT f.id, (SELECT count(*) FROM ahead), (SELECT sum(bytes) FROM ahead)
FROM ahead a CROSS JOIN batch f ON f.seq = a.batch ORDER BY a.id LIMIT 1

-- name: expired_holds
-- Every merchant: nobody has decided about them.
SELECT m.id, b.id FROM round r CROSS JOIN batch b ON b.seq = r.batch CROSS JOIN merchant m ON m.number = r.merchant
WHERE r.open = 1 AND r.hold_expires_at > 0 AND r.hold_expires_at <= :now AND r.cancelling = 0
ORDER BY r.hold_expires_at LIMIT :limit

-- name: end_round
UPDATE round SET open = 0, ended_at = :ended_at, records = :records, counts = :counts
WHERE open = 1 AND number = :round AND merchant = :merchant
  AND batch = (SELECT seq FROM batch WHERE merchant = :merchant AND id = :id)

-- name: end_batch
UPDATE batch
SET state = :state, finished_at = :finished_at, total = :total, bytes_done = min(:bytes_done, bytes_total),
    created = :created, updated = :updated, unchanged = :unchanged, deleted = :deleted, superseded = :superseded,
    rejected = :rejected, cancelled = :cancelled, merged = :merged, waiting = :waiting,
    warned = :warned, file_errors = :file_errors,
    columns = :columns, withheld = :withheld, reading = :reading, roles = :roles,
    rule_counts = :rule_counts, trial = :trial, hold = :hold
WHERE merchant = :merchant AND id = :id

-- name: close_lane
-- Differs because the lane is in the other file than what ended.
UPDATE lane SET open = open - :closed
WHERE merchant = :merchant AND kind = :kind AND collection = :collection

-- name: queue_statistics
-- Every merchant: for metrics.
SELECT (SELECT count(*) FROM lane WHERE open > 0), count(*) - count(started_at), count(started_at),
       min(CASE WHEN started_at IS NULL AND starts_at < :held
           THEN (SELECT received_at FROM batch WHERE seq = round.batch) END),
       count(CASE WHEN hold_expires_at > 0 THEN 1 END)
FROM round WHERE open = 1

-- name: quiet_batch
-- Differs because records that wait are in the other file than rounds.
SELECT m.id FROM batch b JOIN merchant m ON m.number = b.merchant
WHERE b.merchant = :merchant AND b.id = :id AND b.deleting = 0 AND NOT EXISTS (
    SELECT 1 FROM round r WHERE r.batch = b.seq AND r.open = 1
)

-- name: waiting_rounds
-- Every merchant: for health checks.
SELECT count(*), min(b.received_at) FROM round r JOIN batch b ON b.seq = r.batch
WHERE r.open = 1 AND r.starts_at <= :now

-- name: lanes
-- Every merchant: for operators.
SELECT m.id, l.kind, l.collection, l.open, l.holder, l.expires_at, (
    SELECT b.received_at FROM round r JOIN batch b ON b.seq = r.batch
    WHERE r.merchant = l.merchant AND r.kind = l.kind AND r.collection = l.collection AND r.open = 1
      AND r.started_at IS NULL AND r.starts_at < :held
    ORDER BY r.id LIMIT 1
)
FROM lane l JOIN merchant m ON m.number = l.merchant
WHERE l.open > 0 AND (:id IS NULL OR m.id = :id) ORDER BY l.served, l.claimed LIMIT :limit

-- name: disturbed_rounds
-- Every merchant: for health checks.
SELECT m.id, b.id, r.deaths FROM round r JOIN batch b ON b.seq = r.batch JOIN merchant m ON m.number = r.merchant
WHERE r.open = 1 AND r.deaths > 0 ORDER BY r.deaths DESC, r.id LIMIT :limit

-- name: leases
-- Every merchant: for health checks.
-- Differs because the lease of a dead worker is set to 0.
SELECT count(*), count(CASE WHEN expires_at > 0 AND expires_at < :before THEN 1 END) FROM lane WHERE holder IS NOT NULL

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
SELECT starts_at, used FROM quota WHERE merchant = :merchant AND quota = :quota

-- name: set_quota
UPDATE quota SET starts_at = :starts_at, used = :used WHERE merchant = :merchant AND quota = :quota

-- =============================================== intake: retention ===============================================

-- name: payloads_due
-- Every merchant: the sweep.
SELECT merchant, seq FROM batch WHERE finished_at < :before AND waiting = 0 AND payload_kept = 1 ORDER BY finished_at LIMIT :limit

-- name: payload_files
-- Differs because large payloads are files.
SELECT file FROM round WHERE merchant = :merchant AND batch = :seq AND file IS NOT NULL

-- name: delete_payloads
-- Differs because small payloads are single rows.
DELETE FROM payload WHERE merchant = :merchant AND round IN (SELECT id FROM round WHERE batch = :seq)

-- name: clear_files
-- Differs because large payloads are files.
UPDATE round SET file = NULL WHERE merchant = :merchant AND batch = :seq

-- name: mark_payloads_deleted
UPDATE batch SET payload_kept = 0 WHERE merchant = :merchant AND seq = :seq AND finished_at < :before AND waiting = 0

-- name: reports_due
-- Every merchant: the sweep.
SELECT merchant, seq, id FROM batch WHERE finished_at < :before AND waiting = 0 AND report_kept = 1 ORDER BY finished_at LIMIT :limit

-- name: mark_report_deleted
UPDATE batch SET report_kept = 0 WHERE merchant = :merchant AND seq = :seq AND finished_at < :before AND waiting = 0

-- name: batches_due
-- Every merchant: the sweep.
SELECT merchant, seq, id FROM batch WHERE finished_at < :before AND waiting = 0 ORDER BY finished_at LIMIT :limit

-- name: mark_deleting
UPDATE batch SET deleting = 1 WHERE merchant = :merchant AND seq = :seq AND finished_at < :before AND waiting = 0

-- name: delete_rounds
DELETE FROM round WHERE merchant = :merchant AND batch = :seq

-- name: delete_batch
DELETE FROM batch WHERE merchant = :merchant AND seq = :seq

-- name: delete_idempotency_keys
-- Every merchant: the sweep.
DELETE FROM idempotency_key WHERE rowid IN (
    SELECT rowid FROM idempotency_key WHERE created_at < :before AND expires_at < :now ORDER BY created_at LIMIT :limit
)

-- name: all_payload_files
-- Every merchant: a backup is of all of them.
-- Differs because only this store has payload files, which a backup copies.
SELECT file FROM round WHERE file IS NOT NULL

-- name: delete_tokens
-- Every merchant: the sweep.
DELETE FROM token WHERE digest IN (SELECT digest FROM token WHERE expires_at < :now ORDER BY expires_at LIMIT :limit)

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

-- name: file_is_used
-- Differs because a file without a row belonged to a dead process.
-- Every merchant: the sweep looks for the owner of a file.
SELECT EXISTS (SELECT 1 FROM round WHERE file = :file)

-- ============================================== catalogue: collections ==============================================

-- name: collection
SELECT id, items, indexed, has_variants, search_gap FROM collection
WHERE merchant = :merchant AND kind = :kind AND name = :name

-- name: add_collection
INSERT INTO collection (merchant, kind, name, search_gap) VALUES (:merchant, :kind, :name, :search_gap) RETURNING id

-- name: change_item_count
UPDATE collection SET items = items + :change WHERE merchant = :merchant AND id = :collection

-- name: collections
SELECT kind, name, items FROM collection WHERE merchant = :merchant AND items > 0 ORDER BY kind, name

-- name: mark_collection_indexed
UPDATE collection SET indexed = 1 WHERE merchant = :merchant AND id = :collection

-- name: mark_collection_variants
UPDATE collection SET has_variants = 1 WHERE merchant = :merchant AND id = :collection AND NOT has_variants

-- name: collections_to_fill
-- Every merchant: a health check.
SELECT count(*), coalesce(sum(items), 0) FROM collection WHERE search_gap IS NOT NULL AND items > 0

-- name: collection_to_fill
-- Every merchant: the search index is filled for one after the other.
SELECT merchant, id, kind, search_gap FROM collection WHERE search_gap IS NOT NULL AND items > 0 LIMIT 1

-- name: set_search_gap
UPDATE collection SET search_gap = :gap WHERE merchant = :merchant AND id = :collection

-- ============================================== catalogue: identity =============================================

-- name: catalogue_identity
-- Differs because there are two files.
-- Every merchant: it identifies the file.
SELECT store, generation FROM catalogue_identity

-- name: add_catalogue_identity
-- Differs because there are two files.
-- Every merchant: it identifies the file.
INSERT INTO catalogue_identity (store, generation) SELECT :store, 1
WHERE NOT EXISTS (SELECT 1 FROM catalogue_identity)

-- name: set_catalogue_generation
-- Differs because there are two files.
-- Every merchant: it identifies the file.
UPDATE catalogue_identity SET generation = :generation

-- name: newest_progress
-- Differs because there are two files.
-- Every merchant: it tells how far the other file must be.
SELECT merchant, batch, round FROM progress ORDER BY seq DESC LIMIT :limit

-- name: reserve_merchant_number
-- Differs because numbers are given out one after the other.
-- Every merchant: the next number is one that none has.
UPDATE catalogue_identity SET last_merchant = max(last_merchant, :last) + 1 RETURNING last_merchant

-- =============================================== catalogue: items ===============================================

-- name: current_items
-- Includes case variants. CROSS JOIN pins the order: the planner would otherwise read the whole collection and run
-- json_each inside.
SELECT j.value, i.key, i.hash,
       CASE WHEN i.version IS NOT NULL THEN coalesce((SELECT v.version FROM item_version v WHERE v.id = i.id), i.version) END,
       i.field_state, i.batch, NULL
FROM json_each(?3) j CROSS JOIN item i INDEXED BY item_key
ON i.merchant = ?1 AND i.collection = ?2 AND i.key = j.value COLLATE NOCASE

-- name: current_documents
SELECT j.value, i.key, i.hash,
       CASE WHEN i.version IS NOT NULL THEN coalesce((SELECT v.version FROM item_version v WHERE v.id = i.id), i.version) END,
       i.field_state, i.batch, i.document
FROM json_each(?3) j CROSS JOIN item i INDEXED BY item_key
ON i.merchant = ?1 AND i.collection = ?2 AND i.key = j.value COLLATE NOCASE

-- name: items
SELECT key, document,
       CASE WHEN i.version IS NOT NULL THEN coalesce((SELECT v.version FROM item_version v WHERE v.id = i.id), i.version) END,
       field_state, batch, written_at
FROM item i INDEXED BY item_key
WHERE merchant = :merchant AND collection = :collection AND (key COLLATE NOCASE, key) > (:from, :after)
  AND hash IS NOT NULL
ORDER BY key COLLATE NOCASE, key LIMIT :limit

-- name: items_by_prefix
SELECT key, document,
       CASE WHEN i.version IS NOT NULL THEN coalesce((SELECT v.version FROM item_version v WHERE v.id = i.id), i.version) END,
       field_state, batch, written_at
FROM item i INDEXED BY item_key
WHERE merchant = :merchant AND collection = :collection AND (key COLLATE NOCASE, key) > (:from, :after)
  AND key COLLATE NOCASE < :prefix || char(0x10FFFF) AND substr(key, 1, length(:prefix)) = :prefix
  AND hash IS NOT NULL
ORDER BY key COLLATE NOCASE, key LIMIT :limit

-- name: item
SELECT key, document,
       CASE WHEN i.version IS NOT NULL THEN coalesce((SELECT v.version FROM item_version v WHERE v.id = i.id), i.version) END,
       field_state, batch, written_at
FROM item i
WHERE merchant = :merchant AND collection = :collection AND key = :key COLLATE NOCASE AND key = :key
  AND hash IS NOT NULL

-- name: unknown_skus
-- The index alone answers, so that no item is read, unless there are tombstones.
SELECT j.value FROM json_each(:keys) j WHERE NOT EXISTS (
    SELECT 1 FROM item i INDEXED BY item_key
    WHERE i.merchant = :merchant AND i.collection = :collection AND i.key = j.value COLLATE NOCASE AND i.key = j.value
)
UNION ALL
SELECT j.value FROM json_each(:keys) j CROSS JOIN item i INDEXED BY item_key
ON i.merchant = :merchant AND i.collection = :collection AND i.key = j.value COLLATE NOCASE AND i.key = j.value
WHERE i.hash IS NULL
  AND EXISTS (SELECT 1 FROM item WHERE merchant = :merchant AND collection = :collection AND hash IS NULL)

-- name: write_items
-- Differs because one statement writes new and existing rows.
INSERT INTO item (merchant, collection, key, hash, version, document, batch, written_at, search) VALUES (?1, ?2, :row)
ON CONFLICT (merchant, collection, key COLLATE NOCASE, key) DO UPDATE SET
    batch = CASE WHEN hash IS excluded.hash THEN batch ELSE excluded.batch END,
    written_at = CASE WHEN hash IS excluded.hash THEN written_at ELSE excluded.written_at END,
    moved_at = CASE WHEN hash IS excluded.hash THEN moved_at END,
    hash = excluded.hash, version = excluded.version, field_state = NULL, document = excluded.document,
    search = coalesce(excluded.search, CASE WHEN search IS NOT NULL THEN -1 END)

-- name: write_items_with_state
-- Differs because one statement writes new and existing rows: those with versions of groups or with locks. They are
-- few, so that the others do without the column.
INSERT INTO item (merchant, collection, key, hash, version, document, batch, written_at, search, field_state)
VALUES (?1, ?2, :row)
ON CONFLICT (merchant, collection, key COLLATE NOCASE, key) DO UPDATE SET
    batch = CASE WHEN hash IS excluded.hash THEN batch ELSE excluded.batch END,
    written_at = CASE WHEN hash IS excluded.hash THEN written_at ELSE excluded.written_at END,
    moved_at = CASE WHEN hash IS excluded.hash THEN moved_at END,
    hash = excluded.hash, version = excluded.version, field_state = excluded.field_state,
    document = excluded.document,
    search = coalesce(excluded.search, CASE WHEN search IS NOT NULL THEN -1 END)

-- name: move_versions
INSERT INTO item_version (id, merchant, version)
SELECT i.id, i.merchant, j.value ->> 1 FROM json_each(:versions) j CROSS JOIN item i INDEXED BY item_key
ON i.merchant = :merchant AND i.collection = :collection AND i.key = j.value ->> 0 COLLATE NOCASE
    AND i.key = j.value ->> 0
WHERE true ON CONFLICT (id) DO UPDATE SET version = excluded.version

-- name: stored_items
SELECT i.key, i.hash,
       CASE WHEN i.version IS NOT NULL THEN coalesce((SELECT v.version FROM item_version v WHERE v.id = i.id), i.version) END,
       i.field_state, i.written_at, i.moved_at, i.document
FROM json_each(:keys) j CROSS JOIN item i INDEXED BY item_key
ON i.merchant = :merchant AND i.collection = :collection AND i.key = j.value COLLATE NOCASE AND i.key = j.value

-- ============================================== catalogue: journal ==============================================

-- name: raise_journal_head
INSERT INTO journal_head (merchant, last, oldest_at) VALUES (:merchant, :count, :written_at)
ON CONFLICT (merchant) DO UPDATE
SET last = journal_head.last + :count, oldest_at = coalesce(journal_head.oldest_at, :written_at)
RETURNING last

-- name: add_segments
INSERT INTO journal (merchant, first, collection, written_at, batch, order_name, count, last_key, body)
VALUES (?1, :row)

-- name: journal_head
SELECT last, swept, swept_at FROM journal_head WHERE merchant = :merchant

-- name: journal_numbers
-- Every merchant: for webhooks.
SELECT merchant, last FROM journal_head WHERE merchant IN (SELECT value FROM json_each(:merchants))

-- name: count_changes
SELECT c.kind, c.name, sum(j.count)
FROM journal j CROSS JOIN collection c ON c.merchant = j.merchant AND c.id = j.collection
WHERE j.merchant = :merchant AND j.first > :after AND j.first <= :until
GROUP BY c.kind, c.name ORDER BY c.kind, c.name

-- name: segment_of
SELECT first, written_at, count FROM journal WHERE merchant = :merchant AND first <= :number
ORDER BY first DESC LIMIT 1

-- name: journal_segments
-- The last segment that begins before the next number may contain it. Bodies of other collections are not read.
SELECT j.first, j.count, j.written_at, c.kind, c.name, j.batch, j.order_name,
       CASE WHEN c.kind = coalesce(:kind, c.kind) AND c.name = coalesce(:collection, c.name) THEN j.body END
FROM journal j CROSS JOIN collection c ON c.merchant = j.merchant AND c.id = j.collection
WHERE j.merchant = :merchant AND j.first >= coalesce((
    SELECT max(first) FROM journal WHERE merchant = :merchant AND first <= :after + 1
), 0) AND j.first + j.count > :after + 1
ORDER BY j.first LIMIT :limit

-- name: batch_segments
SELECT j.first, j.count, j.written_at, c.kind, c.name, j.batch, j.order_name, j.body
FROM journal j CROSS JOIN collection c ON c.merchant = j.merchant AND c.id = j.collection
WHERE j.merchant = :merchant AND j.batch = unhex(:batch) AND j.first >= coalesce((
    SELECT max(first) FROM journal WHERE merchant = :merchant AND batch = unhex(:batch) AND first <= :after + 1
), 0) AND j.first + j.count > :after + 1
ORDER BY j.first LIMIT :limit

-- name: batch_journal
SELECT count, written_at FROM journal WHERE merchant = :merchant AND batch = unhex(:batch)

-- name: segments_at
SELECT j.first, j.count, j.written_at, c.kind, c.name, j.batch, j.order_name, j.body
FROM journal j CROSS JOIN collection c ON c.merchant = j.merchant AND c.id = j.collection
WHERE j.merchant = :merchant AND j.collection = :collection AND j.written_at = :written_at AND j.last_key >= :key
ORDER BY j.last_key LIMIT 3

-- name: journal_due
-- Every merchant: the sweep.
SELECT merchant FROM journal_head WHERE oldest_at < :before LIMIT :limit

-- name: journals
-- Every merchant: the sweep.
SELECT merchant FROM journal_head

-- name: skip_number
-- A cursor from before is behind what was swept, whatever has changed without a journal.
UPDATE journal_head SET last = last + 1, swept = last + 1, swept_at = max(swept_at, :now) WHERE merchant = :merchant

-- name: oldest_segments
SELECT first, count, written_at FROM journal WHERE merchant = :merchant ORDER BY first LIMIT :limit

-- name: delete_segments
DELETE FROM journal WHERE merchant = :merchant AND first <= :last

-- name: set_journal_swept
UPDATE journal_head SET swept = max(swept, :last), swept_at = max(swept_at, :swept_at), oldest_at = (
    SELECT written_at FROM journal WHERE merchant = :merchant ORDER BY first LIMIT 1
) WHERE merchant = :merchant

-- =============================================== catalogue: index ===============================================

-- name: item_entries
SELECT entries FROM item_index_entries WHERE merchant = :merchant AND collection = :collection AND key = :key

-- name: item_entries_by_key
SELECT i.key, i.entries FROM json_each(:keys) j CROSS JOIN item_index_entries i
ON i.merchant = :merchant AND i.collection = :collection AND i.key = j.value

-- name: find_by_index
SELECT m.name, m.value, m.key FROM json_each(:entries) j CROSS JOIN index_entry m
ON m.merchant = :merchant AND m.collection = :collection AND m.name = j.value ->> 0 AND m.value = j.value ->> 1
ORDER BY m.name, m.value, m.key

-- name: count_index
-- IN, not EXISTS: the matching items are looked up once.
SELECT count(*) FROM index_entry
WHERE merchant = :merchant AND collection = :collection AND name = :name AND (:required = 0 OR key IN (
    SELECT m.key FROM (
        SELECT value ->> 0 AS at, value ->> 1 AS name, value ->> 2 AS minimum, value ->> 3 AS maximum,
               value ->> 4 AS contains
        FROM json_each(:filters)
    ) w CROSS JOIN index_entry m ON m.merchant = :merchant AND m.collection = :collection AND m.name = w.name
        AND m.value BETWEEN w.minimum AND w.maximum AND instr(m.value, w.contains) > 0
    GROUP BY m.key HAVING count(DISTINCT w.at) = :required
))

-- name: list_index
SELECT value, key FROM index_entry
WHERE merchant = :merchant AND collection = :collection AND name = :name AND (:required = 0 OR key IN (
    SELECT m.key FROM (
        SELECT value ->> 0 AS at, value ->> 1 AS name, value ->> 2 AS minimum, value ->> 3 AS maximum,
               value ->> 4 AS contains
        FROM json_each(:filters)
    ) w CROSS JOIN index_entry m ON m.merchant = :merchant AND m.collection = :collection AND m.name = w.name
        AND m.value BETWEEN w.minimum AND w.maximum AND instr(m.value, w.contains) > 0
    GROUP BY m.key HAVING count(DISTINCT w.at) = :required
))
ORDER BY value, key LIMIT :limit OFFSET :offset

-- name: list_index_backwards
SELECT value, key FROM index_entry
WHERE merchant = :merchant AND collection = :collection AND name = :name AND (:required = 0 OR key IN (
    SELECT m.key FROM (
        SELECT value ->> 0 AS at, value ->> 1 AS name, value ->> 2 AS minimum, value ->> 3 AS maximum,
               value ->> 4 AS contains
        FROM json_each(:filters)
    ) w CROSS JOIN index_entry m ON m.merchant = :merchant AND m.collection = :collection AND m.name = w.name
        AND m.value BETWEEN w.minimum AND w.maximum AND instr(m.value, w.contains) > 0
    GROUP BY m.key HAVING count(DISTINCT w.at) = :required
))
ORDER BY value DESC, key DESC LIMIT :limit OFFSET :offset

-- name: delete_index_entries
DELETE FROM index_entry WHERE merchant = ?1 AND collection = ?2 AND (name, value, key) IN (
    SELECT j.value ->> 0, j.value ->> 1, j.value ->> 2 FROM json_each(?3) j
)

-- name: add_index_entries
INSERT INTO index_entry (merchant, collection, name, value, key)
SELECT ?1, ?2, j.value ->> 0, j.value ->> 1, j.value ->> 2 FROM json_each(?3) j

-- name: index_items
-- Differs because SQLite builds the rows of items without entries itself, which blocks no Python thread.
WITH item AS MATERIALIZED (SELECT j.value ->> 0 AS key, j.value -> 1 AS entries FROM json_each(?3) j)
INSERT INTO index_entry (merchant, collection, name, value, key)
SELECT ?1, ?2, m.value ->> 0, m.value ->> 1, item.key FROM item CROSS JOIN json_each(item.entries) m

-- name: put_item_entries
INSERT INTO item_index_entries (merchant, collection, key, entries)
SELECT ?1, ?2, j.value ->> 0, CAST(j.value ->> 1 AS BLOB) FROM json_each(?3) j WHERE true
ON CONFLICT (merchant, collection, key) DO UPDATE SET entries = excluded.entries

-- name: delete_item_entries
DELETE FROM item_index_entries WHERE merchant = ?1 AND collection = ?2 AND key IN (SELECT value FROM json_each(?3))

-- =============================================== catalogue: search ==============================================

-- name: items_by_terms
-- CROSS JOIN pins the order. Terms name their collection.
SELECT i.key, i.batch, i.written_at
FROM (SELECT rowid AS id FROM item_terms WHERE item_terms MATCH :match LIMIT :limit) t CROSS JOIN item i ON i.id = t.id
WHERE i.merchant = :merchant AND i.collection = :collection AND i.hash IS NOT NULL

-- name: items_by_start
SELECT key, batch, written_at FROM item INDEXED BY item_key
WHERE merchant = :merchant AND collection = :collection AND key COLLATE NOCASE >= :start
  AND key COLLATE NOCASE < :start || char(0x10FFFF) AND hash IS NOT NULL
LIMIT :limit

-- name: items_changed
SELECT key, batch, written_at FROM item INDEXED BY item_changed
WHERE merchant = :merchant AND collection = :collection AND search IS NOT NULL
  AND written_at BETWEEN :since AND :until AND hash IS NOT NULL
LIMIT :limit

-- name: items_by_key
SELECT i.key, i.document,
       CASE WHEN i.version IS NOT NULL THEN coalesce((SELECT v.version FROM item_version v WHERE v.id = i.id), i.version) END,
       i.field_state, i.batch, i.written_at
FROM json_each(:keys) j CROSS JOIN item i INDEXED BY item_key
ON i.merchant = :merchant AND i.collection = :collection AND i.key = j.value COLLATE NOCASE AND i.key = j.value
WHERE i.hash IS NOT NULL

-- name: items_to_fill
SELECT key, CASE WHEN hash IS NOT NULL AND coalesce(search, -1) = -1 THEN document END FROM item INDEXED BY item_key
WHERE merchant = :merchant AND collection = :collection AND (key COLLATE NOCASE, key) > (:gap, :gap)
ORDER BY key COLLATE NOCASE, key LIMIT :limit

-- name: item_searches
-- Differs because the terms are stored by the number of their item, and a hash of them with the item.
SELECT i.key, i.id, i.search FROM json_each(?3) j CROSS JOIN item i INDEXED BY item_key
ON i.merchant = ?1 AND i.collection = ?2 AND i.key = j.value COLLATE NOCASE AND i.key = j.value

-- name: last_item
-- Differs because the terms are stored by the number of their item; those of new items follow each other.
-- Every merchant: how far the table has grown.
SELECT coalesce(max(id), 0) FROM item

-- name: mark_searched
UPDATE item SET search = ?4
WHERE merchant = ?1 AND collection = ?2 AND key = ?3 COLLATE NOCASE AND key = ?3

-- name: add_terms
-- Differs because terms that are known to be new cost less than others.
-- Every merchant: each term names its collection.
INSERT INTO item_terms (rowid, terms) VALUES (:row)

-- name: put_terms
-- Every merchant: each term names its collection.
REPLACE INTO item_terms (rowid, terms) VALUES (:row)

-- name: delete_terms
-- Every merchant: they are those of items that were looked up.
DELETE FROM item_terms WHERE rowid IN (SELECT value FROM json_each(?1))

-- =============================================== catalogue: stock ===============================================

-- name: mark_stock_changed
UPDATE collection SET stock_changed = 1 WHERE merchant = :merchant AND id = :collection AND stock_changed = 0

-- name: has_stock_changes
SELECT stock_changed FROM collection WHERE merchant = :merchant AND id = :collection

-- name: item_hashes
-- Differs because nobody else writes meanwhile: the rows need no lock.
SELECT i.key, i.hash FROM json_each(?3) j CROSS JOIN item i INDEXED BY item_key
ON i.merchant = ?1 AND i.collection = ?2 AND i.key = j.value COLLATE NOCASE AND i.key = j.value

-- name: stock_levels
SELECT j.value, i.document, i.field_state, r.amount FROM json_each(?3) j
LEFT JOIN item i INDEXED BY item_key
ON i.merchant = ?1 AND i.collection = ?2 AND i.key = j.value COLLATE NOCASE AND i.key = j.value
LEFT JOIN reserved r ON r.merchant = ?1 AND r.collection = ?2 AND r.key = j.value

-- name: stock_order
-- Differs because nobody else writes meanwhile: the row needs no lock.
SELECT state FROM stock_order WHERE merchant = :merchant AND collection = :collection AND name = :name

-- name: put_stock_order
INSERT INTO stock_order (merchant, collection, name, state, closed_at)
VALUES (:merchant, :collection, :name, :state, :closed_at)
ON CONFLICT (merchant, collection, name) DO UPDATE SET state = :state, closed_at = :closed_at

-- name: change_stock_item
-- Differs because one statement per row is cheap here.
UPDATE item SET hash = ?4, document = ?5, moved_at = ?6
WHERE merchant = ?1 AND collection = ?2 AND key = ?3 COLLATE NOCASE AND key = ?3 AND hash IS NOT NULL

-- name: put_reserved
INSERT INTO reserved (merchant, collection, key, amount) VALUES (:merchant, :collection, :key, :amount)
ON CONFLICT (merchant, collection, key) DO UPDATE SET amount = :amount

-- name: delete_reserved
DELETE FROM reserved WHERE merchant = :merchant AND collection = :collection AND key = :key

-- ============================================= catalogue: progress ==============================================

-- name: progress
SELECT batch, seq, round, chunks, records, total, bytes_before, bytes_done, created, updated, unchanged, deleted,
       superseded, rejected, cancelled, merged, waiting, warned, file_errors, columns, mapping, withheld, reading,
       roles, rule_counts, items_before, first_at, ended, ended_at, trial, hold
FROM progress WHERE merchant = ?1 AND batch IN (SELECT unhex(value) FROM json_each(?2))

-- name: progress_revisions
-- Differs because the progress is in the other file.
-- Every merchant: for all clients that wait.
SELECT p.batch, p.round, p.chunks, p.ended, p.trial
FROM json_each(:batches) w CROSS JOIN progress p ON p.merchant = w.value->>0 AND p.batch = unhex(w.value->>1)

-- name: batch_number
SELECT CASE trial WHEN 1 THEN -seq ELSE seq END, CASE trial WHEN 0 THEN seq ELSE -seq END FROM progress WHERE merchant = :merchant AND batch = unhex(:id)

-- name: add_progress
-- Differs because progress is in another file than the batch.
INSERT INTO progress (merchant, chunks, records, total, bytes_before, bytes_done, created, updated, unchanged,
                      deleted, superseded, rejected, cancelled, merged, waiting, warned, file_errors, batch, round,
                      items_before, first_at)
VALUES (?1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, :row)

-- name: add_totals
INSERT INTO total_count (merchant, name, count) VALUES (?1, :row)
ON CONFLICT (merchant, name) DO UPDATE SET count = count + excluded.count

-- name: totals
-- Every merchant: for metrics.
SELECT name, sum(count) FROM total_count GROUP BY name

-- name: put_progress
-- Differs because rows are passed one by one; none is new.
INSERT INTO progress (merchant, batch, seq, round, chunks, records, total, bytes_before, bytes_done, created, updated,
                      unchanged, deleted, superseded, rejected, cancelled, merged, waiting, warned, file_errors,
                      columns, mapping, withheld, reading, roles, rule_counts, items_before, first_at, ended, ended_at,
                      trial, hold)
VALUES (?1, :row)
ON CONFLICT (merchant, batch) DO UPDATE SET
    round = excluded.round, chunks = excluded.chunks, records = excluded.records, total = excluded.total,
    bytes_before = excluded.bytes_before, bytes_done = excluded.bytes_done, created = excluded.created,
    updated = excluded.updated, unchanged = excluded.unchanged, deleted = excluded.deleted,
    superseded = excluded.superseded, rejected = excluded.rejected, cancelled = excluded.cancelled,
    merged = excluded.merged, waiting = excluded.waiting, warned = excluded.warned, file_errors = excluded.file_errors,
    columns = excluded.columns, mapping = excluded.mapping, withheld = excluded.withheld,
    reading = excluded.reading, roles = excluded.roles, rule_counts = excluded.rule_counts,
    items_before = excluded.items_before, first_at = excluded.first_at,
    ended = excluded.ended, ended_at = excluded.ended_at, trial = excluded.trial, hold = excluded.hold

-- name: fence
-- Differs because the lease is in the other file than what it guards.
SELECT attempt FROM fence WHERE merchant = :merchant AND kind = :kind AND collection = :collection

-- name: raise_fence
-- Differs because the lease is in the other file than what it guards.
INSERT INTO fence (merchant, kind, collection, attempt) VALUES (:merchant, :kind, :collection, :attempt)
ON CONFLICT (merchant, kind, collection) DO UPDATE SET attempt = max(attempt, :attempt)

-- name: clock
-- Differs because one process commits, for all lanes.
-- Every merchant: one clock for all chunks.
SELECT written_at FROM clock

-- name: set_clock
-- Differs because one process commits, for all lanes.
-- Every merchant: one clock for all chunks.
UPDATE clock SET written_at = :written_at

-- ============================================== catalogue: results ==============================================

-- name: add_chunks
INSERT INTO chunk (merchant, batch, first, results) VALUES (?1, :row)

-- name: add_chunk_keys
-- Differs because SQLite does not store long values apart by itself.
INSERT INTO chunk_keys (merchant, batch, first, keys) VALUES (?1, :row)

-- name: chunk_of_record
SELECT first, results FROM chunk
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
SELECT keys FROM chunk_keys WHERE merchant = :merchant AND batch = :batch AND first = :first

-- name: set_chunk_results
UPDATE chunk SET results = :results WHERE merchant = :merchant AND batch = :batch AND first = :first

-- name: set_chunk_keys
UPDATE chunk_keys SET keys = :keys WHERE merchant = :merchant AND batch = :batch AND first = :first

-- ============================================= catalogue: findings ==============================================

-- name: last_finding
-- Differs because raw records refer to the numbers of the rows.
-- Every merchant: how far the table has grown.
SELECT coalesce(max(id), 0) FROM finding

-- name: add_finding
-- Differs because one statement per row is cheap here.
INSERT INTO finding (id, merchant, batch, number, source_row, fix_round, fix_row, key, result, has_error, severities,
                     codes, issues, role)
VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14)

-- name: add_raw
-- Differs because SQLite does not store long values apart by itself.
INSERT INTO raw (id, merchant, bytes) VALUES (?1, ?2, ?3)

-- name: known_findings
-- Differs because SQLite has no LATERAL.
SELECT j.key, k.batch, k.first, k.place FROM json_each(:findings) j CROSS JOIN finding_place k
ON k.merchant = :merchant AND k.stem = j.value ->> 0 AND k.hash = j.value ->> 1 AND (k.batch, k.first, k.place) = (
    SELECT batch, first, place FROM finding_place
    WHERE merchant = :merchant AND stem = j.value ->> 0 AND hash = j.value ->> 1
    ORDER BY batch DESC, first DESC, place DESC LIMIT 1
)

-- name: add_finding_segments
INSERT INTO finding_segment (merchant, batch, chunk, first, last, base_batch, base_first, severities, codes, body)
VALUES (?1, :row)

-- name: add_finding_places
INSERT INTO finding_place (merchant, stem, hash, batch, first, place) VALUES (?1, :row)

-- name: findings_by_number
SELECT f.id, f.number, f.key, f.issues
FROM json_each(:numbers) j CROSS JOIN finding f ON f.merchant = :merchant AND f.batch = :batch AND f.number = j.value

-- name: delete_findings
DELETE FROM finding WHERE merchant = :merchant AND id IN (SELECT value FROM json_each(:ids))

-- name: delete_raws
-- Differs because SQLite does not store long values apart by itself.
DELETE FROM raw WHERE merchant = :merchant AND id IN (SELECT value FROM json_each(:ids))

-- name: cancel_findings
UPDATE finding SET result = :cancelled
WHERE merchant = :merchant AND batch = :batch AND result IS NOT NULL AND result <> :rejected

-- name: cancel_finding_segments
UPDATE finding_segment SET is_cancelled = 1 WHERE merchant = :merchant AND batch = :batch

-- name: rejected_records
SELECT f.number, f.source_row, f.fix_round, f.fix_row, f.key, f.result, f.issues, f.role, r.bytes
FROM finding f INDEXED BY finding_has_error CROSS JOIN raw r ON r.id = f.id AND r.merchant = f.merchant
WHERE f.merchant = :merchant AND f.batch = :batch AND f.number > :after AND f.has_error = 1 AND f.result = :rejected
ORDER BY f.number LIMIT :limit

-- name: rejected_by_number
SELECT f.number, f.source_row, f.fix_round, f.fix_row, f.key, f.result, f.issues, f.role, r.bytes
FROM json_each(:numbers) j
CROSS JOIN finding f ON f.merchant = :merchant AND f.batch = :batch AND f.number = j.value
CROSS JOIN raw r ON r.id = f.id AND r.merchant = f.merchant
WHERE f.result IN (:rejected, :waiting)

-- name: findings
SELECT number, source_row, fix_round, fix_row, key, result, issues FROM finding
WHERE merchant = :merchant AND batch = :batch AND number > :after AND (:code IS NULL OR instr(codes, :code) > 0)
  AND (:severity IS NULL OR instr(severities, :severity) > 0)
ORDER BY number LIMIT :limit

-- name: findings_with_error
SELECT number, source_row, fix_round, fix_row, key, result, issues FROM finding INDEXED BY finding_has_error
WHERE merchant = :merchant AND batch = :batch AND number > :after AND has_error = 1
  AND (:code IS NULL OR instr(codes, :code) > 0) AND instr(severities, :severity) > 0
ORDER BY number LIMIT :limit

-- name: findings_by_key
SELECT p.batch, f.batch, f.number, f.source_row, f.fix_round, f.fix_row, f.key, f.result, f.issues
FROM finding f INDEXED BY finding_key CROSS JOIN progress p ON p.seq = f.batch AND p.merchant = f.merchant
WHERE f.merchant = :merchant AND substr(f.key, 1, 64) = substr(:key, 1, 64) AND f.key = :key
ORDER BY f.batch DESC, f.number LIMIT :limit

-- name: finding_chunk
SELECT chunk FROM finding_segment
WHERE merchant = :merchant AND batch = :batch AND first <= :after + 1 ORDER BY first DESC LIMIT 1

-- name: finding_segments
SELECT first, base_batch, base_first, is_cancelled, body FROM finding_segment
WHERE merchant = :merchant AND batch = :batch AND first >= :first AND last > :after AND is_hidden = 0
  AND (:code IS NULL OR instr(codes, :code) > 0)
  AND (:severity IS NULL OR instr(severities, :severity) > 0)
ORDER BY first LIMIT :limit

-- name: finding_segment
SELECT base_batch, base_first, is_cancelled, body FROM finding_segment
WHERE merchant = :merchant AND batch = :batch AND first = :first

-- name: finding_segments_by_key
SELECT p.batch, s.batch, s.first, s.base_batch, s.base_first, s.place FROM (
    SELECT o.merchant, o.batch, o.first, k.batch AS base_batch, k.first AS base_first, k.place
    FROM finding_place k
    CROSS JOIN finding_segment o ON o.merchant = k.merchant AND o.batch = k.batch AND o.first = k.first
    WHERE k.merchant = :merchant AND k.stem = :stem AND o.is_hidden = 0
    UNION ALL
    SELECT o.merchant, o.batch, o.first, k.batch, k.first, k.place
    FROM finding_place k CROSS JOIN finding_segment o INDEXED BY finding_segment_base
    ON o.merchant = k.merchant AND o.base_batch = k.batch AND o.base_first = k.first
    WHERE k.merchant = :merchant AND k.stem = :stem AND o.is_hidden = 0
) s CROSS JOIN progress p ON p.seq = s.batch AND p.merchant = s.merchant
ORDER BY s.batch DESC, s.first

-- name: add_feed_day
-- Differs because a statement costs no network round trip: one for each submitter and day.
INSERT INTO feed_day (merchant, day, submitter, kind, code, count, records, rejected, last_at)
SELECT :merchant, :day, :submitter, :kind, f.code, f.count, f.records, f.rejected, :last_at FROM (
    SELECT '' AS code, :feeds AS count, :records AS records, :rejected AS rejected
    UNION ALL
    SELECT g.code, sum(g.count), 0, 0 FROM issue_group g
    WHERE g.merchant = :merchant AND g.batch IN (SELECT value FROM json_each(:batches)) GROUP BY g.code
) f WHERE true
ON CONFLICT (merchant, day, submitter, kind, code) DO UPDATE
SET count = count + excluded.count, records = records + excluded.records, rejected = rejected + excluded.rejected,
    last_at = max(last_at, excluded.last_at)

-- name: feed_days
SELECT day, submitter, kind, count, records, rejected, last_at FROM feed_day
WHERE merchant = :merchant AND day >= :since AND code = '' ORDER BY day, submitter, kind

-- name: feed_issues
SELECT submitter, code, sum(count) FROM feed_day
WHERE merchant = :merchant AND day >= :since AND code <> '' GROUP BY submitter, code ORDER BY 3 DESC, 1, 2 LIMIT :limit

-- name: delete_feed_days
-- Every merchant: what is past its retention.
DELETE FROM feed_day WHERE (merchant, day, submitter, kind, code) IN (
    SELECT merchant, day, submitter, kind, code FROM feed_day WHERE day < :before LIMIT :limit
)

-- name: batch_rounds
-- Differs because rounds are in the other file.
SELECT r.number, r.round_kind, r.started_at, r.ended_at, r.records, r.counts
FROM batch b CROSS JOIN round r ON r.batch = b.seq
WHERE b.merchant = :merchant AND b.id = unhex(:batch) AND b.deleting = 0 AND r.ended_at IS NOT NULL ORDER BY r.number

-- name: issue_group
SELECT count, top FROM issue_group
WHERE merchant = :merchant AND batch = :batch AND code = :code AND severity = :severity AND field = :field

-- name: put_issue_group
INSERT INTO issue_group (merchant, batch, code, severity, field, count, top, "column")
VALUES (:merchant, :batch, :code, :severity, :field, :count, :top, :column)
ON CONFLICT (merchant, batch, code, severity, field) DO UPDATE SET count = :count, top = :top

-- name: delete_issue_group
DELETE FROM issue_group
WHERE merchant = :merchant AND batch = :batch AND code = :code AND severity = :severity AND field = :field

-- name: issue_groups
SELECT g.code, g.severity, g.field, g.count, g.top, g."column"
FROM progress p
CROSS JOIN issue_group g ON g.merchant = p.merchant AND g.batch = CASE p.trial WHEN 1 THEN -p.seq ELSE p.seq END
WHERE p.merchant = :merchant AND p.batch = unhex(:batch) ORDER BY g.count DESC, g.code, g.severity, g.field LIMIT :limit

-- ====================================== catalogue: records that wait =======================================

-- name: has_waiting
-- Differs because a statement costs no network round trip.
SELECT EXISTS (SELECT 1 FROM waiting_reference WHERE merchant = :merchant)

-- name: waiting_until
SELECT w.number, min(w.expires_at)
FROM json_each(:numbers) j CROSS JOIN waiting_reference w INDEXED BY waiting_reference_record
ON w.merchant = :merchant AND w.batch = :batch AND w.number = j.value GROUP BY w.number

-- name: delete_waiting
DELETE FROM waiting_reference INDEXED BY waiting_reference_record
WHERE merchant = :merchant AND batch = :batch AND number IN (SELECT value FROM json_each(:numbers))

-- name: add_waiting
INSERT INTO waiting_reference (merchant, batch, number, kind, code, lane, collection, key, version, expires_at)
SELECT :merchant, :batch, value ->> 0, value ->> 1, value ->> 2, :lane, :collection, value ->> 3, value ->> 4,
       value ->> 5
FROM json_each(:rows)

-- name: overtake_waiting
-- Records of batches before this one, and records of this batch before the number of each key.
UPDATE waiting_reference SET overtaken = 1, arrived = 1 WHERE merchant = :merchant AND id IN (
    SELECT w.id FROM json_each(:keys) j CROSS JOIN waiting_reference w INDEXED BY waiting_reference_key
    ON w.merchant = :merchant AND w.lane = :lane AND w.collection = :collection AND w.key = j.value ->> 0
    WHERE w.batch < :batch OR (w.batch = :batch AND w.number < j.value ->> 1)
)

-- name: mark_products_arrived
UPDATE waiting_reference SET arrived = 1 WHERE merchant = :merchant AND id IN (
    SELECT w.id FROM json_each(:keys) j CROSS JOIN waiting_reference w INDEXED BY waiting_reference_code
    ON w.merchant = :merchant AND w.kind = 'product' AND w.code = j.value
    WHERE w.collection = :collection AND w.arrived = 0
)

-- name: mark_all_products_arrived
UPDATE waiting_reference SET arrived = 1
WHERE merchant = :merchant AND kind = 'product' AND collection = :collection AND arrived = 0

-- name: put_group_parents
-- One that would not be kept is, under a name for which records wait. An older batch changes nothing.
INSERT INTO group_parent (merchant, collection, name, batch, body, expires_at)
SELECT :merchant, :collection, j.value ->> 0, :batch, j.value ->> 1, max(j.value ->> 2, coalesce(w.until, 0))
FROM json_each(:parents) j LEFT JOIN (
    SELECT w.code, max(w.expires_at) AS until
    FROM json_each(:parents) n CROSS JOIN waiting_reference w INDEXED BY waiting_reference_code
    ON w.merchant = :merchant AND w.kind = 'parent' AND w.code = n.value ->> 0
    WHERE w.collection = :collection GROUP BY w.code
) w ON w.code = j.value ->> 0
WHERE j.value ->> 2 > 0 OR w.until IS NOT NULL
ON CONFLICT (merchant, collection, name) DO UPDATE
SET batch = excluded.batch, body = excluded.body, expires_at = max(excluded.expires_at, expires_at)
WHERE excluded.batch >= batch

-- name: mark_parents_arrived
UPDATE waiting_reference SET arrived = 1 WHERE merchant = :merchant AND id IN (
    SELECT w.id FROM json_each(:names) j CROSS JOIN waiting_reference w INDEXED BY waiting_reference_code
    ON w.merchant = :merchant AND w.kind = 'parent' AND w.code = j.value
    WHERE w.collection = :collection AND w.arrived = 0 AND EXISTS (
        SELECT 1 FROM group_parent g WHERE g.merchant = :merchant AND g.collection = :collection AND g.name = w.code
    )
)

-- name: group_parents
SELECT g.name, g.body FROM json_each(:names) j CROSS JOIN group_parent g INDEXED BY group_parent_name
ON g.merchant = :merchant AND g.collection = :collection AND g.name = j.value

-- name: awaits_parents
SELECT EXISTS (
    SELECT 1 FROM waiting_reference WHERE merchant = :merchant AND kind = 'parent' AND collection = :collection
)

-- name: delete_group_parents
-- Every merchant: what is past its time.
DELETE FROM group_parent WHERE id IN (SELECT id FROM group_parent WHERE expires_at <= :now LIMIT :limit)

-- name: waiting_for
SELECT w.kind, w.code, count(*), min(w.expires_at)
FROM progress p CROSS JOIN waiting_reference w ON w.merchant = p.merchant AND w.batch = p.seq
WHERE p.merchant = :merchant AND p.batch = unhex(:id)
GROUP BY w.kind, w.code ORDER BY count(*) DESC, w.kind, w.code LIMIT :limit

-- name: waiting_records
SELECT f.number, f.source_row, f.fix_round, f.fix_row, f.key, f.result, f.issues, f.role, r.bytes
FROM finding f INDEXED BY finding_has_error CROSS JOIN raw r ON r.id = f.id AND r.merchant = f.merchant
WHERE f.merchant = :merchant AND f.batch = :batch AND f.number > :after AND f.has_error = 1 AND f.result = :waiting
ORDER BY f.number LIMIT :limit

-- name: ready_records
SELECT f.number, f.source_row, f.fix_round, f.fix_row, f.key, f.result, f.issues, f.role, r.bytes
FROM (
    SELECT number FROM waiting_reference INDEXED BY waiting_reference_record
    WHERE merchant = :merchant AND batch = :batch AND number > :after
    GROUP BY number HAVING min(arrived) = 1 OR min(expires_at) <= :now ORDER BY number LIMIT :limit
) w CROSS JOIN finding f ON f.merchant = :merchant AND f.batch = :batch AND f.number = w.number
CROSS JOIN raw r ON r.id = f.id AND r.merchant = f.merchant
ORDER BY f.number

-- name: waiting_marks
SELECT w.number, max(w.overtaken), min(w.expires_at) <= :now
FROM json_each(:numbers) j CROSS JOIN waiting_reference w INDEXED BY waiting_reference_record
ON w.merchant = :merchant AND w.batch = :batch AND w.number = j.value GROUP BY w.number

-- name: waiting_keys
SELECT DISTINCT key FROM waiting_reference INDEXED BY waiting_reference_key
WHERE merchant = :merchant AND lane = :lane AND collection = :collection AND key > :after AND batch < :batch
  AND overtaken = 0
ORDER BY key LIMIT :limit

-- name: changed_references
-- Every merchant: the worker looks for what has arrived. Steps from one to the next in the index.
-- Differs because the current version is in the other file.
WITH RECURSIVE w (merchant) AS (
    SELECT min(merchant) FROM waiting_reference WHERE arrived = 0 AND kind NOT IN ('product', 'parent')
    UNION ALL
    SELECT (SELECT min(n.merchant) FROM waiting_reference n
            WHERE n.arrived = 0 AND n.kind NOT IN ('product', 'parent') AND n.merchant > w.merchant)
    FROM w WHERE w.merchant IS NOT NULL
)
SELECT w.merchant, (
    SELECT min(n.version) FROM waiting_reference n
    WHERE n.merchant = w.merchant AND n.arrived = 0 AND n.kind NOT IN ('product', 'parent')
) FROM w WHERE w.merchant IS NOT NULL

-- name: awaited_references
SELECT DISTINCT kind, code FROM waiting_reference
WHERE merchant = :merchant AND arrived = 0 AND kind NOT IN ('product', 'parent') AND version < :version LIMIT :limit

-- name: mark_references
UPDATE waiting_reference SET version = :version, arrived = max(arrived, :arrived)
WHERE merchant = :merchant AND id IN (
    SELECT w.id FROM json_each(:references) j CROSS JOIN waiting_reference w INDEXED BY waiting_reference_code
    ON w.merchant = :merchant AND w.kind = j.value ->> 0 AND w.code = j.value ->> 1
)

-- name: ready_batches
-- Every merchant: the worker looks for what has arrived.
-- Differs because the rounds are in the other file.
SELECT p.merchant, p.batch FROM (
    SELECT DISTINCT w.merchant, w.batch FROM waiting_reference w
    WHERE w.arrived = 1 AND NOT EXISTS (
        SELECT 1 FROM waiting_reference o
        WHERE o.merchant = w.merchant AND o.batch = w.batch AND o.number = w.number AND o.arrived = 0
    )
    UNION
    SELECT DISTINCT merchant, batch FROM waiting_reference WHERE expires_at <= :now
) r CROSS JOIN progress p ON p.seq = r.batch AND p.merchant = r.merchant
ORDER BY p.seq

-- ====================================== catalogue: seen keys of a batch =======================================

-- name: create_seen_keys
-- Every merchant: a table of this connection only, by batch.
CREATE TEMP TABLE IF NOT EXISTS seen_key (batch INTEGER, key TEXT, PRIMARY KEY (batch, key)) WITHOUT ROWID

-- name: add_seen_keys
-- Every merchant: a table of this connection only, by batch.
INSERT OR IGNORE INTO temp.seen_key (batch, key) SELECT :batch, value FROM json_each(:keys)

-- name: delete_seen_keys
-- Differs because one table is for all batches.
-- Every merchant: a table of this connection only, by batch.
DELETE FROM temp.seen_key WHERE batch = :batch

-- name: seen_keys
-- Every merchant: a table of this connection only, by batch, filled for one merchant.
SELECT s.key FROM json_each(:keys) j CROSS JOIN temp.seen_key s ON s.batch = :batch AND s.key = j.value

-- name: count_absent_items
-- Differs because the keys of the feed are in the same process as the items.
-- The item's row is read last, after the index and the seen keys: most keys of a full feed are among those.
SELECT count(*)
FROM item i INDEXED BY item_key CROSS JOIN item d ON d.id = i.id
WHERE i.merchant = :merchant AND i.collection = :collection
  AND NOT EXISTS (SELECT 1 FROM temp.seen_key s WHERE s.batch = :batch AND s.key = i.key)
  AND d.hash IS NOT NULL AND d.written_at < :first_at

-- name: absent_items
SELECT i.key
FROM item i INDEXED BY item_key CROSS JOIN item d ON d.id = i.id
WHERE i.merchant = :merchant AND i.collection = :collection AND (i.key COLLATE NOCASE, i.key) > (:after, :after)
  AND NOT EXISTS (SELECT 1 FROM temp.seen_key s WHERE s.batch = :batch AND s.key = i.key)
  AND d.hash IS NOT NULL AND d.written_at < :first_at
ORDER BY i.key COLLATE NOCASE, i.key LIMIT :limit

-- ============================================= catalogue: dry runs ====================================================

-- name: diff
SELECT last, summary FROM diff WHERE merchant = :merchant AND batch = :batch

-- name: put_diff
INSERT INTO diff (merchant, batch, last, summary) VALUES (:merchant, :batch, :last, :summary)
ON CONFLICT (merchant, batch) DO UPDATE SET last = excluded.last, summary = excluded.summary

-- name: add_diff_segments
INSERT INTO diff_segment (merchant, batch, first, count, body) VALUES (?1, ?2, :row)

-- name: diff_segments
-- The last segment that begins before the next number may contain it.
SELECT first, count, body FROM diff_segment
WHERE merchant = :merchant AND batch = :batch AND first >= coalesce((
    SELECT max(first) FROM diff_segment WHERE merchant = :merchant AND batch = :batch AND first <= :after + 1
), 0) AND first + count > :after + 1
ORDER BY first LIMIT :limit

-- name: create_dry_run_keys
-- Every merchant: a file of this process only, for one batch.
CREATE TABLE dry_run_key (
    folded TEXT, key TEXT, number INTEGER, live INTEGER, PRIMARY KEY (folded, key)
) WITHOUT ROWID

-- name: add_dry_run_key
-- Every merchant: a file of this process only, for one batch.
INSERT OR REPLACE INTO dry_run_key (folded, key, number, live) VALUES (?, ?, ?, ?)

-- name: dry_run_keys
-- Every merchant: a file of this process only, for one batch.
SELECT k.folded, k.key, k.number, k.live FROM json_each(:keys) j CROSS JOIN dry_run_key k ON k.folded = j.value
ORDER BY k.folded, k.key

-- ============================================= catalogue: retention ==============================================

-- name: delete_some_findings
DELETE FROM finding WHERE merchant = :merchant AND id IN (
    SELECT id FROM finding WHERE merchant = :merchant AND batch = :batch ORDER BY number LIMIT :limit
) RETURNING id

-- name: batch_finding_segments
SELECT first, base_batch, base_first FROM finding_segment
WHERE merchant = :merchant AND batch = :batch AND is_hidden = 0 ORDER BY first LIMIT :limit

-- name: hide_finding_segments
UPDATE finding_segment SET is_hidden = 1
WHERE merchant = :merchant AND batch = :batch AND first IN (SELECT value FROM json_each(:firsts))

-- name: unused_finding_segments
SELECT s.batch, s.first, s.body FROM json_each(:places) j CROSS JOIN finding_segment s
ON s.merchant = :merchant AND s.batch = j.value ->> 0 AND s.first = j.value ->> 1
WHERE s.is_hidden = 1 AND NOT EXISTS (
    SELECT 1 FROM finding_segment r
    WHERE r.merchant = s.merchant AND r.base_batch = s.batch AND r.base_first = s.first
)

-- name: delete_finding_places
DELETE FROM finding_place WHERE merchant = :merchant AND (stem, hash, batch, first, place) IN (
    SELECT value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4 FROM json_each(:keys)
)

-- name: delete_finding_segments
DELETE FROM finding_segment WHERE merchant = :merchant AND (batch, first) IN (
    SELECT value ->> 0, value ->> 1 FROM json_each(:places)
)

-- name: delete_some_chunks
DELETE FROM chunk WHERE merchant = :merchant AND batch = :batch AND first IN (
    SELECT first FROM chunk WHERE merchant = :merchant AND batch = :batch ORDER BY first LIMIT :limit
)

-- name: delete_some_chunk_keys
-- Differs because SQLite does not store long values apart by itself.
DELETE FROM chunk_keys WHERE merchant = :merchant AND batch = :batch AND first IN (
    SELECT first FROM chunk_keys WHERE merchant = :merchant AND batch = :batch ORDER BY first LIMIT :limit
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

-- name: delete_progress
-- Differs because progress is in another file than the batch.
DELETE FROM progress WHERE merchant = :merchant AND seq = :seq

-- name: delete_stock_orders
-- Every merchant: the sweep.
DELETE FROM stock_order WHERE closed_at < :before AND (merchant, collection, name) IN (
    SELECT merchant, collection, name FROM stock_order WHERE closed_at < :before ORDER BY closed_at LIMIT :limit
)

-- name: tombstones_due
-- Every merchant: the sweep.
SELECT s.merchant, s.id FROM collection s WHERE EXISTS (
    SELECT 1 FROM item i
    WHERE i.merchant = s.merchant AND i.collection = s.id AND i.hash IS NULL AND i.written_at < :before
)

-- name: delete_tombstones
DELETE FROM item WHERE merchant = :merchant AND id IN (
    SELECT id FROM item
    WHERE merchant = :merchant AND collection = :collection AND hash IS NULL AND written_at < :before
    ORDER BY written_at LIMIT :limit
)
