-- What routes of APIs held, too. An empty route: all routes of the API together.
ALTER TABLE cache_memory RENAME TO cache_memory_of_apis;
CREATE TABLE cache_memory (
    tenant BLOB NOT NULL,
    step INTEGER NOT NULL,
    route TEXT NOT NULL,
    api BLOB NOT NULL,
    gateway BLOB NOT NULL,
    bucket INTEGER NOT NULL,
    boot BLOB NOT NULL,
    entries INTEGER NOT NULL,
    bytes INTEGER NOT NULL,
    evictions TEXT NOT NULL,
    PRIMARY KEY (tenant, step, route, api, gateway, bucket)
) WITHOUT ROWID;
INSERT INTO cache_memory (tenant, step, route, api, gateway, bucket, boot, entries, bytes, evictions)
SELECT tenant, step, '', api, gateway, bucket, boot, entries, bytes, evictions FROM cache_memory_of_apis;
DROP TABLE cache_memory_of_apis;
CREATE INDEX cache_memory_age ON cache_memory (step, bucket);
