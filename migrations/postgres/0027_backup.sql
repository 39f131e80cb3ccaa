-- Backups and drills that were asked for, and how they ended.
CREATE TABLE backup_run (
    id              TEXT   NOT NULL PRIMARY KEY,
    kind            TEXT   NOT NULL,
    target          TEXT   NOT NULL,
    state           TEXT   NOT NULL,
    step            TEXT   NOT NULL,
    done_count      BIGINT NOT NULL,
    total_count     BIGINT NOT NULL,
    sequence        BIGINT,
    manifest_sha256 BYTEA,
    log_size        BIGINT,
    object_count    BIGINT,
    copied_bytes    BIGINT,
    point_at        BIGINT,
    took_ms         BIGINT,
    problem         TEXT,
    asked_by        TEXT   NOT NULL,
    asked_at        BIGINT NOT NULL,
    ended_at        BIGINT
);

CREATE INDEX backup_run_by_state ON backup_run (state, asked_at);

-- That the backup key was handed out, which is done once.
CREATE TABLE backup_escrow (
    name        TEXT   NOT NULL PRIMARY KEY,
    exported_by TEXT   NOT NULL,
    exported_at BIGINT NOT NULL
);

-- Restores that were asked for, and by whom they were approved.
CREATE TABLE backup_request (
    id              TEXT   NOT NULL PRIMARY KEY,
    target          TEXT   NOT NULL,
    sequence        BIGINT NOT NULL,
    manifest_sha256 BYTEA NOT NULL,
    reason          TEXT   NOT NULL,
    asked_by        TEXT   NOT NULL,
    asked_at        BIGINT NOT NULL,
    approved_by     TEXT,
    approved_at     BIGINT,
    expires_at      BIGINT
);

-- What this database was restored from, if it was.
CREATE TABLE backup_restored (
    id              TEXT   NOT NULL PRIMARY KEY,
    sequence        BIGINT NOT NULL,
    manifest_sha256 BYTEA NOT NULL,
    point           BIGINT NOT NULL,
    lost_count      BIGINT,
    state           TEXT   NOT NULL,
    reason          TEXT   NOT NULL,
    request_id      TEXT,
    asked_by        TEXT,
    approved_by     TEXT,
    restored_at     BIGINT NOT NULL
);
