-- Jobs that train a model again. `spec` is a JSON document that SQL never looks into; its digest stands in the records. `runner` is the
-- process that runs it: what another one left behind has failed.
CREATE TABLE retrain_job (
    job_id       TEXT   NOT NULL PRIMARY KEY,
    workspace    TEXT   NOT NULL,
    model_id     TEXT   NOT NULL,
    version      BIGINT NOT NULL,
    data_id      TEXT   NOT NULL,
    executor     TEXT   NOT NULL,
    spec         TEXT   NOT NULL,
    spec_sha256  BYTEA  NOT NULL,
    request_id   TEXT,
    state        TEXT   NOT NULL,
    asked_at     BIGINT NOT NULL,
    asked_by     TEXT   NOT NULL,
    asked_with   TEXT,
    started_at   BIGINT,
    ended_at     BIGINT,
    runner       TEXT,
    stage        TEXT   NOT NULL,
    cancelled    SMALLINT NOT NULL,
    run_id       TEXT,
    token_id     TEXT,
    exit_code    BIGINT,
    fault        TEXT,
    made_version BIGINT,
    confinement  TEXT,
    log          TEXT   NOT NULL
);

CREATE INDEX retrain_job_listed ON retrain_job (workspace, asked_at);
CREATE INDEX retrain_job_queued ON retrain_job (state, asked_at);
