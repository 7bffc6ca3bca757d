CREATE TABLE calls (
    id BLOB NOT NULL PRIMARY KEY,
    at INTEGER NOT NULL,
    tenant BLOB NOT NULL,
    api BLOB,
    route TEXT,
    application BLOB,
    gateway BLOB NOT NULL,
    method TEXT NOT NULL,
    status INTEGER NOT NULL,
    class INTEGER NOT NULL,
    cache TEXT NOT NULL,
    path TEXT NOT NULL,
    request_id TEXT NOT NULL,
    duration_us INTEGER NOT NULL,
    detail TEXT NOT NULL
);
-- The walk through time. Filters that keep a good share of calls are decided from its columns, without the row.
CREATE INDEX calls_time ON calls (tenant, at, id, gateway, method, status, cache, duration_us);
-- Filters that keep a small share have an order of their own.
CREATE INDEX calls_api ON calls (tenant, api, at, id, status);
CREATE INDEX calls_route ON calls (tenant, route, at, id);
CREATE INDEX calls_application ON calls (tenant, application, at, id);
-- Text that clients choose can be longer than an index entry may be.
CREATE INDEX calls_request ON calls (tenant, substr(request_id, 1, 128));
CREATE INDEX calls_path ON calls (tenant, substr(path, 1, 256));
-- What people look for most is rare: errors, and calls that took a second.
CREATE INDEX calls_errors ON calls (tenant, class, at, id, status) WHERE status >= 400;
CREATE INDEX calls_slow ON calls (tenant, at, id, duration_us) WHERE duration_us >= 1000000;

CREATE TABLE watermarks (
    gateway BLOB NOT NULL,
    boot BLOB NOT NULL,
    environment BLOB NOT NULL,
    sequence INTEGER NOT NULL,
    missing INTEGER NOT NULL,
    dropped INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    PRIMARY KEY (gateway, boot)
) WITHOUT ROWID;

-- Rollups as they came, until compaction folds them.
CREATE TABLE rollups_waiting (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    tenant BLOB NOT NULL,
    gateway BLOB NOT NULL,
    deltas TEXT NOT NULL
);
CREATE INDEX rollups_waiting_tenant ON rollups_waiting (tenant);

-- `step` is the length of a bucket in minutes, `bucket` its start in minutes since the Unix epoch.
CREATE TABLE rollups (
    tenant BLOB NOT NULL,
    cube TEXT NOT NULL,
    step INTEGER NOT NULL,
    bucket INTEGER NOT NULL,
    a TEXT NOT NULL,
    b TEXT NOT NULL,
    calls INTEGER NOT NULL,
    errors INTEGER NOT NULL,
    counts TEXT NOT NULL,
    PRIMARY KEY (tenant, cube, step, a, b, bucket)
);
-- Rankings sum over all cells of a time range, from this index alone.
CREATE INDEX rollups_ranking ON rollups (tenant, cube, step, bucket, a, b, calls, errors);
CREATE INDEX rollups_age ON rollups (step, bucket);
