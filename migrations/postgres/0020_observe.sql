-- What is seen of predictions, minute by minute. `tally` is a JSON document of counts that SQL never looks into. Several servers over one
-- database each have rows of their own (`source`).
CREATE TABLE observe_minute (
    endpoint_id TEXT   NOT NULL,
    version_id  TEXT   NOT NULL,
    minute      BIGINT NOT NULL,
    source      TEXT   NOT NULL,
    workspace   TEXT   NOT NULL,
    answered    BIGINT NOT NULL,
    failed      BIGINT NOT NULL,
    slow        BIGINT NOT NULL,
    tally       TEXT   NOT NULL,
    PRIMARY KEY (endpoint_id, version_id, minute, source)
);

CREATE INDEX observe_minute_at ON observe_minute (minute);

-- What a version is compared with: counts in cells.
CREATE TABLE observe_reference (
    endpoint_id TEXT   NOT NULL,
    version_id  TEXT   NOT NULL,
    made_at     BIGINT NOT NULL,
    cells       TEXT   NOT NULL,
    PRIMARY KEY (endpoint_id, version_id)
);

-- What was predicted, row by row, until its true outcome is known or it is too old.
CREATE TABLE observe_prediction (
    prediction_id TEXT     NOT NULL,
    place         BIGINT   NOT NULL,
    endpoint_id   TEXT     NOT NULL,
    version_id    TEXT     NOT NULL,
    predicted_at  BIGINT   NOT NULL,
    predicted     TEXT     NOT NULL,
    sure          DOUBLE PRECISION,
    truth         TEXT,
    labelled_at   BIGINT,
    labelled_by   TEXT,
    PRIMARY KEY (prediction_id, place)
);

CREATE INDEX observe_prediction_labelled ON observe_prediction (endpoint_id, version_id, labelled_at);
CREATE INDEX observe_prediction_old ON observe_prediction (predicted_at);

-- Of the server itself.
CREATE TABLE observe_gauge (
    name   TEXT             NOT NULL,
    minute BIGINT           NOT NULL,
    source TEXT             NOT NULL,
    value  DOUBLE PRECISION NOT NULL,
    PRIMARY KEY (name, minute, source)
);

-- `open_key` is the fingerprint as long as the alert is open, its own id afterwards: so no fault is open twice.
CREATE TABLE observe_alert (
    alert_id        TEXT   NOT NULL PRIMARY KEY,
    workspace       TEXT   NOT NULL,
    endpoint_id     TEXT,
    model_id        TEXT,
    open_key        TEXT   NOT NULL UNIQUE,
    kind            TEXT   NOT NULL,
    severity        TEXT   NOT NULL,
    state           TEXT   NOT NULL,
    headline        TEXT   NOT NULL,
    began_at        BIGINT NOT NULL,
    opened_at       BIGINT NOT NULL,
    seen_at         BIGINT NOT NULL,
    crosses_at      BIGINT,
    certainty       DOUBLE PRECISION,
    detail          TEXT   NOT NULL,
    acknowledged_at BIGINT,
    acknowledged_by TEXT,
    resolved_at     BIGINT,
    resolved_by     TEXT
);

CREATE INDEX observe_alert_listed ON observe_alert (workspace, opened_at, alert_id);

-- What can be done about an alert: an act that is asked for as whoever runs it.
CREATE TABLE observe_remedy (
    remedy_id TEXT   NOT NULL PRIMARY KEY,
    alert_id  TEXT   NOT NULL,
    place     BIGINT NOT NULL,
    words     TEXT   NOT NULL,
    command   TEXT   NOT NULL,
    act       TEXT   NOT NULL,
    run_at    BIGINT,
    run_by    TEXT,
    result    TEXT
);

CREATE INDEX observe_remedy_of ON observe_remedy (alert_id, place);

-- News for receivers outside, until it is delivered or given up.
CREATE TABLE observe_delivery (
    delivery_id  TEXT   NOT NULL PRIMARY KEY,
    target       TEXT   NOT NULL,
    alert_id     TEXT   NOT NULL,
    news         TEXT   NOT NULL,
    attempts     BIGINT NOT NULL,
    next_at      BIGINT NOT NULL,
    delivered_at BIGINT,
    fault        TEXT
);

CREATE INDEX observe_delivery_due ON observe_delivery (delivered_at, next_at);
