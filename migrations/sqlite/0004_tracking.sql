-- Experiments, runs and what is logged to them. `run_row` is a run's own number: child rows carry it, not the 32-letter id.

CREATE TABLE experiment (
    experiment_id     INTEGER  PRIMARY KEY AUTOINCREMENT,
    workspace_id      TEXT     NOT NULL,
    name              TEXT     NOT NULL,
    artifact_location TEXT     NOT NULL,
    deleted           SMALLINT NOT NULL,
    owner             TEXT     NOT NULL,
    created_at        BIGINT   NOT NULL,
    updated_at        BIGINT   NOT NULL,
    UNIQUE (workspace_id, name)
);

CREATE TABLE experiment_tag (
    experiment_id BIGINT NOT NULL,
    key           TEXT   NOT NULL,
    value         TEXT   NOT NULL,
    PRIMARY KEY (experiment_id, key)
) WITHOUT ROWID;

CREATE TABLE run (
    run_row       INTEGER  PRIMARY KEY,
    run_id        TEXT     NOT NULL UNIQUE,
    experiment_id BIGINT   NOT NULL,
    name          TEXT     NOT NULL,
    user_name     TEXT     NOT NULL,
    owner         TEXT     NOT NULL,
    status        TEXT     NOT NULL,
    start_time_ms BIGINT   NOT NULL,
    end_time_ms   BIGINT,
    artifact_uri  TEXT     NOT NULL,
    deleted       SMALLINT NOT NULL,
    deleted_at    BIGINT,
    metric_seq    BIGINT   NOT NULL
);

CREATE INDEX run_listed ON run (experiment_id, deleted, start_time_ms DESC, run_id);

-- All points that one request logged under one key, packed: timestamp, step, value, 8 bytes little endian each.
CREATE TABLE metric_chunk (
    run_row BIGINT NOT NULL,
    key     TEXT   NOT NULL,
    seq     BIGINT NOT NULL,
    points  BLOB   NOT NULL,
    PRIMARY KEY (run_row, key, seq)
) WITHOUT ROWID;

CREATE TABLE latest_metric (
    run_row      BIGINT           NOT NULL,
    key          TEXT             NOT NULL,
    value        DOUBLE PRECISION NOT NULL,
    is_nan       SMALLINT         NOT NULL,
    timestamp_ms BIGINT           NOT NULL,
    step         BIGINT           NOT NULL,
    PRIMARY KEY (run_row, key)
) WITHOUT ROWID;

CREATE TABLE param (
    run_row BIGINT NOT NULL,
    key     TEXT   NOT NULL,
    value   TEXT   NOT NULL,
    PRIMARY KEY (run_row, key)
) WITHOUT ROWID;

CREATE TABLE tag (
    run_row BIGINT NOT NULL,
    key     TEXT   NOT NULL,
    value   TEXT   NOT NULL,
    PRIMARY KEY (run_row, key)
) WITHOUT ROWID;

CREATE TABLE dataset (
    dataset_row   INTEGER PRIMARY KEY,
    experiment_id BIGINT  NOT NULL,
    name          TEXT    NOT NULL,
    digest        TEXT    NOT NULL,
    source_type   TEXT    NOT NULL,
    source        TEXT    NOT NULL,
    schema_text   TEXT,
    profile_text  TEXT,
    UNIQUE (experiment_id, name, digest)
);

CREATE TABLE run_input (
    input_row   INTEGER PRIMARY KEY,
    run_row     BIGINT  NOT NULL,
    dataset_row BIGINT  NOT NULL,
    UNIQUE (run_row, dataset_row)
);

CREATE INDEX run_input_of_dataset ON run_input (dataset_row);

CREATE TABLE run_input_tag (
    input_row BIGINT NOT NULL,
    key       TEXT   NOT NULL,
    value     TEXT   NOT NULL,
    PRIMARY KEY (input_row, key)
) WITHOUT ROWID;

-- Logged models that a run read (`generated` 0) or made (1).
CREATE TABLE run_model (
    run_row   BIGINT   NOT NULL,
    generated SMALLINT NOT NULL,
    model_id  TEXT     NOT NULL,
    step      BIGINT   NOT NULL,
    PRIMARY KEY (run_row, generated, model_id)
) WITHOUT ROWID;

CREATE INDEX run_model_of_model ON run_model (model_id);
