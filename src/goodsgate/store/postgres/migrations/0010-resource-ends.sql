-- part: database
-- Before each change those of a sort are forgotten that are past their end, and those counted that have none: without
-- this, every one of the sort is read for it.
CREATE INDEX resource_ends_of ON resource (merchant, sort, ends_at);
