-- Buckets of the S3 interface. A bucket is one workspace's; its name is unique on the server, as S3 has it.
CREATE TABLE bucket (
    id              TEXT     NOT NULL PRIMARY KEY,
    name            TEXT     NOT NULL UNIQUE,
    workspace       TEXT     NOT NULL,
    versioning      TEXT     NOT NULL CHECK (versioning IN ('off', 'enabled', 'suspended')),
    lock_enabled    SMALLINT NOT NULL DEFAULT 0,
    default_mode    TEXT     CHECK (default_mode IN ('GOVERNANCE', 'COMPLIANCE')),
    default_days    BIGINT,
    default_years   BIGINT,
    tags            TEXT     NOT NULL DEFAULT '',
    created_at      BIGINT   NOT NULL,
    created_by      TEXT     NOT NULL
);
CREATE INDEX bucket_by_workspace ON bucket (workspace, name);

-- A version of an object, or a delete marker. `rank` falls with time: the newest of a key comes first. `version_id` is `null` for what was
-- written while versioning was off or suspended. Keys are compared byte by byte on both engines.
CREATE TABLE bucket_version (
    id           TEXT     NOT NULL PRIMARY KEY,
    bucket_id    TEXT     NOT NULL REFERENCES bucket (id),
    object_key   TEXT COLLATE "C" NOT NULL,
    rank         BIGINT   NOT NULL,
    version_id   TEXT     NOT NULL,
    is_latest    SMALLINT NOT NULL,
    is_marker    SMALLINT NOT NULL,
    size_bytes   BIGINT   NOT NULL,
    etag         TEXT     NOT NULL,
    attributes   TEXT     NOT NULL,
    tags         TEXT     NOT NULL,
    part_count   BIGINT   NOT NULL,
    lock_mode    TEXT     CHECK (lock_mode IN ('GOVERNANCE', 'COMPLIANCE')),
    retain_until BIGINT,
    legal_hold   SMALLINT NOT NULL DEFAULT 0,
    upload_id    TEXT,
    created_at   BIGINT   NOT NULL,
    created_by   TEXT     NOT NULL,
    UNIQUE (bucket_id, object_key, rank),
    UNIQUE (bucket_id, object_key, version_id)
);
CREATE UNIQUE INDEX bucket_version_latest ON bucket_version (bucket_id, object_key) WHERE is_latest = 1;
CREATE INDEX bucket_version_locked ON bucket_version (bucket_id) WHERE retain_until IS NOT NULL OR legal_hold = 1;

-- The bytes of a version: one object, or the parts of a multipart upload in order.
CREATE TABLE bucket_part (
    version_row TEXT   NOT NULL REFERENCES bucket_version (id),
    part_number BIGINT NOT NULL,
    object_id   TEXT   NOT NULL UNIQUE,
    workspace   TEXT   NOT NULL,
    size_bytes  BIGINT NOT NULL,
    sha256      BYTEA   NOT NULL,
    wrapped_key BYTEA   NOT NULL,
    key_version BIGINT NOT NULL,
    etag        TEXT   NOT NULL,
    checksum    TEXT   NOT NULL,
    PRIMARY KEY (version_row, part_number)
);
CREATE INDEX bucket_part_by_key ON bucket_part (workspace, key_version);

CREATE TABLE bucket_upload (
    id           TEXT     NOT NULL PRIMARY KEY,
    bucket_id    TEXT     NOT NULL REFERENCES bucket (id),
    object_key   TEXT COLLATE "C" NOT NULL,
    attributes   TEXT     NOT NULL,
    tags         TEXT     NOT NULL,
    lock_mode    TEXT,
    retain_until BIGINT,
    legal_hold   SMALLINT NOT NULL DEFAULT 0,
    created_at   BIGINT   NOT NULL,
    created_by   TEXT     NOT NULL
);
CREATE INDEX bucket_upload_by_key ON bucket_upload (bucket_id, object_key, created_at, id);

CREATE TABLE bucket_upload_part (
    upload_id   TEXT   NOT NULL REFERENCES bucket_upload (id),
    part_number BIGINT NOT NULL,
    object_id   TEXT   NOT NULL UNIQUE,
    workspace   TEXT   NOT NULL,
    size_bytes  BIGINT NOT NULL,
    sha256      BYTEA   NOT NULL,
    wrapped_key BYTEA   NOT NULL,
    key_version BIGINT NOT NULL,
    etag        TEXT   NOT NULL,
    checksum    TEXT   NOT NULL,
    stored_at   BIGINT NOT NULL,
    PRIMARY KEY (upload_id, part_number)
);
CREATE INDEX bucket_upload_part_by_key ON bucket_upload_part (workspace, key_version);

