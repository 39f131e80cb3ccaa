-- The stored bytes of small objects, encrypted as a file's would be. They come and go in the commit of the row that names the object; each
-- is written once.
CREATE TABLE small_object (
    object_id TEXT NOT NULL PRIMARY KEY,
    sealed    BLOB NOT NULL
);

-- What a version names stays, whichever statement comes: a path of the code that forgot to ask fails here.
CREATE TRIGGER small_object_stays BEFORE DELETE ON small_object
WHEN EXISTS (SELECT 1 FROM bucket_part p WHERE p.object_id = OLD.object_id)
BEGIN
    SELECT RAISE(ABORT, 'a version of an object names these bytes');
END;
CREATE TRIGGER small_object_keeps BEFORE UPDATE ON small_object
BEGIN
    SELECT RAISE(ABORT, 'an object is never changed');
END;
