-- A management key administers its account and calls no model (src/identity/manager.rs).
ALTER TABLE api_keys ADD COLUMN management INTEGER NOT NULL DEFAULT 0;
