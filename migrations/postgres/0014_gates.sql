-- The gate files of registered models, each revision kept. `document` is the text; none where the gate was taken away.
CREATE TABLE model_gate (
    model_id  TEXT COLLATE "C" NOT NULL,
    revision  BIGINT NOT NULL,
    workspace TEXT COLLATE "C" NOT NULL,
    document  TEXT,
    sha256    BYTEA NOT NULL,
    set_at    BIGINT NOT NULL,
    set_by    TEXT COLLATE "C" NOT NULL,
    reason    TEXT NOT NULL,
    PRIMARY KEY (model_id, revision)
);

-- By which revision a version was judged last.
ALTER TABLE model_standing ADD COLUMN gate_revision BIGINT;
