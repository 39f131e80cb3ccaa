-- Endpoints: under which name which version of a model answers. `choice` is a version's number or `@alias`; what an alias points
-- at is looked up when it is asked.
CREATE TABLE endpoint (
    endpoint_id TEXT   NOT NULL PRIMARY KEY,
    workspace   TEXT   NOT NULL,
    name        TEXT   NOT NULL,
    model_id    TEXT   NOT NULL,
    choice      TEXT   NOT NULL,
    created_at  BIGINT NOT NULL,
    created_by  TEXT   NOT NULL,
    changed_at  BIGINT NOT NULL,
    changed_by  TEXT   NOT NULL
);

CREATE UNIQUE INDEX endpoint_named ON endpoint (workspace, name);
CREATE INDEX endpoint_of_model ON endpoint (model_id);
