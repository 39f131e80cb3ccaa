CREATE TABLE audit_outbox (
    id       BIGINT  GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    event_id TEXT    NOT NULL,
    payload  BYTEA   NOT NULL
);

CREATE TABLE audit_checkpoint (
    origin   TEXT    NOT NULL PRIMARY KEY,
    size     BIGINT  NOT NULL,
    root     BYTEA   NOT NULL,
    note     TEXT    NOT NULL,
    at       BIGINT  NOT NULL
);
