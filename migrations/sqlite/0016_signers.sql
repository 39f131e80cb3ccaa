-- Whose signatures on models count in a workspace, and whether one is needed: the whole policy as one document, the newest row
-- by `number`. Older ones are kept, so that a verdict can be read beside the policy that it was reached under.
CREATE TABLE signer_policy (
    workspace TEXT   NOT NULL,
    number    BIGINT NOT NULL,
    document  TEXT   NOT NULL,
    sha256    BLOB   NOT NULL,
    set_at    BIGINT NOT NULL,
    set_by    TEXT   NOT NULL,
    PRIMARY KEY (workspace, number)
);
