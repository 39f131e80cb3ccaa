CREATE TABLE audit_outbox (
    id       INTEGER PRIMARY KEY AUTOINCREMENT,
    event_id TEXT    NOT NULL,
    payload  BLOB    NOT NULL
);

CREATE TABLE audit_checkpoint (
    origin   TEXT    NOT NULL PRIMARY KEY,
    size     BIGINT  NOT NULL,
    root     BLOB    NOT NULL,
    note     TEXT    NOT NULL,
    at       BIGINT  NOT NULL
);
