CREATE TABLE calls (
    id uuid NOT NULL,
    at bigint NOT NULL,
    tenant uuid NOT NULL,
    api uuid,
    route text,
    application uuid,
    gateway uuid NOT NULL,
    method text NOT NULL,
    status integer NOT NULL,
    class integer NOT NULL,
    cache text NOT NULL,
    path text COLLATE "C" NOT NULL,
    request_id text NOT NULL,
    duration_us bigint NOT NULL,
    detail text NOT NULL,
    PRIMARY KEY (id, at)
) PARTITION BY RANGE (at);
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
    gateway uuid NOT NULL,
    boot uuid NOT NULL,
    environment uuid NOT NULL,
    sequence bigint NOT NULL,
    missing bigint NOT NULL,
    dropped bigint NOT NULL,
    updated_at bigint NOT NULL,
    PRIMARY KEY (gateway, boot)
);

-- Rollups as they came, until compaction folds them.
CREATE TABLE rollups_waiting (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    tenant uuid NOT NULL,
    gateway uuid NOT NULL,
    deltas text NOT NULL
);
CREATE INDEX rollups_waiting_tenant ON rollups_waiting (tenant);

-- `step` is the length of a bucket in minutes, `bucket` its start in minutes since the Unix epoch.
CREATE TABLE rollups (
    tenant uuid NOT NULL,
    cube text NOT NULL,
    step integer NOT NULL,
    bucket bigint NOT NULL,
    a text NOT NULL,
    b text NOT NULL,
    calls bigint NOT NULL,
    errors bigint NOT NULL,
    counts text NOT NULL,
    PRIMARY KEY (tenant, cube, step, a, b, bucket)
);
-- Rankings sum over all cells of a time range, from this index alone.
CREATE INDEX rollups_ranking ON rollups (tenant, cube, step, bucket, a, b) INCLUDE (calls, errors);
CREATE INDEX rollups_age ON rollups (step, bucket);
