-- What was shown when a session began: how strongly (NIST SP 800-63B), when last, and with what.
ALTER TABLE session ADD COLUMN assurance SMALLINT NOT NULL DEFAULT 1;
ALTER TABLE session ADD COLUMN proved_at BIGINT NOT NULL DEFAULT 0;
ALTER TABLE session ADD COLUMN method TEXT NOT NULL DEFAULT 'password';

-- A shared secret for one-time codes (RFC 6238), encrypted. It counts once it was confirmed with a code. `last_step` is the newest time step
-- that a code was taken for: none is taken twice.
CREATE TABLE totp (
    principal_id TEXT   NOT NULL PRIMARY KEY REFERENCES principal (id) ON DELETE CASCADE,
    sealed       BYTEA  NOT NULL,
    created_at   BIGINT NOT NULL,
    confirmed_at BIGINT,
    last_step    BIGINT NOT NULL DEFAULT 0
);

-- Codes for when the other factors are lost: 100 random bits each, so a plain SHA-256 cannot be guessed back. Each is taken once.
CREATE TABLE recovery_code (
    principal_id TEXT   NOT NULL REFERENCES principal (id) ON DELETE CASCADE,
    sha256       BYTEA  NOT NULL,
    created_at   BIGINT NOT NULL,
    used_at      BIGINT,
    PRIMARY KEY (principal_id, sha256)
);

-- Public keys of authenticators (Web Authentication). `public_key` is a COSE_Key (RFC 9052); `sign_count` is the newest counter that it signed.
CREATE TABLE passkey (
    id            TEXT   NOT NULL PRIMARY KEY,
    principal_id  TEXT   NOT NULL REFERENCES principal (id) ON DELETE CASCADE,
    credential_id BYTEA  NOT NULL UNIQUE,
    host          TEXT   NOT NULL,
    public_key    BYTEA  NOT NULL,
    sign_count    BIGINT NOT NULL,
    backed_up     SMALLINT NOT NULL,
    label         TEXT   NOT NULL,
    created_at    BIGINT NOT NULL,
    last_used_at  BIGINT
);
CREATE INDEX passkey_by_principal ON passkey (principal_id, created_at);

-- Who is whom at a provider where people log in: its issuer and their subject there, which no provider gives to another person.
CREATE TABLE federated (
    issuer       TEXT   NOT NULL,
    subject      TEXT   NOT NULL,
    principal_id TEXT   NOT NULL REFERENCES principal (id) ON DELETE CASCADE,
    linked_at    BIGINT NOT NULL,
    linked_by    TEXT   NOT NULL,
    PRIMARY KEY (issuer, subject)
);
CREATE INDEX federated_by_principal ON federated (principal_id);

-- Log-ins of command lines that a person agreed to in a browser, by the digest of the code that both showed. Each is taken once, soon.
CREATE TABLE device_approval (
    sha256       BYTEA  NOT NULL PRIMARY KEY,
    principal_id TEXT   NOT NULL REFERENCES principal (id) ON DELETE CASCADE,
    approved_at  BIGINT NOT NULL,
    expires_at   BIGINT NOT NULL
);
CREATE INDEX device_approval_by_principal ON device_approval (principal_id);
