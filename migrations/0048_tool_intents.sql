-- What tools were asked for with success (src/tools/intent). No text: features under a key of the account's own, so that a row tells nothing by itself.

CREATE TABLE tool_intents (
    account TEXT NOT NULL,
    -- Of the features: the same intent is remembered once.
    digest TEXT NOT NULL,
    -- A capability, or provider/operation.
    tool TEXT NOT NULL,
    -- 32-bit numbers, base64.
    features TEXT NOT NULL,
    -- The last execution that it came from: a report of failure takes it away.
    execution TEXT NOT NULL,
    remembered_at INTEGER NOT NULL,
    PRIMARY KEY (account, digest)
) STRICT, WITHOUT ROWID;
CREATE INDEX tool_intents_by_age ON tool_intents (account, remembered_at);
