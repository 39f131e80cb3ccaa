-- Registered models and their versions, and logged models. A registered model's `model_id` is random: its name may change.

CREATE TABLE registered_model (
    model_id     TEXT     NOT NULL PRIMARY KEY,
    workspace_id TEXT     NOT NULL,
    name         TEXT     NOT NULL,
    description  TEXT,
    owner        TEXT     NOT NULL,
    prompt       SMALLINT NOT NULL,
    next_version BIGINT   NOT NULL,
    created_at   BIGINT   NOT NULL,
    updated_at   BIGINT   NOT NULL,
    UNIQUE (workspace_id, name)
) WITHOUT ROWID;

CREATE TABLE registered_model_tag (
    model_id TEXT NOT NULL,
    key      TEXT NOT NULL,
    value    TEXT NOT NULL,
    PRIMARY KEY (model_id, key)
) WITHOUT ROWID;

CREATE TABLE registered_model_alias (
    model_id TEXT   NOT NULL,
    alias    TEXT   NOT NULL,
    version  BIGINT NOT NULL,
    PRIMARY KEY (model_id, alias)
) WITHOUT ROWID;

CREATE TABLE model_version (
    model_id         TEXT     NOT NULL,
    version          BIGINT   NOT NULL,
    source           TEXT     NOT NULL,
    storage_location TEXT     NOT NULL,
    run_id           TEXT,
    run_link         TEXT,
    logged_model_id  TEXT,
    stage            TEXT     NOT NULL,
    status           TEXT     NOT NULL,
    status_message   TEXT,
    description      TEXT,
    user_name        TEXT,
    owner            TEXT     NOT NULL,
    deleted          SMALLINT NOT NULL,
    created_at       BIGINT   NOT NULL,
    updated_at       BIGINT   NOT NULL,
    PRIMARY KEY (model_id, version)
) WITHOUT ROWID;

CREATE INDEX model_version_of_stage ON model_version (model_id, deleted, stage, version);
CREATE INDEX model_version_of_run ON model_version (run_id);

CREATE TABLE model_version_tag (
    model_id TEXT   NOT NULL,
    version  BIGINT NOT NULL,
    key      TEXT   NOT NULL,
    value    TEXT   NOT NULL,
    PRIMARY KEY (model_id, version, key)
) WITHOUT ROWID;

CREATE TABLE logged_model (
    model_id      TEXT     NOT NULL PRIMARY KEY,
    experiment_id BIGINT   NOT NULL,
    name          TEXT     NOT NULL,
    model_type    TEXT,
    source_run_id TEXT,
    status        TEXT     NOT NULL,
    artifact_uri  TEXT     NOT NULL,
    owner         TEXT     NOT NULL,
    deleted       SMALLINT NOT NULL,
    created_at    BIGINT   NOT NULL,
    updated_at    BIGINT   NOT NULL
) WITHOUT ROWID;

CREATE INDEX logged_model_listed ON logged_model (experiment_id, deleted, created_at DESC, model_id);
CREATE INDEX logged_model_of_run ON logged_model (source_run_id);

CREATE TABLE logged_model_param (
    model_id TEXT NOT NULL,
    key      TEXT NOT NULL,
    value    TEXT NOT NULL,
    PRIMARY KEY (model_id, key)
) WITHOUT ROWID;

CREATE TABLE logged_model_tag (
    model_id TEXT NOT NULL,
    key      TEXT NOT NULL,
    value    TEXT NOT NULL,
    PRIMARY KEY (model_id, key)
) WITHOUT ROWID;

-- Metrics that runs logged about a logged model. Written with the run's own point, in its transaction.
CREATE TABLE logged_model_metric (
    model_id       TEXT             NOT NULL,
    name           TEXT             NOT NULL,
    timestamp_ms   BIGINT           NOT NULL,
    step           BIGINT           NOT NULL,
    run_id         TEXT             NOT NULL,
    experiment_id  BIGINT           NOT NULL,
    value          DOUBLE PRECISION NOT NULL,
    is_nan         SMALLINT         NOT NULL,
    dataset_name   TEXT,
    dataset_digest TEXT,
    PRIMARY KEY (model_id, name, timestamp_ms, step, run_id)
) WITHOUT ROWID;
