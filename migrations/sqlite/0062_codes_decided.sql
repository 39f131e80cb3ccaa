-- A code of a command line is decided on once, agreed to or denied, and what was agreed to is taken once.
ALTER TABLE device_approval ADD COLUMN state TEXT NOT NULL DEFAULT 'agreed' CHECK (state IN ('agreed', 'denied', 'used'));
