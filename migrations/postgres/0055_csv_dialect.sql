-- How a version's CSV files are written, as its committer said: a JSON document that SQL never looks into.
ALTER TABLE data_version ADD COLUMN csv TEXT NOT NULL DEFAULT '{}';
