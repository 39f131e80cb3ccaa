-- A role for some hours. `state` is asked, given, refused, ended or broken; the grant that it became is `grant_id`, which ends by itself.
CREATE TABLE elevation (
    id            TEXT   NOT NULL PRIMARY KEY,
    principal     TEXT   NOT NULL,
    role          TEXT   NOT NULL,
    resource_kind TEXT   NOT NULL,
    resource      TEXT   NOT NULL,
    workspace     TEXT,
    reason        TEXT   NOT NULL,
    seconds       BIGINT NOT NULL,
    asked_at      BIGINT NOT NULL,
    state         TEXT   NOT NULL,
    decided_by    TEXT,
    decided_at    BIGINT,
    ends_at       BIGINT,
    grant_id      TEXT
);

CREATE INDEX elevation_principal ON elevation (principal, asked_at);
CREATE INDEX elevation_workspace ON elevation (workspace, asked_at);
