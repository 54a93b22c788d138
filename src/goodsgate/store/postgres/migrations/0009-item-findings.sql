-- part: database
-- What was ever wrong with an item. Keys of rejected records may be of any length, so that only their beginning is kept.
CREATE INDEX finding_key ON finding (merchant, left(key, 64) COLLATE "C", batch);
