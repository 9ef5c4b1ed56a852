-- The catalog of tools, for the case that KV is out: a version's text in parts, and which version is in force.
CREATE TABLE tool_versions (
    version TEXT PRIMARY KEY,
    published_at INTEGER NOT NULL
) STRICT;

CREATE TABLE tool_texts (
    version TEXT NOT NULL,
    part INTEGER NOT NULL,
    json TEXT NOT NULL,
    PRIMARY KEY (version, part)
) STRICT, WITHOUT ROWID;
