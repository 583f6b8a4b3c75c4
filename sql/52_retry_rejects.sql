-- Rejects driven again: what passes leaves them, what fails again stays with its new error, nothing else is touched.
SET stride.progress_interval = 0;
CREATE SCHEMA retry;
SET search_path = retry, public;
CREATE TABLE source (tenant int NOT NULL, id int NOT NULL, digits text);
CREATE UNIQUE INDEX ON source (tenant, id DESC);
INSERT INTO source SELECT g % 3, g, CASE WHEN g % 4 = 0 THEN 'x' ELSE g::text END FROM generate_series(1, 1000) AS g;
CREATE TABLE target (id int PRIMARY KEY, n int);
CALL stride.run('INSERT INTO target SELECT id, digits::int FROM source', name => 'first', on_error => 'skip', reject_percent => 50,
                settings => '{"chunk_time": "10ms"}');
SELECT stride.job_id('first') AS job \gset
SELECT state, rows_read, rows_written, rows_rejected FROM stride.jobs WHERE job_id = :job;

-- 250 rejects: 100 are mended, 20 are deleted, 10 get another error; the good rows change too, which must not matter.
UPDATE source SET digits = (id + 1)::text WHERE digits = 'x' AND id <= 400;
DELETE FROM source WHERE digits = 'x' AND id <= 480;
UPDATE source SET digits = '99999999999' WHERE digits = 'x' AND id <= 520;
UPDATE source SET digits = 'good no more' WHERE id % 4 <> 0;
SELECT stride.retry_rejects(:job) AS retry \gset
CALL stride.wait(:retry);
SELECT name, kind, statement, walk, state, rows_read, rows_written, rows_rejected, on_error, retry_of = :job AS retries_first FROM stride.jobs
WHERE job_id = :retry;
SELECT sqlstate, attempt, count(*), min((row_key[2])::int), max((row_key[2])::int), min(row_data->>'digits') AS digits
FROM stride.rejects WHERE job_id = :job GROUP BY sqlstate, attempt ORDER BY sqlstate;
SELECT count(*), count(*) FILTER (WHERE n = id) AS first, count(*) FILTER (WHERE n = id + 1) AS mended FROM target;
SELECT event, detail = format('retries the rejects of job %s', :job) AS detail FROM stride.events WHERE job_id = :retry ORDER BY event_at LIMIT 1;

-- Again, by the id of the retry; then all are gone, and so may the job be.
UPDATE source SET digits = (id + 1)::text WHERE id % 4 = 0;
SELECT stride.retry_rejects(:retry) AS again \gset
CALL stride.wait(:again);
SELECT state, rows_read, rows_written, rows_rejected, retry_of = :job AS retries_first FROM stride.jobs WHERE job_id = :again;
SELECT count(*) FROM stride.rejects WHERE job_id = :job;
SELECT count(*), count(*) FILTER (WHERE n = id) AS first, count(*) FILTER (WHERE n = id + 1) AS mended FROM target;
SELECT stride.forget(:job);

-- No row is walked but the rejected ones.
SELECT sum(rows_read) AS rows_read FROM stride.chunks WHERE job_id = :again;

-- An UPDATE: the rows that were good the first time are not touched again.
CREATE TABLE counted AS SELECT id, 1 AS divisor, 0 AS n FROM generate_series(1, 500) AS id;
ALTER TABLE counted ADD PRIMARY KEY (id);
UPDATE counted SET divisor = 0 WHERE id % 2 = 0;
CALL stride.run('UPDATE counted SET n = n + 1 / divisor', name => 'update to retry', on_error => 'skip', workers => 4, chunk_rows => 50);
UPDATE counted SET divisor = 1 WHERE id <= 250;
SELECT stride.retry_rejects(stride.job_id('update to retry')) AS retry \gset
CALL stride.wait(:retry);
SELECT state, rows_read, rows_written, rows_filtered, rows_rejected FROM stride.jobs WHERE job_id = :retry;
SELECT n, count(*) FROM counted GROUP BY n;
-- One retry at a time.
BEGIN;
SELECT stride.retry_rejects(stride.job_id('update to retry')) IS NOT NULL AS submitted;
\set VERBOSITY sqlstate
SELECT stride.retry_rejects(stride.job_id('update to retry'));
ROLLBACK;
\set VERBOSITY default

