-- The stored bytes of small objects, encrypted as a file's would be. They come and go in the commit of the row that names the object; each
-- is written once.
CREATE TABLE small_object (
    object_id TEXT NOT NULL PRIMARY KEY,
    sealed    BLOB NOT NULL
);

-- What a version of an object or a data set names, or is retained, stays, whichever statement comes: a path of the code that forgot to ask
-- fails here.
CREATE TRIGGER small_object_stays BEFORE DELETE ON small_object
WHEN EXISTS (SELECT 1 FROM bucket_part p WHERE p.object_id = OLD.object_id)
    OR EXISTS (SELECT 1 FROM data_file f WHERE f.object_id = OLD.object_id)
    OR EXISTS (SELECT 1 FROM retained_object o JOIN retained r ON r.id = o.retained_id WHERE o.object_id = OLD.object_id AND (r.legal_hold = 1 OR (r.lock_mode = 'COMPLIANCE' AND r.retain_until > (SELECT COALESCE(max(at), 0) FROM compliance_clock))))
BEGIN
    SELECT RAISE(ABORT, 'a version names these bytes');
END;
CREATE TRIGGER small_object_keeps BEFORE UPDATE ON small_object
BEGIN
    SELECT RAISE(ABORT, 'an object is never changed');
END;
