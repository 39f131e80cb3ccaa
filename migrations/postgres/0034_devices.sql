-- What a token or session is bound to: from another device it is worth nothing.
ALTER TABLE token ADD COLUMN device_id TEXT;
ALTER TABLE session ADD COLUMN device_id TEXT;

-- Devices that were enrolled for an account. `public_key` is a point of P-256 (uncompressed). `report` is the last report's JSON, which SQL
-- never looks into. `reported_nonce` and `attested_nonce` are the times of the newest challenges that were answered: none is answered twice.
CREATE TABLE device (
    id             TEXT     NOT NULL PRIMARY KEY,
    principal_id   TEXT     NOT NULL REFERENCES principal (id) ON DELETE CASCADE,
    label          TEXT     NOT NULL,
    public_key     BYTEA    NOT NULL,
    created_at     BIGINT   NOT NULL,
    created_by     TEXT     NOT NULL,
    certified_at   BIGINT   NOT NULL,
    revoked_at     BIGINT,
    revoked_by     TEXT,
    lost           SMALLINT NOT NULL DEFAULT 0,
    reported_at    BIGINT,
    reported_nonce BIGINT   NOT NULL DEFAULT 0,
    compliant      SMALLINT NOT NULL DEFAULT 0,
    report         TEXT     NOT NULL DEFAULT '',
    attested_at    BIGINT,
    attested_nonce BIGINT   NOT NULL DEFAULT 0,
    ek_sha256      BYTEA,
    ek_by_root     SMALLINT NOT NULL DEFAULT 0,
    pcr_sha256     BYTEA
);
CREATE INDEX device_by_principal ON device (principal_id, id);

-- The certificates that were made for them, as long as they are valid.
CREATE TABLE device_certificate (
    sha256     BYTEA  NOT NULL PRIMARY KEY,
    device_id  TEXT   NOT NULL REFERENCES device (id) ON DELETE CASCADE,
    expires_at BIGINT NOT NULL
);
CREATE INDEX device_certificate_of ON device_certificate (device_id);
CREATE INDEX device_certificate_by_end ON device_certificate (expires_at);

-- Leave to enrol one device, by the digest of a secret with more than 170 random bits. Each is used once, soon.
CREATE TABLE device_enrolment (
    id           TEXT   NOT NULL PRIMARY KEY,
    sha256       BYTEA  NOT NULL UNIQUE,
    principal_id TEXT   NOT NULL REFERENCES principal (id) ON DELETE CASCADE,
    created_by   TEXT   NOT NULL,
    created_at   BIGINT NOT NULL,
    expires_at   BIGINT NOT NULL,
    used_at      BIGINT
);
CREATE INDEX device_enrolment_of ON device_enrolment (principal_id);

-- Endorsement keys of TPMs that an administrator compared by hand, by the digest of the key.
CREATE TABLE device_endorsement (
    ek_sha256 BYTEA  NOT NULL PRIMARY KEY,
    pinned_by TEXT   NOT NULL,
    pinned_at BIGINT NOT NULL
);

-- The least tier of a device from which a workspace, or data of a class in it, may be read. `data_class` is '' for everything.
CREATE TABLE device_rule (
    workspace_id TEXT     NOT NULL REFERENCES workspace (id) ON DELETE CASCADE,
    data_class   TEXT     NOT NULL CHECK (data_class IN ('', 'personal', 'special', 'health', 'financial')),
    tier         SMALLINT NOT NULL CHECK (tier BETWEEN 1 AND 3),
    set_by       TEXT     NOT NULL,
    set_at       BIGINT   NOT NULL,
    PRIMARY KEY (workspace_id, data_class)
);
