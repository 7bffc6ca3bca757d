-- How gateways did with the second levels of their caches, the newest of each bucket and life (`boot`).
-- `step` and `bucket` are as in rollups; `figures` are those of the life.
CREATE TABLE cache_second_level (
    gateway uuid NOT NULL,
    step integer NOT NULL,
    bucket bigint NOT NULL,
    boot uuid NOT NULL,
    figures text NOT NULL,
    PRIMARY KEY (gateway, step, bucket, boot)
);
CREATE INDEX cache_second_level_age ON cache_second_level (step, bucket);