-- Pipelines: a row that is rejected stays in the source that it was to be moved from, and is moved by the retry.
CREATE TABLE inbox (id int PRIMARY KEY, digits text);
INSERT INTO inbox SELECT g, CASE WHEN g % 100 = 0 THEN 'x' ELSE g::text END FROM generate_series(1, 1000) AS g;
CREATE TABLE archive (id int PRIMARY KEY, digits int);
CREATE FUNCTION parsed(inbox) RETURNS archive LANGUAGE sql AS 'SELECT $1.id, $1.digits::int';
SELECT stride.register_transform('parse', 'parsed(inbox)');
CALL stride.run_pipeline('archive', source => 'inbox', transform => 'parse', delete_source => true, name => 'move', on_error => 'skip');
SELECT state, rows_read, rows_written, rows_rejected FROM stride.jobs WHERE name = 'move';
SELECT (SELECT count(*) FROM inbox) AS inbox, (SELECT count(*) FROM archive) AS archive;
UPDATE inbox SET digits = '0' WHERE id <= 500;
SELECT stride.retry_rejects(stride.job_id('move')) AS retry \gset
CALL stride.wait(:retry);
SELECT kind, walk, state, rows_read, rows_written, rows_rejected FROM stride.jobs WHERE job_id = :retry;
SELECT (SELECT count(*) FROM inbox) AS inbox, (SELECT count(*) FROM archive) AS archive, (SELECT count(*) FROM archive WHERE digits = 0) AS mended;
CREATE TABLE totals (id int PRIMARY KEY, digits int CHECK (digits <> 77));
INSERT INTO totals SELECT g, -1 FROM generate_series(1, 500) AS g;
CALL stride.run_pipeline('totals', source => 'archive', on_conflict => 'update', name => 'upsert', on_error => 'skip', chunk_rows => 64);
SELECT state, rows_read, rows_written, rows_rejected FROM stride.jobs WHERE name = 'upsert';
SELECT r.row_key, r.sqlstate, r.constraint_name FROM stride.rejects AS r WHERE r.job_id = stride.job_id('upsert');

-- What is refused.
CREATE FUNCTION outcome(command text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    detail text;
    hint text;
BEGIN
    EXECUTE command;
    RETURN 'no error';
EXCEPTION WHEN OTHERS THEN
    GET STACKED DIAGNOSTICS detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT;
    RETURN regexp_replace(concat_ws(E'\n', SQLSTATE || ' ' || SQLERRM, detail, hint), 'job \d+|job_id = \d+|\(\d+\)', '<id>', 'g');
END $$;
SELECT outcome('SELECT stride.retry_rejects(NULL)');
SELECT outcome('SELECT stride.retry_rejects(-1)');
CALL stride.run('UPDATE counted SET n = 0', name => 'good');
SELECT outcome(format('SELECT stride.retry_rejects(%s)', stride.job_id('good')));
SELECT outcome(format('SELECT stride.forget(%s)', stride.job_id('update to retry')));
CREATE ROLE regress_stride_else LOGIN;
GRANT USAGE ON SCHEMA stride, retry TO regress_stride_else;
SELECT stride.unregister_transform('parse');
SELECT stride.job_id('update to retry') AS job \gset
SET ROLE regress_stride_else;
SELECT count(*) FROM stride.rejects;
SELECT outcome(format('SELECT stride.retry_rejects(%s)', :job));
RESET ROLE;

-- Given up: the rejects go, and then the job may go too.
BEGIN;
SELECT stride.discard_rejects(:job);
SELECT stride.forget(:job);
COMMIT;
DO $$
BEGIN
    FOR i IN 1 .. 400 LOOP
        EXIT WHEN NOT EXISTS (SELECT FROM stride.jobs WHERE name = 'update to retry');
        COMMIT;
        PERFORM pg_sleep(0.05);
    END LOOP;
END $$;
SELECT (SELECT count(*) FROM stride.jobs WHERE job_id = :job) AS jobs, (SELECT count(*) FROM stride.rejects WHERE job_id = :job) AS rejects;
SELECT outcome('SELECT stride.discard_rejects(-1)');

SELECT invariant, detail FROM stride.check_invariants() WHERE NOT ok;
SET client_min_messages = warning;
DROP OWNED BY regress_stride_else;
DROP ROLE regress_stride_else;
DROP SCHEMA retry CASCADE;
