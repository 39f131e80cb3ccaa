-- Most data is let in. Data sets whose newest version is in another state are found without looking at all of them.
CREATE INDEX data_version_in_state ON data_version (workspace, state, dataset_id, number);
