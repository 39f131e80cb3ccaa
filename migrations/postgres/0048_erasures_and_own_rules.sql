-- In how many predictions of a sealed batch a subject stands: so it can be told what an erasure takes before it is done.
CREATE TABLE prediction_about (
    subject_id    TEXT   NOT NULL REFERENCES prediction_subject (subject_id) ON DELETE CASCADE,
    batch_id      TEXT   NOT NULL REFERENCES prediction_batch (batch_id) ON DELETE CASCADE,
    request_count BIGINT NOT NULL,
    row_count     BIGINT NOT NULL,
    PRIMARY KEY (subject_id, batch_id)
);

CREATE INDEX prediction_about_batch ON prediction_about (batch_id);

-- Batches that were sealed before that was counted.
ALTER TABLE prediction_batch ADD COLUMN subjects_counted SMALLINT NOT NULL DEFAULT 0;

CREATE INDEX prediction_batch_uncounted ON prediction_batch (workspace) WHERE subjects_counted = 0;

-- Erasures that were done, by the audit entry of each. The id is that which stood for the subject: it stands for nobody now.
CREATE TABLE prediction_erasure (
    entry         TEXT   NOT NULL PRIMARY KEY,
    workspace     TEXT   NOT NULL,
    erased_at     BIGINT NOT NULL,
    erased_by     TEXT   NOT NULL,
    subject_id    TEXT   NOT NULL,
    request_count BIGINT NOT NULL
);

CREATE INDEX prediction_erasure_at ON prediction_erasure (workspace, erased_at, entry);

-- Rules that look into the log and were written on this server: a text of YAML by name, with one rule or several.
CREATE TABLE detection_own_rules (
    name         TEXT     NOT NULL PRIMARY KEY,
    body         TEXT     NOT NULL,
    enabled      SMALLINT NOT NULL,
    changed_at   BIGINT   NOT NULL,
    changed_by   TEXT     NOT NULL,
    change_count BIGINT   NOT NULL
);
