-- Every version of a preset; the row in `presets` is the newest, the one in force. Times are unix milliseconds.

CREATE TABLE preset_versions (
    preset TEXT NOT NULL,
    version INTEGER NOT NULL,
    -- Fields of a request body, as JSON.
    config TEXT NOT NULL,
    system_prompt TEXT,
    created_at INTEGER NOT NULL,
    PRIMARY KEY (preset, version)
) STRICT, WITHOUT ROWID;

INSERT INTO preset_versions (preset, version, config, system_prompt, created_at)
SELECT id, version, config, system_prompt, updated_at FROM presets;
