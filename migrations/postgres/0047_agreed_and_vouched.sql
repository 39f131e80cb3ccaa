-- Log-ins of command lines that a person agreed to in a browser on the same machine, by the digest of the code that the browser brings. Each
-- is taken once, within a minute; what was made of it is remembered as long as it lives, so that a second use can end it.
CREATE TABLE loopback_code (
    sha256       BYTEA  NOT NULL PRIMARY KEY,
    principal_id TEXT   NOT NULL REFERENCES principal (id) ON DELETE CASCADE,
    challenge    BYTEA  NOT NULL,
    redirect_uri TEXT   NOT NULL,
    approved_at  BIGINT NOT NULL,
    expires_at   BIGINT NOT NULL,
    used_at      BIGINT,
    token_id     TEXT   REFERENCES token (id) ON DELETE CASCADE
);
CREATE INDEX loopback_code_by_principal ON loopback_code (principal_id);

-- The address that a provider vouched for at somebody's latest log-in there, as a keyed hash: by it, and by no other, that provider may speak of
-- them.
ALTER TABLE federated ADD COLUMN address_mark BYTEA;
CREATE INDEX federated_by_address ON federated (issuer, address_mark) WHERE address_mark IS NOT NULL;
