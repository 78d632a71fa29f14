CREATE TABLE erasure_jobs (
    job_id       uuid        PRIMARY KEY DEFAULT gen_random_uuid(),
    user_hashes  bytea[]     NOT NULL,
    requested_by text        NOT NULL,
    requested_at timestamptz NOT NULL DEFAULT now(),
    state        text        NOT NULL DEFAULT 'requested' CHECK (state IN ('requested', 'sweeping', 'done')),
    removed      jsonb       NOT NULL DEFAULT '{}',
    completed_at timestamptz
);
CREATE INDEX erasure_jobs_open ON erasure_jobs (requested_at) WHERE state <> 'done';
COMMENT ON TABLE erasure_jobs IS 'Receipts: whose data was to be erased, at whose request, and how much was, by store';
