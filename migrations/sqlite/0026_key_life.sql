-- Since when each version of the root key wraps: its age, for rotation on a schedule.
CREATE TABLE vault_root_key (
    name     TEXT   NOT NULL,
    version  BIGINT NOT NULL,
    since_at BIGINT NOT NULL,
    PRIMARY KEY (name, version)
);

-- Who wants a workspace's key destroyed, who agreed, and what came of it.
CREATE TABLE vault_key_destroy (
    id           TEXT   NOT NULL PRIMARY KEY,
    workspace    TEXT   NOT NULL,
    reason       TEXT   NOT NULL,
    state        TEXT   NOT NULL,
    requested_by TEXT   NOT NULL,
    requested_at BIGINT NOT NULL,
    approved_by  TEXT,
    approved_at  BIGINT,
    due_at       BIGINT,
    ended_by     TEXT,
    ended_at     BIGINT
);

CREATE UNIQUE INDEX vault_key_destroy_open ON vault_key_destroy (workspace) WHERE state IN ('requested', 'approved');

-- What is left of a destroyed key: a signed note. It is never deleted; a restore replays it.
CREATE TABLE vault_key_tombstone (
    workspace    TEXT   NOT NULL PRIMARY KEY,
    destroyed_at BIGINT NOT NULL,
    note         TEXT   NOT NULL,
    signature    BLOB NOT NULL
);
