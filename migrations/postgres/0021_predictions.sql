-- Batches of predictions that are sealed: an object each (Parquet), and the root of the tree over their records, which the audit
-- record of the sealing names as well. One batch holds predictions of one endpoint by one version of a model.
CREATE TABLE prediction_batch (
    batch_id      TEXT   NOT NULL PRIMARY KEY,
    workspace     TEXT   NOT NULL,
    endpoint_id   TEXT   NOT NULL,
    endpoint      TEXT   NOT NULL,
    model_id      TEXT   NOT NULL,
    version       BIGINT NOT NULL,
    first_at      BIGINT NOT NULL,
    last_at       BIGINT NOT NULL,
    request_count BIGINT NOT NULL,
    row_count     BIGINT NOT NULL,
    root          BYTEA  NOT NULL,
    entry         TEXT   NOT NULL,
    sealed_at     BIGINT NOT NULL,
    object_id     TEXT   NOT NULL,
    size_bytes    BIGINT NOT NULL,
    sha256        BYTEA  NOT NULL,
    wrapped_key   BYTEA  NOT NULL,
    key_version   BIGINT NOT NULL
);

CREATE INDEX prediction_batch_at ON prediction_batch (workspace, last_at);
CREATE INDEX prediction_batch_of_model ON prediction_batch (model_id, version);
CREATE UNIQUE INDEX prediction_batch_object ON prediction_batch (object_id);
CREATE INDEX prediction_batch_expires ON prediction_batch (last_at);

-- What is kept of an endpoint's predictions, where somebody said so: `values`, `hashes` or `off`.
CREATE TABLE prediction_policy (
    endpoint_id TEXT   NOT NULL PRIMARY KEY,
    log         TEXT   NOT NULL,
    changed_at  BIGINT NOT NULL,
    changed_by  TEXT   NOT NULL
);

-- Whom predictions concern: a key each. `tag` is a keyed hash of the name that clients give. Without its row nothing opens that was
-- sealed under it, and nothing tells whose it was.
CREATE TABLE prediction_subject (
    subject_id  TEXT   NOT NULL PRIMARY KEY,
    workspace   TEXT   NOT NULL,
    tag         BYTEA  NOT NULL,
    wrapped_key BYTEA  NOT NULL,
    key_version BIGINT NOT NULL,
    created_at  BIGINT NOT NULL
);

CREATE UNIQUE INDEX prediction_subject_tag ON prediction_subject (workspace, tag);
