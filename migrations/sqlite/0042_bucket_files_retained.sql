-- What a retained model is made of stays in its bucket, too.
CREATE TRIGGER bucket_file_stays BEFORE DELETE ON bucket_part
WHEN EXISTS (SELECT 1 FROM retained_object o JOIN retained r ON r.id = o.retained_id WHERE o.object_id = OLD.object_id AND (r.legal_hold = 1 OR (r.lock_mode = 'COMPLIANCE' AND r.retain_until > (SELECT COALESCE(max(at), 0) FROM compliance_clock))))
BEGIN
    SELECT RAISE(ABORT, 'it is retained');
END;
CREATE TRIGGER bucket_file_keeps BEFORE UPDATE ON bucket_part
WHEN (NEW.version_row IS DISTINCT FROM OLD.version_row OR NEW.part_number IS DISTINCT FROM OLD.part_number OR NEW.object_id IS DISTINCT FROM OLD.object_id OR NEW.size_bytes IS DISTINCT FROM OLD.size_bytes OR NEW.sha256 IS DISTINCT FROM OLD.sha256)
    AND EXISTS (SELECT 1 FROM retained_object o JOIN retained r ON r.id = o.retained_id WHERE o.object_id = OLD.object_id AND (r.legal_hold = 1 OR (r.lock_mode = 'COMPLIANCE' AND r.retain_until > (SELECT COALESCE(max(at), 0) FROM compliance_clock))))
BEGIN
    SELECT RAISE(ABORT, 'it is retained');
END;
