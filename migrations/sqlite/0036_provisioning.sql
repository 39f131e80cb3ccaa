-- Accounts and groups that a provisioner (a directory elsewhere, by its service account here) looks after. `managed_by` is that service
-- account's id; `external_id` is what the provisioner calls it. `sealed` is a JSON document about the person or group, encrypted.
CREATE TABLE provisioned (
    principal_id TEXT   NOT NULL PRIMARY KEY REFERENCES principal (id) ON DELETE CASCADE,
    managed_by   TEXT   NOT NULL,
    external_id  TEXT,
    sealed       BLOB   NOT NULL,
    changed_at   BIGINT NOT NULL
);
CREATE INDEX provisioned_by_manager ON provisioned (managed_by, external_id);

-- Where a session began at a provider: its issuer, and what the provider calls the session there.
ALTER TABLE session ADD COLUMN issuer TEXT;
ALTER TABLE session ADD COLUMN issuer_session TEXT;
CREATE INDEX session_by_issuer ON session (issuer, issuer_session) WHERE issuer IS NOT NULL;

-- What issuers told of their people, by the digest of issuer and id: nothing is taken twice.
CREATE TABLE statement_seen (
    sha256     BLOB   NOT NULL PRIMARY KEY,
    expires_at BIGINT NOT NULL
);
CREATE INDEX statement_seen_ends ON statement_seen (expires_at);

-- What a transmitter said of the devices of a person, the newest of each: for whoever judges devices.
CREATE TABLE device_statement (
    principal_id TEXT     NOT NULL REFERENCES principal (id) ON DELETE CASCADE,
    issuer       TEXT     NOT NULL,
    compliant    SMALLINT NOT NULL,
    said_at      BIGINT   NOT NULL,
    PRIMARY KEY (principal_id, issuer)
);
