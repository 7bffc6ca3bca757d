-- How gateways did with the second levels of their caches, the newest of each bucket and life (`boot`).
-- `step` and `bucket` are as in rollups; `figures` are those of the life.
CREATE TABLE cache_second_level (
    gateway BLOB NOT NULL,
    step INTEGER NOT NULL,
    bucket INTEGER NOT NULL,
    boot BLOB NOT NULL,
    figures TEXT NOT NULL,
    PRIMARY KEY (gateway, step, bucket, boot)
) WITHOUT ROWID;
CREATE INDEX cache_second_level_age ON cache_second_level (step, bucket);
