DROP TABLE erasure_jobs;
