-- A backup's manifest as it was signed: where it is taken away or damaged in its place, the next backup puts it back. None of backups that
-- older servers made, and of those that were taken away again.
ALTER TABLE backup_run ADD COLUMN manifest BLOB;
