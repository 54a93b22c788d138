-- part: database
-- What was ever wrong with an item. Keys of rejected records may be of any length, so that only their beginning is kept;
-- in a column of its own, since behind row-level security an index is used only where no function sees a row before.
ALTER TABLE finding ADD COLUMN stem text COLLATE "C" GENERATED ALWAYS AS (left(key, 64)) STORED;
CREATE INDEX finding_stem ON finding (merchant, stem, batch);
