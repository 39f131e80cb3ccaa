-- The stored bytes of small objects, encrypted as a file's would be. They come and go in the commit of the row that names the object; each
-- is written once.
CREATE TABLE small_object (
    object_id TEXT  NOT NULL PRIMARY KEY,
    sealed    BYTEA NOT NULL
);
-- Ciphertext does not compress.
ALTER TABLE small_object ALTER COLUMN sealed SET STORAGE EXTERNAL;

-- What a version of an object or a data set names, or is retained, stays, whichever statement comes: a path of the code that forgot to ask
-- fails here.
CREATE FUNCTION small_object_stays() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (SELECT 1 FROM bucket_part p WHERE p.object_id = OLD.object_id)
        OR EXISTS (SELECT 1 FROM data_file f WHERE f.object_id = OLD.object_id)
        OR EXISTS (SELECT 1 FROM retained_object o JOIN retained r ON r.id = o.retained_id WHERE o.object_id = OLD.object_id AND (r.legal_hold = 1 OR (r.lock_mode = 'COMPLIANCE' AND r.retain_until > (SELECT COALESCE(max(at), 0) FROM compliance_clock)))) THEN
        RAISE EXCEPTION 'a version names these bytes';
    END IF;
    RETURN OLD;
END $$;
CREATE TRIGGER small_object_stays BEFORE DELETE ON small_object FOR EACH ROW EXECUTE FUNCTION small_object_stays();
CREATE FUNCTION small_object_keeps() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'an object is never changed';
END $$;
CREATE TRIGGER small_object_keeps BEFORE UPDATE ON small_object FOR EACH ROW EXECUTE FUNCTION small_object_keeps();
