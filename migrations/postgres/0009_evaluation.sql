-- Evaluation datasets: what models are judged by. `dataset_row` is a dataset's own number: child rows carry it.

CREATE TABLE evaluation_dataset (
    dataset_row   BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    dataset_id    TEXT COLLATE "C" NOT NULL UNIQUE,
    workspace_id  TEXT COLLATE "C" NOT NULL,
    name          TEXT COLLATE "C" NOT NULL,
    digest        TEXT COLLATE "C" NOT NULL,
    schema_text   TEXT,
    record_count  BIGINT NOT NULL,
    owner         TEXT COLLATE "C" NOT NULL,
    created_by    TEXT COLLATE "C" NOT NULL,
    updated_by    TEXT COLLATE "C" NOT NULL,
    created_at    BIGINT NOT NULL,
    updated_at    BIGINT NOT NULL
);

CREATE INDEX evaluation_dataset_listed ON evaluation_dataset (workspace_id, created_at DESC, dataset_id DESC);

CREATE TABLE evaluation_tag (
    dataset_row   BIGINT NOT NULL,
    key           TEXT COLLATE "C" NOT NULL,
    value         TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (dataset_row, key)
);

CREATE TABLE evaluation_experiment (
    dataset_row   BIGINT NOT NULL,
    experiment_id BIGINT NOT NULL,
    PRIMARY KEY (dataset_row, experiment_id)
);

CREATE INDEX evaluation_experiment_reversed ON evaluation_experiment (experiment_id);

-- The JSON columns hold a client's documents: they are never looked into by SQL.
CREATE TABLE evaluation_record (
    record_row    BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    record_id     TEXT COLLATE "C" NOT NULL UNIQUE,
    dataset_row   BIGINT NOT NULL,
    input_hash    TEXT COLLATE "C" NOT NULL,
    inputs        TEXT NOT NULL,
    outputs       TEXT,
    expectations  TEXT,
    tags          TEXT NOT NULL,
    source        TEXT,
    source_id     TEXT COLLATE "C",
    source_type   TEXT COLLATE "C",
    created_by    TEXT COLLATE "C" NOT NULL,
    updated_by    TEXT COLLATE "C" NOT NULL,
    created_at    BIGINT NOT NULL,
    updated_at    BIGINT NOT NULL,
    UNIQUE (dataset_row, input_hash)
);

CREATE INDEX evaluation_record_listed ON evaluation_record (dataset_row, record_row);
