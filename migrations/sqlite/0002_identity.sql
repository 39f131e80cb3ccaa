CREATE TABLE workspace (
    id         TEXT   NOT NULL PRIMARY KEY,
    name       TEXT   NOT NULL UNIQUE,
    created_at BIGINT NOT NULL,
    created_by TEXT   NOT NULL
);

-- A person, a service account or a group. `owner` is who made it: only a service account's owner may mint its tokens.
-- `epoch` grows with every change after which an earlier proof of who one is must not count any more.
CREATE TABLE principal (
    id         TEXT     NOT NULL PRIMARY KEY,
    kind       TEXT     NOT NULL CHECK (kind IN ('user', 'service', 'group')),
    name       TEXT     NOT NULL UNIQUE,
    disabled   SMALLINT NOT NULL DEFAULT 0,
    owner      TEXT     NOT NULL,
    created_at BIGINT   NOT NULL,
    epoch      BIGINT   NOT NULL DEFAULT 0
);

-- `hash` is a PHC string (argon2id with its salt and costs).
CREATE TABLE password (
    principal_id TEXT   NOT NULL PRIMARY KEY REFERENCES principal (id) ON DELETE CASCADE,
    hash         TEXT   NOT NULL,
    changed_at   BIGINT NOT NULL
);

CREATE TABLE membership (
    group_id  TEXT   NOT NULL REFERENCES principal (id) ON DELETE CASCADE,
    member_id TEXT   NOT NULL REFERENCES principal (id) ON DELETE CASCADE,
    added_at  BIGINT NOT NULL,
    added_by  TEXT   NOT NULL,
    PRIMARY KEY (group_id, member_id)
);
CREATE INDEX membership_by_member ON membership (member_id, group_id);

-- The secret itself is never stored: it has more than 170 random bits, so its plain SHA-256 cannot be guessed back.
-- `scopes` is a list of action patterns, one per line; empty means all that the owner may do.
CREATE TABLE token (
    id            TEXT   NOT NULL PRIMARY KEY,
    principal_id  TEXT   NOT NULL REFERENCES principal (id) ON DELETE CASCADE,
    kind          TEXT   NOT NULL CHECK (kind IN ('pat', 'svc')),
    sha256        BLOB   NOT NULL UNIQUE,
    prefix        TEXT   NOT NULL,
    label         TEXT   NOT NULL,
    scopes        TEXT   NOT NULL,
    workspace_id  TEXT,
    parent_id     TEXT,
    created_at    BIGINT NOT NULL,
    created_by    TEXT   NOT NULL,
    expires_at    BIGINT NOT NULL,
    revoked_at    BIGINT,
    last_used_day BIGINT
);
CREATE INDEX token_by_principal ON token (principal_id, created_at);
CREATE INDEX token_by_parent ON token (parent_id) WHERE parent_id IS NOT NULL;

-- A session that was opened with a token (`token_id`) ends with it and can do no more than it.
CREATE TABLE session (
    id           TEXT   NOT NULL PRIMARY KEY,
    principal_id TEXT   NOT NULL REFERENCES principal (id) ON DELETE CASCADE,
    sha256       BLOB   NOT NULL UNIQUE,
    token_id     TEXT   REFERENCES token (id) ON DELETE CASCADE,
    scopes       TEXT   NOT NULL,
    workspace_id TEXT,
    created_at   BIGINT NOT NULL,
    last_seen    BIGINT NOT NULL,
    expires_at   BIGINT NOT NULL,
    revoked_at   BIGINT
);
CREATE INDEX session_by_principal ON session (principal_id, created_at);
CREATE INDEX session_by_token ON session (token_id) WHERE token_id IS NOT NULL;
