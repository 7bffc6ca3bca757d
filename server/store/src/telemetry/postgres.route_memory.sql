-- What routes of APIs held, too. An empty route: all routes of the API together.
ALTER TABLE cache_memory ADD COLUMN route text NOT NULL DEFAULT '';
ALTER TABLE cache_memory DROP CONSTRAINT cache_memory_pkey;
ALTER TABLE cache_memory ADD PRIMARY KEY (tenant, step, route, api, gateway, bucket);
