-- Verified log-ins, by which later ones are judged: seven keyed hashes of what was seen, and where it came from, sealed. They go with
-- their person.
CREATE TABLE risk_log_in (
    id           TEXT             NOT NULL PRIMARY KEY,
    person       TEXT             NOT NULL REFERENCES principal (id) ON DELETE CASCADE,
    at           BIGINT           NOT NULL,
    known_device SMALLINT         NOT NULL,
    seen         BYTEA            NOT NULL,
    place        BYTEA            NOT NULL,
    score        DOUBLE PRECISION NOT NULL,
    known_count  BIGINT           NOT NULL
);
CREATE INDEX risk_log_in_of ON risk_log_in (person, at);
CREATE INDEX risk_log_in_by_time ON risk_log_in (at, id);

-- How log-ins were judged, and what became of them; what is told of each is sealed.
CREATE TABLE risk_judged (
    id      TEXT   NOT NULL PRIMARY KEY,
    person  TEXT   NOT NULL REFERENCES principal (id) ON DELETE CASCADE,
    at      BIGINT NOT NULL,
    outcome TEXT   NOT NULL CHECK (outcome IN ('verified', 'failed', 'refused')),
    told    BYTEA  NOT NULL
);
CREATE INDEX risk_judged_of ON risk_judged (person, at);

-- From addresses to countries and networks: public tables that the operator gave.
CREATE TABLE geo_table (
    kind      TEXT   NOT NULL PRIMARY KEY CHECK (kind IN ('country_v4', 'country_v6', 'network_v4', 'network_v6')),
    made_at   BIGINT NOT NULL,
    loaded_at BIGINT NOT NULL,
    row_count BIGINT NOT NULL,
    sha256    TEXT   NOT NULL,
    bytes     BYTEA  NOT NULL
);
