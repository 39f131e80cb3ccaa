-- Rates that several servers count together: when each will be whole again.
CREATE TABLE risk_rate (
    key     TEXT PRIMARY KEY,
    full_at BIGINT NOT NULL
);

CREATE INDEX risk_rate_full ON risk_rate (full_at);
