-- What is retained as a whole, by rules of the operator's: versions of data sets and models, and backups. Held as versions of objects are.
CREATE TABLE retained (
    id           TEXT     NOT NULL PRIMARY KEY,
    kind         TEXT     NOT NULL CHECK (kind IN ('dataset', 'model', 'backup')),
    subject      TEXT     NOT NULL,
    name         TEXT     NOT NULL,
    workspace    TEXT     NOT NULL,
    rule         TEXT     NOT NULL,
    lock_mode    TEXT     CHECK (lock_mode IN ('GOVERNANCE', 'COMPLIANCE')),
    retain_until BIGINT,
    legal_hold   SMALLINT NOT NULL DEFAULT 0,
    created_at   BIGINT   NOT NULL,
    UNIQUE (kind, subject)
);
CREATE INDEX retained_by_workspace ON retained (workspace, id);

-- Objects that a model's version is made of: they belong to runs and logged models, whose own rows do not say so.
CREATE TABLE retained_object (
    object_id   TEXT NOT NULL,
    retained_id TEXT NOT NULL REFERENCES retained (id),
    PRIMARY KEY (object_id, retained_id)
);
CREATE INDEX retained_object_of ON retained_object (retained_id);

-- Objects whose bytes are held by more than software: by the immutable flag of their file, or by the store that they lie in.
CREATE TABLE object_seal (
    object_id    TEXT     NOT NULL PRIMARY KEY,
    lock_mode    TEXT,
    retain_until BIGINT,
    legal_hold   SMALLINT NOT NULL,
    sealed_at    BIGINT   NOT NULL
);

-- What is under compliance retention or a legal hold stays, whichever statement comes: a path of the code that forgot to ask fails here.
CREATE TRIGGER retained_stays BEFORE DELETE ON retained
WHEN (OLD.legal_hold = 1 OR (OLD.lock_mode = 'COMPLIANCE' AND OLD.retain_until > (SELECT COALESCE(max(at), 0) FROM compliance_clock)))
BEGIN
    SELECT RAISE(ABORT, 'it is retained');
END;
CREATE TRIGGER retained_keeps BEFORE UPDATE ON retained
WHEN (OLD.legal_hold = 1 OR (OLD.lock_mode = 'COMPLIANCE' AND OLD.retain_until > (SELECT COALESCE(max(at), 0) FROM compliance_clock)))
    AND (NEW.id IS DISTINCT FROM OLD.id OR NEW.kind IS DISTINCT FROM OLD.kind OR NEW.subject IS DISTINCT FROM OLD.subject OR NEW.workspace IS DISTINCT FROM OLD.workspace
        OR (OLD.lock_mode = 'COMPLIANCE' AND OLD.retain_until > (SELECT COALESCE(max(at), 0) FROM compliance_clock)
            AND (NEW.lock_mode IS DISTINCT FROM 'COMPLIANCE' OR NEW.retain_until IS NULL OR NEW.retain_until < OLD.retain_until)))
BEGIN
    SELECT RAISE(ABORT, 'it is retained');
END;
CREATE TRIGGER retained_object_stays BEFORE DELETE ON retained_object
WHEN EXISTS (SELECT 1 FROM retained r WHERE r.id = OLD.retained_id AND (r.legal_hold = 1 OR (r.lock_mode = 'COMPLIANCE' AND r.retain_until > (SELECT COALESCE(max(at), 0) FROM compliance_clock))))
BEGIN
    SELECT RAISE(ABORT, 'it is retained');
END;
CREATE TRIGGER retained_object_keeps BEFORE UPDATE ON retained_object
WHEN EXISTS (SELECT 1 FROM retained r WHERE r.id = OLD.retained_id AND (r.legal_hold = 1 OR (r.lock_mode = 'COMPLIANCE' AND r.retain_until > (SELECT COALESCE(max(at), 0) FROM compliance_clock))))
BEGIN
    SELECT RAISE(ABORT, 'it is retained');
END;
CREATE TRIGGER data_version_stays BEFORE DELETE ON data_version
WHEN EXISTS (SELECT 1 FROM retained r WHERE r.kind = 'dataset' AND r.subject = OLD.version_id AND (r.legal_hold = 1 OR (r.lock_mode = 'COMPLIANCE' AND r.retain_until > (SELECT COALESCE(max(at), 0) FROM compliance_clock))))
BEGIN
    SELECT RAISE(ABORT, 'it is retained');
END;
CREATE TRIGGER data_version_keeps BEFORE UPDATE ON data_version
WHEN (NEW.version_id IS DISTINCT FROM OLD.version_id OR NEW.dataset_id IS DISTINCT FROM OLD.dataset_id OR NEW.workspace IS DISTINCT FROM OLD.workspace OR NEW.number IS DISTINCT FROM OLD.number OR NEW.manifest_sha256 IS DISTINCT FROM OLD.manifest_sha256 OR NEW.file_count IS DISTINCT FROM OLD.file_count OR NEW.size_bytes IS DISTINCT FROM OLD.size_bytes)
    AND EXISTS (SELECT 1 FROM retained r WHERE r.kind = 'dataset' AND r.subject = OLD.version_id AND (r.legal_hold = 1 OR (r.lock_mode = 'COMPLIANCE' AND r.retain_until > (SELECT COALESCE(max(at), 0) FROM compliance_clock))))
