-- Data sets, their versions and what is known of them. A version is immutable once it is committed; what is decided about it is not.
CREATE TABLE data_set (
    dataset_id  TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    workspace   TEXT COLLATE "C" NOT NULL,
    name        TEXT COLLATE "C" NOT NULL,
    last_number BIGINT NOT NULL,
    created_at  BIGINT NOT NULL,
    created_by  TEXT COLLATE "C" NOT NULL,
    UNIQUE (workspace, name)
);

-- `number` is given at the commit: what is still open has none. `roles` is a JSON document that SQL never looks into.
CREATE TABLE data_version (
    version_id        TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    dataset_id        TEXT COLLATE "C" NOT NULL,
    workspace         TEXT COLLATE "C" NOT NULL,
    number            BIGINT,
    state             TEXT COLLATE "C" NOT NULL,
    verdict           TEXT COLLATE "C",
    committer         TEXT COLLATE "C" NOT NULL,
    opened_at         BIGINT NOT NULL,
    committed_at      BIGINT,
    manifest_sha256   BYTEA,
    file_count        BIGINT NOT NULL,
    size_bytes        BIGINT NOT NULL,
    row_count         BIGINT,
    column_count      BIGINT,
    format            TEXT,
    roles             TEXT NOT NULL,
    source_uri        TEXT,
    source_id         TEXT COLLATE "C",
    signature         BYTEA,
    licence           TEXT,
    data_owner        TEXT,
    purpose           TEXT,
    run_id            TEXT COLLATE "C",
    reference_id      TEXT COLLATE "C",
    is_personal       SMALLINT NOT NULL,
    is_special        SMALLINT NOT NULL,
    is_health         SMALLINT NOT NULL,
    is_financial      SMALLINT NOT NULL,
    decided_at        BIGINT,
    decided_by        TEXT COLLATE "C",
    decided_how       TEXT COLLATE "C",
    decided_why       TEXT,
    waiver_until      BIGINT,
    UNIQUE (dataset_id, number)
);

CREATE INDEX data_version_waived ON data_version (waiver_until) WHERE waiver_until IS NOT NULL;
CREATE INDEX data_version_open ON data_version (state, opened_at);

CREATE TABLE data_parent (
    version_id TEXT COLLATE "C" NOT NULL,
    parent_id  TEXT COLLATE "C" NOT NULL,
    how        TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (version_id, parent_id)
);

-- Each file is one object of its own: no object is shared with an artifact, so that each is erased and retained by itself.
CREATE TABLE data_file (
    version_id  TEXT COLLATE "C" NOT NULL,
    path        TEXT COLLATE "C" NOT NULL,
    object_id   TEXT COLLATE "C" NOT NULL UNIQUE,
    workspace   TEXT COLLATE "C" NOT NULL,
    size_bytes  BIGINT NOT NULL,
    sha256      BYTEA NOT NULL,
    wrapped_key BYTEA NOT NULL,
    key_version BIGINT NOT NULL,
    PRIMARY KEY (version_id, path)
);

CREATE INDEX data_file_by_key ON data_file (workspace, key_version);

-- Contracts (of no inspection: an empty id), reports, pages and attestations.
CREATE TABLE data_document (
    version_id    TEXT COLLATE "C" NOT NULL,
    inspection_id TEXT COLLATE "C" NOT NULL,
    kind          TEXT COLLATE "C" NOT NULL,
    object_id     TEXT COLLATE "C" NOT NULL UNIQUE,
    workspace     TEXT COLLATE "C" NOT NULL,
    size_bytes    BIGINT NOT NULL,
    sha256        BYTEA NOT NULL,
    wrapped_key   BYTEA NOT NULL,
    key_version   BIGINT NOT NULL,
    PRIMARY KEY (version_id, inspection_id, kind)
);

CREATE INDEX data_document_by_key ON data_document (workspace, key_version);

-- `runner` is the process that works on it: what another one left behind is taken up again.
CREATE TABLE data_inspection (
    inspection_id TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    version_id    TEXT COLLATE "C" NOT NULL,
    workspace     TEXT COLLATE "C" NOT NULL,
    state         TEXT COLLATE "C" NOT NULL,
    queued_at     BIGINT NOT NULL,
    queued_by     TEXT COLLATE "C" NOT NULL,
    started_at    BIGINT,
    ended_at      BIGINT,
    attempt_count BIGINT NOT NULL,
    runner        TEXT COLLATE "C",
    stage         TEXT NOT NULL,
    done_count    BIGINT NOT NULL,
    total_count   BIGINT,
    cancelled     SMALLINT NOT NULL,
    verdict       TEXT COLLATE "C",
    report_sha256 BYTEA,
    fault         TEXT
);

CREATE INDEX data_inspection_of_version ON data_inspection (version_id, queued_at);
CREATE INDEX data_inspection_queued ON data_inspection (state, queued_at);

-- `document` is the finding as JSON.
CREATE TABLE data_finding (
    inspection_id TEXT COLLATE "C" NOT NULL,
    place         BIGINT NOT NULL,
    effect        TEXT COLLATE "C" NOT NULL,
    document      TEXT NOT NULL,
    PRIMARY KEY (inspection_id, place)
);

CREATE TABLE trusted_source (
    source_id  TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    workspace  TEXT COLLATE "C" NOT NULL,
    name       TEXT COLLATE "C" NOT NULL,
    pattern    TEXT NOT NULL,
    digest     BYTEA,
    public_key BYTEA,
    data_owner TEXT NOT NULL,
    licence    TEXT NOT NULL,
    purposes   TEXT NOT NULL,
    added_at   BIGINT NOT NULL,
    added_by   TEXT COLLATE "C" NOT NULL,
    UNIQUE (workspace, name)
);
