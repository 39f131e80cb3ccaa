-- Paths are compared byte by byte on both engines: folders are ranges of paths.
CREATE TABLE artifact (
    id         TEXT   NOT NULL PRIMARY KEY,
    owner_kind TEXT   NOT NULL,
    owner_id   TEXT   NOT NULL,
    path       TEXT NOT NULL,
    workspace  TEXT   NOT NULL,
    experiment BIGINT NOT NULL,
    size_bytes BIGINT NOT NULL,
    sha256     BLOB NOT NULL,
    upload_id  TEXT,
    created_at BIGINT NOT NULL,
    created_by TEXT   NOT NULL,
    UNIQUE (owner_kind, owner_id, path)
);

-- The bytes of an artifact: one object, or the parts of a multipart upload in order.
CREATE TABLE artifact_part (
    artifact_id TEXT   NOT NULL REFERENCES artifact (id),
    part_number BIGINT NOT NULL,
    object_id   TEXT   NOT NULL UNIQUE,
    workspace   TEXT   NOT NULL,
    size_bytes  BIGINT NOT NULL,
    sha256      BLOB NOT NULL,
    wrapped_key BLOB NOT NULL,
    key_version BIGINT NOT NULL,
    PRIMARY KEY (artifact_id, part_number)
);

CREATE INDEX artifact_part_by_key ON artifact_part (workspace, key_version);

CREATE TABLE artifact_upload (
    id         TEXT   NOT NULL PRIMARY KEY,
    owner_kind TEXT   NOT NULL,
    owner_id   TEXT   NOT NULL,
    path       TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    created_by TEXT   NOT NULL
);

CREATE INDEX artifact_upload_by_owner ON artifact_upload (owner_kind, owner_id);

CREATE TABLE artifact_upload_part (
    upload_id   TEXT   NOT NULL REFERENCES artifact_upload (id),
    part_number BIGINT NOT NULL,
    object_id   TEXT   NOT NULL UNIQUE,
    workspace   TEXT   NOT NULL,
    size_bytes  BIGINT NOT NULL,
    sha256      BLOB NOT NULL,
    wrapped_key BLOB NOT NULL,
    key_version BIGINT NOT NULL,
    stored_at   BIGINT NOT NULL,
    PRIMARY KEY (upload_id, part_number)
);

CREATE INDEX artifact_upload_part_by_key ON artifact_upload_part (workspace, key_version);
