-- Data sets, their versions and what is known of them. A version is immutable once it is committed; what is decided about it is not.
CREATE TABLE data_set (
    dataset_id  TEXT NOT NULL PRIMARY KEY,
    workspace   TEXT NOT NULL,
    name        TEXT NOT NULL,
    last_number BIGINT NOT NULL,
    created_at  BIGINT NOT NULL,
    created_by  TEXT NOT NULL,
    UNIQUE (workspace, name)
);

-- `number` is given at the commit: what is still open has none. `roles` is a JSON document that SQL never looks into.
CREATE TABLE data_version (
    version_id        TEXT NOT NULL PRIMARY KEY,
    dataset_id        TEXT NOT NULL,
    workspace         TEXT NOT NULL,
    number            BIGINT,
    state             TEXT NOT NULL,
    verdict           TEXT,
    committer         TEXT NOT NULL,
    opened_at         BIGINT NOT NULL,
    committed_at      BIGINT,
    manifest_sha256   BLOB,
    file_count        BIGINT NOT NULL,
    size_bytes        BIGINT NOT NULL,
    row_count         BIGINT,
    column_count      BIGINT,
    format            TEXT,
    roles             TEXT NOT NULL,
    source_uri        TEXT,
    source_id         TEXT,
    signature         BLOB,
    licence           TEXT,
    data_owner        TEXT,
    purpose           TEXT,
    run_id            TEXT,
    reference_id      TEXT,
    is_personal       SMALLINT NOT NULL,
    is_special        SMALLINT NOT NULL,
    is_health         SMALLINT NOT NULL,
    is_financial      SMALLINT NOT NULL,
    decided_at        BIGINT,
    decided_by        TEXT,
    decided_how       TEXT,
    decided_why       TEXT,
    waiver_until      BIGINT,
    UNIQUE (dataset_id, number)
);

CREATE INDEX data_version_waived ON data_version (waiver_until) WHERE waiver_until IS NOT NULL;
CREATE INDEX data_version_open ON data_version (state, opened_at);

CREATE TABLE data_parent (
    version_id TEXT NOT NULL,
    parent_id  TEXT NOT NULL,
    how        TEXT NOT NULL,
    PRIMARY KEY (version_id, parent_id)
);

-- Each file is one object of its own: no object is shared with an artifact, so that each is erased and retained by itself.
CREATE TABLE data_file (
    version_id  TEXT NOT NULL,
    path        TEXT NOT NULL,
    object_id   TEXT NOT NULL UNIQUE,
    workspace   TEXT NOT NULL,
    size_bytes  BIGINT NOT NULL,
    sha256      BLOB NOT NULL,
    wrapped_key BLOB NOT NULL,
    key_version BIGINT NOT NULL,
    PRIMARY KEY (version_id, path)
);

CREATE INDEX data_file_by_key ON data_file (workspace, key_version);

-- Contracts (of no inspection: an empty id), reports, pages and attestations.
CREATE TABLE data_document (
    version_id    TEXT NOT NULL,
    inspection_id TEXT NOT NULL,
    kind          TEXT NOT NULL,
    object_id     TEXT NOT NULL UNIQUE,
    workspace     TEXT NOT NULL,
    size_bytes    BIGINT NOT NULL,
    sha256        BLOB NOT NULL,
    wrapped_key   BLOB NOT NULL,
    key_version   BIGINT NOT NULL,
    PRIMARY KEY (version_id, inspection_id, kind)
);

CREATE INDEX data_document_by_key ON data_document (workspace, key_version);

-- `runner` is the process that works on it: what another one left behind is taken up again.
CREATE TABLE data_inspection (
    inspection_id TEXT NOT NULL PRIMARY KEY,
    version_id    TEXT NOT NULL,
    workspace     TEXT NOT NULL,
    state         TEXT NOT NULL,
    queued_at     BIGINT NOT NULL,
    queued_by     TEXT NOT NULL,
    started_at    BIGINT,
    ended_at      BIGINT,
    attempt_count BIGINT NOT NULL,
    runner        TEXT,
    stage         TEXT NOT NULL,
    done_count    BIGINT NOT NULL,
    total_count   BIGINT,
    cancelled     SMALLINT NOT NULL,
    verdict       TEXT,
    report_sha256 BLOB,
    fault         TEXT
);

CREATE INDEX data_inspection_of_version ON data_inspection (version_id, queued_at);
CREATE INDEX data_inspection_queued ON data_inspection (state, queued_at);

-- `document` is the finding as JSON.
CREATE TABLE data_finding (
    inspection_id TEXT NOT NULL,
    place         BIGINT NOT NULL,
    effect        TEXT NOT NULL,
    document      TEXT NOT NULL,
    PRIMARY KEY (inspection_id, place)
);

CREATE TABLE trusted_source (
    source_id  TEXT NOT NULL PRIMARY KEY,
    workspace  TEXT NOT NULL,
    name       TEXT NOT NULL,
    pattern    TEXT NOT NULL,
    digest     BLOB,
    public_key BLOB,
    data_owner TEXT NOT NULL,
    licence    TEXT NOT NULL,
    purposes   TEXT NOT NULL,
    added_at   BIGINT NOT NULL,
    added_by   TEXT NOT NULL,
    UNIQUE (workspace, name)
);
