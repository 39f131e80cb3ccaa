-- One row per grant ever made. A revoked one stays: the log's reasons name it.
CREATE TABLE grant_row (
    id                 TEXT     NOT NULL PRIMARY KEY,
    principal          TEXT     NOT NULL,
    principal_kind     TEXT     NOT NULL,
    role               TEXT     NOT NULL,
    resource_kind      TEXT     NOT NULL,
    resource           TEXT     NOT NULL,
    workspace          TEXT,
    created_by         TEXT     NOT NULL,
    created_at         BIGINT   NOT NULL,
    expires_at         BIGINT,
    justification      TEXT     NOT NULL,
    revoked_at         BIGINT,
    revoked_by         TEXT,
    changed_generation BIGINT   NOT NULL
);

CREATE UNIQUE INDEX grant_row_live ON grant_row (principal, role, resource_kind, resource) WHERE revoked_at IS NULL;
CREATE INDEX grant_row_workspace ON grant_row (workspace, id);
CREATE INDEX grant_row_changed ON grant_row (changed_generation);

-- Counts the changes of grant_row. Each change takes its number in its own transaction, and other nodes compare it with theirs.
CREATE TABLE policy_generation (
    id         SMALLINT NOT NULL PRIMARY KEY,
    generation BIGINT   NOT NULL
);
INSERT INTO policy_generation (id, generation) VALUES (0, 0);
