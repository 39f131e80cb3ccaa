-- Where accounts get mail: what an administrator set, or what a provider vouched for. `sealed` is the address, encrypted.
CREATE TABLE mail_address (
    principal_id TEXT   NOT NULL PRIMARY KEY REFERENCES principal (id) ON DELETE CASCADE,
    sealed       BYTEA  NOT NULL,
    source       TEXT   NOT NULL CHECK (source IN ('administrator', 'provider')),
    set_at       BIGINT NOT NULL
);

-- OpenPGP keys (public, binary) that people gave: mail to them is encrypted to it.
CREATE TABLE mail_key (
    principal_id TEXT   NOT NULL PRIMARY KEY REFERENCES principal (id) ON DELETE CASCADE,
    public_key   BYTEA  NOT NULL,
    fingerprint  TEXT   NOT NULL,
    set_at       BIGINT NOT NULL
);

-- What somebody is to be told. `recipient` is `account/ID`, or `address/` and a keyed hash; `sealed` is the rest, encrypted, with the address in
-- the latter case. `id` is made of what it is about, so that nothing is told twice.
CREATE TABLE mail_notice (
    id           TEXT   NOT NULL PRIMARY KEY,
    recipient    TEXT   NOT NULL,
    principal_id TEXT   REFERENCES principal (id) ON DELETE CASCADE,
    kind         TEXT   NOT NULL,
    event        TEXT   NOT NULL,
    made_at      BIGINT NOT NULL,
    sealed       BYTEA  NOT NULL,
    state        TEXT   NOT NULL CHECK (state IN ('waiting', 'sent', 'failed')),
    settled_at   BIGINT,
    fault        TEXT
);
CREATE INDEX mail_notice_waiting ON mail_notice (recipient, made_at) WHERE state = 'waiting';
CREATE INDEX mail_notice_settled ON mail_notice (settled_at);
CREATE INDEX mail_notice_principal ON mail_notice (principal_id);

-- When each may be sent to again, how often that failed, and which process is at it. `left_out` counts notices that found no more room.
CREATE TABLE mail_recipient (
    recipient    TEXT   NOT NULL PRIMARY KEY,
    principal_id TEXT   REFERENCES principal (id) ON DELETE CASCADE,
    next_at      BIGINT NOT NULL DEFAULT 0,
    attempts     BIGINT NOT NULL DEFAULT 0,
    fault        TEXT,
    leased_by    TEXT,
    leased_until BIGINT NOT NULL DEFAULT 0,
    left_out     BIGINT NOT NULL DEFAULT 0
);
CREATE INDEX mail_recipient_principal ON mail_recipient (principal_id);

-- How far each log was read for notices.
CREATE TABLE mail_position (
    origin     TEXT   NOT NULL PRIMARY KEY,
    next_index BIGINT NOT NULL
);
