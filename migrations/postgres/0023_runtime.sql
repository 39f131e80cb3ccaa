-- What computes for an endpoint: 'native', 'python' or 'upstream:SERVER/MODEL'.
ALTER TABLE endpoint ADD COLUMN runtime TEXT NOT NULL DEFAULT 'native';