BEGIN
    SELECT RAISE(ABORT, 'it is retained');
END;
CREATE TRIGGER data_file_stays BEFORE DELETE ON data_file
WHEN EXISTS (SELECT 1 FROM retained r WHERE r.kind = 'dataset' AND r.subject = OLD.version_id AND (r.legal_hold = 1 OR (r.lock_mode = 'COMPLIANCE' AND r.retain_until > (SELECT COALESCE(max(at), 0) FROM compliance_clock))))
BEGIN
    SELECT RAISE(ABORT, 'it is retained');
END;
CREATE TRIGGER data_file_keeps BEFORE UPDATE ON data_file
WHEN (NEW.version_id IS DISTINCT FROM OLD.version_id OR NEW.path IS DISTINCT FROM OLD.path OR NEW.object_id IS DISTINCT FROM OLD.object_id OR NEW.size_bytes IS DISTINCT FROM OLD.size_bytes OR NEW.sha256 IS DISTINCT FROM OLD.sha256)
    AND EXISTS (SELECT 1 FROM retained r WHERE r.kind = 'dataset' AND r.subject = OLD.version_id AND (r.legal_hold = 1 OR (r.lock_mode = 'COMPLIANCE' AND r.retain_until > (SELECT COALESCE(max(at), 0) FROM compliance_clock))))
BEGIN
    SELECT RAISE(ABORT, 'it is retained');
END;
CREATE TRIGGER model_version_stays BEFORE DELETE ON model_version
WHEN EXISTS (SELECT 1 FROM retained r WHERE r.kind = 'model' AND r.subject = OLD.model_id || '/' || OLD.version AND (r.legal_hold = 1 OR (r.lock_mode = 'COMPLIANCE' AND r.retain_until > (SELECT COALESCE(max(at), 0) FROM compliance_clock))))
BEGIN
    SELECT RAISE(ABORT, 'it is retained');
END;
CREATE TRIGGER model_version_keeps BEFORE UPDATE ON model_version
WHEN (NEW.model_id IS DISTINCT FROM OLD.model_id OR NEW.version IS DISTINCT FROM OLD.version OR NEW.source IS DISTINCT FROM OLD.source OR NEW.storage_location IS DISTINCT FROM OLD.storage_location OR NEW.deleted IS DISTINCT FROM OLD.deleted)
    AND EXISTS (SELECT 1 FROM retained r WHERE r.kind = 'model' AND r.subject = OLD.model_id || '/' || OLD.version AND (r.legal_hold = 1 OR (r.lock_mode = 'COMPLIANCE' AND r.retain_until > (SELECT COALESCE(max(at), 0) FROM compliance_clock))))
BEGIN
    SELECT RAISE(ABORT, 'it is retained');
END;
CREATE TRIGGER artifact_part_stays BEFORE DELETE ON artifact_part
WHEN EXISTS (SELECT 1 FROM retained_object o JOIN retained r ON r.id = o.retained_id WHERE o.object_id = OLD.object_id AND (r.legal_hold = 1 OR (r.lock_mode = 'COMPLIANCE' AND r.retain_until > (SELECT COALESCE(max(at), 0) FROM compliance_clock))))
BEGIN
    SELECT RAISE(ABORT, 'it is retained');
END;
CREATE TRIGGER artifact_part_keeps BEFORE UPDATE ON artifact_part
WHEN (NEW.artifact_id IS DISTINCT FROM OLD.artifact_id OR NEW.part_number IS DISTINCT FROM OLD.part_number OR NEW.object_id IS DISTINCT FROM OLD.object_id OR NEW.size_bytes IS DISTINCT FROM OLD.size_bytes OR NEW.sha256 IS DISTINCT FROM OLD.sha256)
    AND EXISTS (SELECT 1 FROM retained_object o JOIN retained r ON r.id = o.retained_id WHERE o.object_id = OLD.object_id AND (r.legal_hold = 1 OR (r.lock_mode = 'COMPLIANCE' AND r.retain_until > (SELECT COALESCE(max(at), 0) FROM compliance_clock))))
BEGIN
    SELECT RAISE(ABORT, 'it is retained');
END;
CREATE TRIGGER artifact_keeps BEFORE UPDATE ON artifact
WHEN (NEW.id IS DISTINCT FROM OLD.id OR NEW.owner_kind IS DISTINCT FROM OLD.owner_kind OR NEW.owner_id IS DISTINCT FROM OLD.owner_id OR NEW.path IS DISTINCT FROM OLD.path OR NEW.size_bytes IS DISTINCT FROM OLD.size_bytes OR NEW.sha256 IS DISTINCT FROM OLD.sha256)
    AND EXISTS (SELECT 1 FROM artifact_part p JOIN retained_object o ON o.object_id = p.object_id JOIN retained r ON r.id = o.retained_id
        WHERE p.artifact_id = OLD.id AND (r.legal_hold = 1 OR (r.lock_mode = 'COMPLIANCE' AND r.retain_until > (SELECT COALESCE(max(at), 0) FROM compliance_clock))))
BEGIN
    SELECT RAISE(ABORT, 'it is retained');
END;
