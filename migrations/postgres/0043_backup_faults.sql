-- What a restore from the log alone could not take back again: verbs, and how often they were done.
ALTER TABLE backup_restored ADD COLUMN untold TEXT NOT NULL DEFAULT '';

-- Parts of backups that were found missing or damaged: the next backup copies them anew. A manifest that is none stays until it is taken away.
CREATE TABLE backup_fault (
    target   TEXT   NOT NULL,
    name     TEXT   NOT NULL,
    sequence BIGINT NOT NULL,
    found_at BIGINT NOT NULL,
    PRIMARY KEY (target, name)
);
