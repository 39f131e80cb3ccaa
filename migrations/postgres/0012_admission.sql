-- Where versions of registered models stand between quarantine and use. `place` is where the files are, in the words of
-- `mlflow-artifacts:/`; none if they are not on this server.
CREATE TABLE model_standing (
    model_id        TEXT COLLATE "C" NOT NULL,
    version         BIGINT NOT NULL,
    workspace       TEXT COLLATE "C" NOT NULL,
    state           TEXT COLLATE "C" NOT NULL,
    verdict         TEXT,
    submitter       TEXT COLLATE "C" NOT NULL,
    submitted_at    BIGINT NOT NULL,
    place           TEXT,
    manifest_sha256 BYTEA,
    file_count      BIGINT NOT NULL,
    size_bytes      BIGINT NOT NULL,
    decided_at      BIGINT,
    decided_by      TEXT,
    decided_how     TEXT,
    decided_why     TEXT,
    waiver_until    BIGINT,
    PRIMARY KEY (model_id, version)
);

CREATE INDEX model_standing_listed ON model_standing (workspace, model_id, version);

-- `runner` is the process that works on it: what another one left behind is taken up again.
CREATE TABLE model_inspection (
    inspection_id TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    model_id      TEXT COLLATE "C" NOT NULL,
    version       BIGINT NOT NULL,
    workspace     TEXT COLLATE "C" NOT NULL,
    state         TEXT COLLATE "C" NOT NULL,
    queued_at     BIGINT NOT NULL,
    queued_by     TEXT COLLATE "C" NOT NULL,
    started_at    BIGINT,
    ended_at      BIGINT,
    attempt_count BIGINT NOT NULL,
    runner        TEXT,
    stage         TEXT COLLATE "C" NOT NULL,
    cancelled     SMALLINT NOT NULL,
    verdict       TEXT,
    report_sha256 BYTEA,
    fault         TEXT
);

CREATE INDEX model_inspection_of_version ON model_inspection (model_id, version, queued_at);
CREATE INDEX model_inspection_queued ON model_inspection (state, queued_at);

-- `document` is the finding as JSON.
CREATE TABLE model_finding (
    inspection_id TEXT COLLATE "C" NOT NULL,
    place         BIGINT NOT NULL,
    effect        TEXT COLLATE "C" NOT NULL,
    document      TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (inspection_id, place)
);

CREATE TABLE model_document (
    model_id      TEXT COLLATE "C" NOT NULL,
    version       BIGINT NOT NULL,
    inspection_id TEXT COLLATE "C" NOT NULL,
    kind          TEXT COLLATE "C" NOT NULL,
    object_id     TEXT COLLATE "C" NOT NULL UNIQUE,
    workspace     TEXT COLLATE "C" NOT NULL,
    size_bytes    BIGINT NOT NULL,
    sha256        BYTEA NOT NULL,
    wrapped_key   BYTEA NOT NULL,
    key_version   BIGINT NOT NULL,
    PRIMARY KEY (inspection_id, kind)
);

CREATE INDEX model_document_of_version ON model_document (model_id, version, kind);
CREATE INDEX model_document_by_key ON model_document (workspace, key_version);

-- What was registered before there was a quarantine waits in it.
INSERT INTO model_standing (model_id, version, workspace, state, submitter, submitted_at, place, file_count, size_bytes)
SELECT v.model_id, v.version, m.workspace_id, 'quarantined', v.owner, v.created_at,
    CASE WHEN v.storage_location LIKE 'mlflow-artifacts:/%/artifacts%' THEN SUBSTR(v.storage_location, 19) END, 0, 0
FROM model_version v JOIN registered_model m ON m.model_id = v.model_id
WHERE v.deleted = 0;
