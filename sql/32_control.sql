-- Steering jobs: pause, resume, cancel, alter, forget; submitting again; order; what the events and views say.
SET stride.progress_interval = 0;
CREATE TABLE steered (id int PRIMARY KEY, n int DEFAULT 0);
INSERT INTO steered (id) SELECT generate_series(1, 300);

-- Waits until a job has a state, and a reason for it, at most 20 s.
CREATE PROCEDURE await(job bigint, wanted text, reason text DEFAULT '%') LANGUAGE plpgsql AS $$
DECLARE
    seen text;
    said text;
BEGIN
    FOR i IN 1 .. 400 LOOP
        SELECT state, coalesce(state_reason, '') INTO seen, said FROM stride.jobs WHERE job_id = job;
        IF seen = wanted AND said LIKE reason THEN RETURN; END IF;
        COMMIT;
        PERFORM pg_sleep(0.05);
    END LOOP;
    RAISE EXCEPTION 'the job is % (%), not % (%)', seen, said, wanted, reason;
END $$;

-- A job that waits for its time can be steered at leisure.
SELECT stride.submit('UPDATE steered SET n = n + 1', name => 'steered later', start_at => now() + interval '1 hour', chunk_rows => 10) AS job \gset
CALL await(:job, 'queued');
SELECT stride.pause(:job);
CALL await(:job, 'paused');
SELECT stride.pause(:job);
SELECT stride.alter(:job, workers => 1, settings => '{"chunk_time": "50ms"}');
SELECT stride.resume(:job);
CALL await(:job, 'queued');
SELECT stride.cancel(:job);
CALL await(:job, 'cancelled');
SELECT workers, settings FROM stride.jobs WHERE job_id = :job;
SELECT event, from_state, to_state, session_role = session_user AS by_me FROM stride.events WHERE job_id = :job ORDER BY event_at;
SELECT stride.job_id('steered later') = :job AS found;
SELECT stride.forget(:job);
DO $$
BEGIN
    FOR i IN 1 .. 400 LOOP
        EXIT WHEN NOT EXISTS (SELECT FROM stride.jobs WHERE name = 'steered later');
        COMMIT;
        PERFORM pg_sleep(0.05);
    END LOOP;
END $$;
SELECT count(*) FROM stride.jobs WHERE name = 'steered later';

-- if_exists: the first of a name is unfinished, then cancelled.
SELECT stride.submit('UPDATE steered SET n = n + 1', name => 'once', start_at => now() + interval '1 hour') AS job \gset
\set VERBOSITY sqlstate
SELECT stride.submit('UPDATE steered SET n = n + 1', name => 'once');
\set VERBOSITY default
SELECT stride.submit('UPDATE steered SET n = n + 1', name => 'once', if_exists => 'skip') = :job AS same;
SELECT stride.submit('UPDATE steered SET n = n + 1', name => 'once', if_exists => 'resume') = :job AS same;
SELECT stride.cancel(:job);
CALL await(:job, 'cancelled');
CALL stride.run('UPDATE steered SET n = n + 1', name => 'once', if_exists => 'new');
SELECT n, count(*) FROM steered GROUP BY n;
-- The newest of the name has succeeded: a submission is a new job.
CALL stride.run('UPDATE steered SET n = n + 1', name => 'once', if_exists => 'resume');
SELECT n, count(*) FROM steered GROUP BY n;

-- A failed job goes on where it stopped, once the cause is mended.
CREATE TABLE picky (id int PRIMARY KEY CHECK (id <> 250));
\set VERBOSITY sqlstate
CALL stride.run('INSERT INTO picky SELECT id FROM steered', name => 'mended', chunk_rows => 10, workers => 1);
\set VERBOSITY default
ALTER TABLE picky DROP CONSTRAINT picky_id_check;
CALL stride.run('INSERT INTO picky SELECT id FROM steered', name => 'mended', if_exists => 'resume');
SELECT count(*) FROM picky;
SELECT state, attempt, rows_read, rows_written FROM stride.jobs WHERE name = 'mended';

-- A job waits for the one that it depends on; one whose predecessor was cancelled stays queued and says why.
SELECT stride.submit('UPDATE steered SET n = 10', start_at => now() + interval '1 hour', priority => 5) AS first \gset
SELECT stride.submit('UPDATE steered SET n = n * 2', depends_on => ARRAY[:first]) AS second \gset
SELECT stride.cancel(:first);
CALL await(:first, 'cancelled');
CALL await(:second, 'queued', 'waits for %');
SELECT regexp_replace(state_reason, '\d+', 'N') AS state_reason FROM stride.jobs WHERE job_id = :second;
SELECT stride.cancel(:second);
CALL await(:second, 'cancelled');

-- stride.enabled holds everything.
ALTER SYSTEM SET stride.enabled = off;
SELECT pg_reload_conf();
SELECT stride.submit('UPDATE steered SET n = 77', name => 'held') AS job \gset
DO $$
BEGIN
    FOR i IN 1 .. 400 LOOP
        EXIT WHEN EXISTS (SELECT FROM stride.progress WHERE name = 'held' AND waiting_for IS NOT NULL);
        COMMIT;
        PERFORM pg_sleep(0.05);
    END LOOP;
END $$;
SELECT state, waiting_for, percent, length(bar) FROM stride.progress WHERE name = 'held';
ALTER SYSTEM RESET stride.enabled;
SELECT pg_reload_conf();
CALL stride.wait(:job, '20 s');
SELECT state, bar, percent, rows_done, rejected_rows FROM stride.progress WHERE name = 'held';
SELECT n, count(*) FROM steered GROUP BY n;

-- The columns that others rely on.
SELECT string_agg(attname, ', ' ORDER BY attnum) FROM pg_attribute WHERE attrelid = 'stride.progress'::regclass AND attnum > 0;

-- A role sees its own jobs; a member of pg_monitor sees all of them without statements.
CREATE ROLE regress_stride_own LOGIN;
CREATE ROLE regress_stride_monitor LOGIN IN ROLE pg_monitor;
GRANT USAGE ON SCHEMA stride TO regress_stride_own, regress_stride_monitor;
SET ROLE regress_stride_own;
SELECT count(*) FROM stride.jobs;
SELECT count(*) FROM stride.events;
\set VERBOSITY sqlstate
SELECT count(*) FROM stride_catalog.job;
SELECT stride.submit('UPDATE steered SET n = 1');
\set VERBOSITY default
SET ROLE regress_stride_monitor;
SELECT count(*) > 5 AS sees_jobs, count(statement) AS statements, count(error_message) AS errors FROM stride.jobs;
RESET ROLE;

SELECT invariant, detail FROM stride.check_invariants() WHERE NOT ok;
DROP TABLE steered, picky;
DROP PROCEDURE await;
DROP OWNED BY regress_stride_own, regress_stride_monitor;
DROP ROLE regress_stride_own, regress_stride_monitor;
