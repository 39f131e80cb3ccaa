-- How an endpoint is guarded, where somebody said so; without a row the defaults hold.
CREATE TABLE endpoint_guard (
    endpoint_id  TEXT     NOT NULL PRIMARY KEY,
    rows_per_day BIGINT,
    digits       BIGINT,
    top_k        BIGINT,
    ranges       TEXT     NOT NULL,
    unlike       TEXT     NOT NULL,
    ladder       SMALLINT NOT NULL,
    changed_at   BIGINT   NOT NULL,
    changed_by   TEXT     NOT NULL
);
