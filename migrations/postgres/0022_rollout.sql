-- Rollouts: another version answers a share of an endpoint's requests (`canary`) or is asked along without being heard (`shadow`).
-- `choice` is a version's number or `@alias`; shares and limits are thousandths. One that was halted stays until somebody ends it.
CREATE TABLE endpoint_rollout (
    endpoint_id           TEXT   NOT NULL PRIMARY KEY,
    rollout_id            TEXT   NOT NULL,
    choice                TEXT   NOT NULL,
    mode                  TEXT   NOT NULL,
    share_permille        BIGINT NOT NULL,
    errors_permille       BIGINT NOT NULL,
    disagreement_permille BIGINT,
    slower_permille       BIGINT,
    began_at              BIGINT NOT NULL,
    began_by              TEXT   NOT NULL,
    halted_at             BIGINT,
    halted_why            TEXT
);

-- The number of the version that answered before the last change: where a rollback leads.
ALTER TABLE endpoint ADD COLUMN previous BIGINT;
