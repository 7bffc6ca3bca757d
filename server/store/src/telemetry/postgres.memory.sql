-- What APIs held of the caches of gateways, the newest of each bucket. `step` and `bucket` are as in rollups; `evictions` are
-- those of the gateway's life (`boot`).
CREATE TABLE cache_memory (
    tenant uuid NOT NULL,
    step integer NOT NULL,
    api uuid NOT NULL,
    gateway uuid NOT NULL,
    bucket bigint NOT NULL,
    boot uuid NOT NULL,
    entries bigint NOT NULL,
    bytes bigint NOT NULL,
    evictions text NOT NULL,
    PRIMARY KEY (tenant, step, api, gateway, bucket)
);
CREATE INDEX cache_memory_age ON cache_memory (step, bucket);