-- The compliance clock: time as retention counts it. It never goes back, and does not follow a wall clock that jumps: `ran` is how long
-- servers ran, `granted` how much it was moved on for times when none did, which is bounded by the other.
CREATE TABLE compliance_clock (
    id      BIGINT NOT NULL PRIMARY KEY CHECK (id = 1),
    at      BIGINT NOT NULL,
    wall_at BIGINT NOT NULL,
    ran     BIGINT NOT NULL,
    granted BIGINT NOT NULL
);

-- What is under compliance retention or a legal hold stays, whichever statement comes: a path of the code that forgot to ask fails here.
CREATE FUNCTION bucket_version_stays() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF (OLD.legal_hold = 1 OR (OLD.lock_mode = 'COMPLIANCE' AND OLD.retain_until > (SELECT COALESCE(max(at), 0) FROM compliance_clock))) THEN
        RAISE EXCEPTION 'the version is locked';
    END IF;
    RETURN OLD;
END $$;
CREATE TRIGGER bucket_version_stays BEFORE DELETE ON bucket_version FOR EACH ROW EXECUTE FUNCTION bucket_version_stays();
CREATE FUNCTION bucket_version_keeps() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF (OLD.legal_hold = 1 OR (OLD.lock_mode = 'COMPLIANCE' AND OLD.retain_until > (SELECT COALESCE(max(at), 0) FROM compliance_clock)))
        AND (NEW.id <> OLD.id OR NEW.bucket_id <> OLD.bucket_id OR NEW.object_key <> OLD.object_key OR NEW.version_id <> OLD.version_id
            OR NEW.size_bytes <> OLD.size_bytes OR NEW.etag <> OLD.etag OR NEW.is_marker <> OLD.is_marker
            OR NEW.part_count <> OLD.part_count
            OR (OLD.lock_mode = 'COMPLIANCE' AND OLD.retain_until > (SELECT COALESCE(max(at), 0) FROM compliance_clock)
                AND (NEW.lock_mode IS NULL OR NEW.lock_mode <> 'COMPLIANCE' OR NEW.retain_until IS NULL
                    OR NEW.retain_until < OLD.retain_until))) THEN
        RAISE EXCEPTION 'the version is locked';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER bucket_version_keeps BEFORE UPDATE ON bucket_version FOR EACH ROW EXECUTE FUNCTION bucket_version_keeps();
CREATE FUNCTION bucket_part_stays() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (SELECT 1 FROM bucket_version v WHERE v.id = OLD.version_row AND (v.legal_hold = 1 OR (v.lock_mode = 'COMPLIANCE'
        AND v.retain_until > (SELECT COALESCE(max(at), 0) FROM compliance_clock)))) THEN
        RAISE EXCEPTION 'the version is locked';
    END IF;
    RETURN OLD;
END $$;
CREATE TRIGGER bucket_part_stays BEFORE DELETE ON bucket_part FOR EACH ROW EXECUTE FUNCTION bucket_part_stays();
CREATE FUNCTION bucket_part_keeps() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF (NEW.object_id <> OLD.object_id OR NEW.size_bytes <> OLD.size_bytes OR NEW.sha256 <> OLD.sha256
        OR NEW.version_row <> OLD.version_row) AND EXISTS (SELECT 1 FROM bucket_version v WHERE v.id = OLD.version_row AND (v.legal_hold = 1 OR (v.lock_mode = 'COMPLIANCE'
        AND v.retain_until > (SELECT COALESCE(max(at), 0) FROM compliance_clock)))) THEN
        RAISE EXCEPTION 'the version is locked';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER bucket_part_keeps BEFORE UPDATE ON bucket_part FOR EACH ROW EXECUTE FUNCTION bucket_part_keeps();
CREATE FUNCTION bucket_keeps() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF OLD.lock_enabled = 1 AND (NEW.lock_enabled = 0 OR NEW.versioning <> 'enabled' OR NEW.name <> OLD.name
        OR NEW.workspace <> OLD.workspace) THEN
        RAISE EXCEPTION 'object lock cannot be taken away';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER bucket_keeps BEFORE UPDATE ON bucket FOR EACH ROW EXECUTE FUNCTION bucket_keeps();
CREATE FUNCTION compliance_clock_goes_on() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.at < OLD.at THEN
        RAISE EXCEPTION 'the compliance clock does not go back';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER compliance_clock_goes_on BEFORE UPDATE ON compliance_clock FOR EACH ROW EXECUTE FUNCTION compliance_clock_goes_on();
