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
ALTER TABLE risk_judged DROP CONSTRAINT risk_judged_outcome_check;
ALTER TABLE risk_judged ADD CONSTRAINT risk_judged_outcome_check CHECK (outcome IN ('verified', 'unproved', 'failed', 'refused'));
