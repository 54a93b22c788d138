-- part: database
-- A round may rest: it is not claimed before a time, and does not keep those behind it waiting.
ALTER TABLE round ADD COLUMN starts_at bigint NOT NULL DEFAULT 0;
CREATE INDEX round_resting ON round (merchant, kind, starts_at) WHERE open AND starts_at > 0;
