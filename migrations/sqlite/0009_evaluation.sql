-- Evaluation datasets: what models are judged by. `dataset_row` is a dataset's own number: child rows carry it.

CREATE TABLE evaluation_dataset (
    dataset_row  INTEGER PRIMARY KEY,
    dataset_id   TEXT    NOT NULL UNIQUE,
    workspace_id TEXT    NOT NULL,
    name         TEXT    NOT NULL,
    digest       TEXT    NOT NULL,
    schema_text  TEXT,
    record_count BIGINT  NOT NULL,
    owner        TEXT    NOT NULL,
    created_by   TEXT    NOT NULL,
    updated_by   TEXT    NOT NULL,
    created_at   BIGINT  NOT NULL,
    updated_at   BIGINT  NOT NULL
);

CREATE INDEX evaluation_dataset_listed ON evaluation_dataset (workspace_id, created_at DESC, dataset_id DESC);

CREATE TABLE evaluation_tag (
    dataset_row BIGINT NOT NULL,
    key         TEXT   NOT NULL,
    value       TEXT   NOT NULL,
    PRIMARY KEY (dataset_row, key)
) WITHOUT ROWID;

CREATE TABLE evaluation_experiment (
    dataset_row   BIGINT NOT NULL,
    experiment_id BIGINT NOT NULL,
    PRIMARY KEY (dataset_row, experiment_id)
) WITHOUT ROWID;

CREATE INDEX evaluation_experiment_reversed ON evaluation_experiment (experiment_id);

-- The JSON columns hold a client's documents: they are never looked into by SQL.
CREATE TABLE evaluation_record (
    record_row   INTEGER PRIMARY KEY,
    record_id    TEXT    NOT NULL UNIQUE,
    dataset_row  BIGINT  NOT NULL,
    input_hash   TEXT    NOT NULL,
    inputs       TEXT    NOT NULL,
    outputs      TEXT,
    expectations TEXT,
    tags         TEXT    NOT NULL,
    source       TEXT,
    source_id    TEXT,
    source_type  TEXT,
    created_by   TEXT    NOT NULL,
    updated_by   TEXT    NOT NULL,
    created_at   BIGINT  NOT NULL,
    updated_at   BIGINT  NOT NULL,
    UNIQUE (dataset_row, input_hash)
);

CREATE INDEX evaluation_record_listed ON evaluation_record (dataset_row, record_row);
