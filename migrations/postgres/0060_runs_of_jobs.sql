-- Whoever writes into a run is asked whether it is that of a job.
CREATE INDEX retrain_job_of_run ON retrain_job (run_id) WHERE run_id IS NOT NULL;
