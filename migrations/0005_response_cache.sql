-- The generation whose answer was given again (src/api/response_cache.rs).
ALTER TABLE usage ADD COLUMN response_cache_source_id TEXT;
