-- The last list of tools of each upstream MCP server; identity says which server that was.

CREATE TABLE upstream_list (
    name TEXT NOT NULL PRIMARY KEY,
    identity BLOB NOT NULL,
    tools TEXT NOT NULL,
    at_ms INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
