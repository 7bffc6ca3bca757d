-- What APIs held of the caches of gateways, the newest of each bucket. `step` and `bucket` are as in rollups; `evictions` are
-- those of the gateway's life (`boot`).
CREATE TABLE cache_memory (
    tenant BLOB NOT NULL,
    step INTEGER NOT NULL,
    api BLOB NOT NULL,
    gateway BLOB NOT NULL,
    bucket INTEGER NOT NULL,
    boot BLOB NOT NULL,
    entries INTEGER NOT NULL,
    bytes INTEGER NOT NULL,
    evictions TEXT NOT NULL,
    PRIMARY KEY (tenant, step, api, gateway, bucket)
) WITHOUT ROWID;
CREATE INDEX cache_memory_age ON cache_memory (step, bucket);
