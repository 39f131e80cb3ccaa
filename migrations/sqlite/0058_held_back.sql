-- How unusual the log-in was that a session began with, as far as what was shown does not outweigh it: 0 to 100.
ALTER TABLE session ADD COLUMN log_in_risk SMALLINT NOT NULL DEFAULT 0;

-- What is held against a caller, a token or a session for a while, by its id: it outlives the process that was told of it.
CREATE TABLE risk_raised (
    who     TEXT     NOT NULL,
    reason  TEXT     NOT NULL,
    cause   TEXT     NOT NULL CHECK (cause IN ('strangers', 'caller')),
    points  SMALLINT NOT NULL,
    ends_at BIGINT   NOT NULL,
    PRIMARY KEY (who, reason, cause)
);
CREATE INDEX risk_raised_by_end ON risk_raised (ends_at);

-- A log-in may be let in with less than was asked for, and is not called verified for it.
CREATE TABLE risk_judged_again (
    id      TEXT     NOT NULL PRIMARY KEY,
    person  TEXT     NOT NULL REFERENCES principal (id) ON DELETE CASCADE,
    at      BIGINT   NOT NULL,
    outcome TEXT     NOT NULL CHECK (outcome IN ('verified', 'unproved', 'failed', 'refused')),
    told    BLOB     NOT NULL,
    grave   SMALLINT NOT NULL DEFAULT 0
);
INSERT INTO risk_judged_again (id, person, at, outcome, told, grave) SELECT id, person, at, outcome, told, grave FROM risk_judged;
DROP TABLE risk_judged;
ALTER TABLE risk_judged_again RENAME TO risk_judged;
CREATE INDEX risk_judged_of ON risk_judged (person, at);
CREATE INDEX risk_judged_grave ON risk_judged (at, id) WHERE grave = 1;
