-- What was found in the log, by rule and subject. `evidence` is a JSON list of indices of records, which SQL never looks into; `alert_id` is
-- the alert by which receivers outside are told.
CREATE TABLE detection (
    detection_id    TEXT   NOT NULL PRIMARY KEY,
    rule_id         TEXT   NOT NULL,
    rule            TEXT   NOT NULL,
    title           TEXT   NOT NULL,
    level           TEXT   NOT NULL,
    subject         TEXT   NOT NULL,
    caller          TEXT,
    caller_kind     TEXT,
    token           TEXT,
    workspace       TEXT,
    first_at        BIGINT NOT NULL,
    last_at         BIGINT NOT NULL,
    last_index      BIGINT NOT NULL,
    seen_count      BIGINT NOT NULL,
    evidence        TEXT   NOT NULL,
    words           TEXT   NOT NULL,
    response        TEXT   NOT NULL,
    response_state  TEXT   NOT NULL,
    alert_id        TEXT   NOT NULL,
    acknowledged_at BIGINT,
    acknowledged_by TEXT
);

CREATE INDEX detection_listed ON detection (first_at, detection_id);
CREATE INDEX detection_same ON detection (rule_id, subject, last_at);
CREATE INDEX detection_due ON detection (response_state, first_at);

-- Up to where the log was looked at.
CREATE TABLE detect_position (
    origin     TEXT   NOT NULL PRIMARY KEY,
    next_index BIGINT NOT NULL
);

-- What detectors learnt of accounts and tokens. `state` is a JSON document that SQL never looks into.
CREATE TABLE detect_state (
    kind       TEXT   NOT NULL,
    subject    TEXT   NOT NULL,
    state      TEXT   NOT NULL,
    changed_at BIGINT NOT NULL,
    PRIMARY KEY (kind, subject)
);

CREATE INDEX detect_state_changed ON detect_state (changed_at);

-- How often which grant let which verb pass, day by day: the rollup behind `access review`.
CREATE TABLE grant_use (
    grant_id  TEXT   NOT NULL,
    verb      TEXT   NOT NULL,
    place     TEXT   NOT NULL,
    workspace TEXT   NOT NULL,
    day       BIGINT NOT NULL,
    caller    TEXT   NOT NULL,
    use_count BIGINT NOT NULL,
    last_at   BIGINT NOT NULL,
    PRIMARY KEY (grant_id, verb, place, caller, day)
);

CREATE INDEX grant_use_day ON grant_use (day);
