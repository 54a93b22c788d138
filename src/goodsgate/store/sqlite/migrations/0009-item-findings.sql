-- part: catalogue
-- What was ever wrong with an item. Keys of rejected records may be of any length, so that only their beginning is kept.
CREATE INDEX finding_key ON finding (merchant, substr(key, 1, 64), batch);
