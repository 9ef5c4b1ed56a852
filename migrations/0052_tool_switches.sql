-- Rules of guards that let nothing run (src/api/executions/guards.rs): copies of what the accounts' objects hold, so that lists leave such
-- tools out.

CREATE TABLE tool_switches (
    account TEXT NOT NULL,
    -- Empty for the account's own.
    key_hash TEXT NOT NULL,
    -- JSON: a list of credits::ops::SwitchedOff.
    rules TEXT NOT NULL,
    PRIMARY KEY (account, key_hash)
) STRICT, WITHOUT ROWID;
