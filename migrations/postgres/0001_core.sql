CREATE TABLE audit_outbox (
    id       BIGINT  GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    event_id TEXT    NOT NULL,
    payload  BYTEA   NOT NULL
);

CREATE TABLE audit_checkpoint (
    origin   TEXT    NOT NULL PRIMARY KEY,
    size     BIGINT  NOT NULL,
    root     BYTEA   NOT NULL,
    note     TEXT    NOT NULL
);

CREATE TABLE vault_key (
    purpose      TEXT   NOT NULL,
    name         TEXT   NOT NULL,
    version      BIGINT NOT NULL,
    wrapped      BYTEA  NOT NULL,
    root_name    TEXT   NOT NULL,
    root_version BIGINT NOT NULL,
    created_at   BIGINT NOT NULL,
    PRIMARY KEY (purpose, name, version)
);
