-- What the inspector does for a version: inspects it, or writes it from its parent without some rows.
ALTER TABLE data_inspection ADD COLUMN task TEXT COLLATE "C" NOT NULL DEFAULT 'inspect';

-- Versions that are others without some rows. The list of the rows is a document of the version. `parent_row_count` is known when
-- they were left out; `findings` is a JSON document that SQL never looks into.
CREATE TABLE data_cleaning (
    version_id       TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    parent_id        TEXT COLLATE "C" NOT NULL,
    removed_count    BIGINT NOT NULL,
    rows_sha256      BYTEA NOT NULL,
    parent_row_count BIGINT,
    findings         TEXT NOT NULL,
    why              TEXT NOT NULL,
    retrain          SMALLINT NOT NULL
);

-- Other versions that a version is checked against: keys that must exist there, or rows that must not.
CREATE TABLE data_table (
    version_id TEXT COLLATE "C" NOT NULL,
    name       TEXT COLLATE "C" NOT NULL,
    other_id   TEXT COLLATE "C" NOT NULL,
    apart      SMALLINT NOT NULL,
    PRIMARY KEY (version_id, name)
);

-- Runs and models that were trained on data that was cleaned since, and are to be trained again.
CREATE TABLE retrain_request (
    request_id   TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    workspace    TEXT COLLATE "C" NOT NULL,
    trained_on   TEXT COLLATE "C" NOT NULL,
    replaced_by  TEXT COLLATE "C" NOT NULL,
    subject_kind TEXT COLLATE "C" NOT NULL,
    subject_name TEXT COLLATE "C" NOT NULL,
    trust        TEXT COLLATE "C" NOT NULL,
    state        TEXT COLLATE "C" NOT NULL,
    why          TEXT NOT NULL,
    asked_at     BIGINT NOT NULL,
    asked_by     TEXT COLLATE "C" NOT NULL
);

CREATE INDEX retrain_request_queued ON retrain_request (workspace, state, asked_at);
