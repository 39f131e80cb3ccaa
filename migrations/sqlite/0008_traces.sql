-- Traces: what one call of an application did, as spans, and what people and judges said of it. `trace_row` is a trace's
-- own number: child rows carry it. What is long stands last in its row, so that it is read only where it is wanted.

CREATE TABLE trace (
    trace_row         INTEGER  PRIMARY KEY AUTOINCREMENT,
    trace_id          TEXT     NOT NULL UNIQUE,
    experiment_id     BIGINT   NOT NULL,
    request_time_ms   BIGINT   NOT NULL,
    duration_ms       BIGINT,
    state             TEXT     NOT NULL,
    finalized         SMALLINT NOT NULL,
    span_count        BIGINT   NOT NULL,
    span_bytes        BIGINT   NOT NULL,
    owner             TEXT     NOT NULL,
    changed_at        BIGINT   NOT NULL,
    client_request_id TEXT,
    request_preview   TEXT,
    response_preview  TEXT
);

CREATE INDEX trace_listed ON trace (experiment_id, request_time_ms DESC, trace_id);

CREATE TABLE trace_tag (
    trace_row BIGINT NOT NULL,
    key       TEXT   NOT NULL,
    value     TEXT   NOT NULL,
    PRIMARY KEY (trace_row, key)
) WITHOUT ROWID;

CREATE TABLE trace_metadata (
    trace_row BIGINT NOT NULL,
    key       TEXT   NOT NULL,
    value     TEXT   NOT NULL,
    PRIMARY KEY (trace_row, key)
) WITHOUT ROWID;

-- Tokens that a trace used.
CREATE TABLE trace_metric (
    trace_row BIGINT           NOT NULL,
    key       TEXT             NOT NULL,
    value     DOUBLE PRECISION NOT NULL,
    PRIMARY KEY (trace_row, key)
) WITHOUT ROWID;

CREATE TABLE trace_span (
    trace_row      BIGINT NOT NULL,
    span_id        TEXT   NOT NULL,
    parent_span_id TEXT,
    name           TEXT   NOT NULL,
    kind           TEXT   NOT NULL,
    status         TEXT   NOT NULL,
    start_time_ns  BIGINT NOT NULL,
    end_time_ns    BIGINT,
    model          TEXT,
    provider       TEXT,
    size_bytes     BIGINT NOT NULL,
    content        TEXT   NOT NULL,
    PRIMARY KEY (trace_row, span_id)
);

-- Tokens and cost of a span.
CREATE TABLE trace_span_metric (
    trace_row BIGINT           NOT NULL,
    span_id   TEXT             NOT NULL,
    key       TEXT             NOT NULL,
    value     DOUBLE PRECISION NOT NULL,
    PRIMARY KEY (trace_row, span_id, key)
) WITHOUT ROWID;

CREATE TABLE trace_assessment (
    trace_row     BIGINT   NOT NULL,
    assessment_id TEXT     NOT NULL,
    kind          TEXT     NOT NULL,
    name          TEXT     NOT NULL,
    valid         SMALLINT NOT NULL,
    created_ms    BIGINT   NOT NULL,
    updated_ms    BIGINT   NOT NULL,
    created_by    TEXT     NOT NULL,
    source_type   TEXT     NOT NULL,
    source_id     TEXT     NOT NULL,
    span_id       TEXT,
    run_id        TEXT,
    overrides     TEXT,
    value         TEXT     NOT NULL,
    error         TEXT,
    rationale     TEXT,
    metadata      TEXT,
    PRIMARY KEY (trace_row, assessment_id)
);

-- Runs that a trace was linked to after it was made. A link may come before its trace: clients send traces in the background.
-- It holds in the experiment that it was made for only.
CREATE TABLE trace_run (
    run_id        TEXT   NOT NULL,
    trace_id      TEXT   NOT NULL,
    experiment_id BIGINT NOT NULL,
    PRIMARY KEY (run_id, trace_id)
) WITHOUT ROWID;

CREATE INDEX trace_run_of_trace ON trace_run (trace_id);

-- Prompt versions that a trace used, as `name/version`.
CREATE TABLE trace_prompt (
    prompt    TEXT   NOT NULL,
    trace_row BIGINT NOT NULL,
    PRIMARY KEY (prompt, trace_row)
) WITHOUT ROWID;

CREATE INDEX trace_prompt_of_trace ON trace_prompt (trace_row);
