-- What an error does to a job, by its SQLSTATE: tried again, in smaller chunks, paused, failed, or kept aside with its row.
SET stride.progress_interval = 0;
CREATE SCHEMA classes;
SET search_path = classes, public;
-- Waits until jobs stand where they will, at most 30 s.
CREATE PROCEDURE await(query text) LANGUAGE plpgsql AS $$
DECLARE
    reached boolean;
BEGIN
    FOR i IN 1 .. 600 LOOP
        EXECUTE query INTO reached;
        IF reached THEN RETURN; END IF;
        COMMIT;
        PERFORM pg_sleep(0.05);
    END LOOP;
    RAISE EXCEPTION 'waited in vain for: %', query;
END $$;

-- Raises the SQLSTATE as often as it is told, counted by a sequence, which no rollback takes back; then it is good.
CREATE TABLE one AS SELECT 1 AS id;
ALTER TABLE one ADD PRIMARY KEY (id);
CREATE TABLE class (code text PRIMARY KEY, times int, meaning text);
INSERT INTO class VALUES
    ('40001', 2, 'serialization failure'), ('40P01', 2, 'deadlock'), ('08006', 2, 'connection of a foreign table'),
    ('72000', 2, 'snapshot too old'), ('55P03', 2, 'lock timeout'), ('55006', 2, 'object in use'), ('53100', 2, 'disk full'),
    ('53300', 2, 'too many connections'), ('54001', 2, 'stack depth'), ('53200', 2, 'out of memory'),
    ('40P02', 1, 'an unknown code'), ('57P01', 2, 'another server that ends'), ('57014', 1, 'cancelled by whom?'),
    ('25006', 1, 'read-only server'), ('58030', 1, 'I/O error'), ('XX000', 1, 'internal error'), ('XX001', 1, 'corruption'),
    ('42P01', 1, 'no such table'), ('0A000', 1, 'not supported'), ('28000', 1, 'authorization'), ('3D000', 1, 'no such database'),
    ('3F000', 1, 'no such schema'), ('2D000', 1, 'a transform that commits'), ('26000', 1, 'our own bug'), ('24000', 1, 'our own bug'),
    ('25P01', 1, 'our own bug'), ('54011', 1, 'too many columns'), ('22012', 9, 'division by zero'), ('23505', 9, 'unique violation'),
    ('23503', 9, 'foreign key violation'), ('P0001', 9, 'raised'), ('21000', 9, 'a second hit on one row'), ('54000', 9, 'row too big');
DO $$BEGIN EXECUTE (SELECT string_agg(format('CREATE SEQUENCE %I', 'calls_' || code), ';') FROM class); END$$;
CREATE FUNCTION raises(code text, times int) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    IF nextval(format('%I', 'calls_' || code)) <= times THEN RAISE EXCEPTION 'error' USING ERRCODE = code; END IF;
END $$;
CREATE FUNCTION calls(code text) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    n bigint;
BEGIN
    EXECUTE format('SELECT last_value FROM %I', 'calls_' || code) INTO n;
    RETURN n;
END $$;
SELECT count(stride.submit(format('SELECT raises(%L, %s) FROM one', code, times), name => code, on_error => 'skip', workers => 1,
                           settings => '{"retry_delay": "1ms", "retry_limit": 3}')) AS submitted FROM class;
CALL await($$SELECT count(*) = 0 FROM stride.jobs WHERE state IN ('queued', 'running', 'pausing', 'failing')$$);
SELECT c.code, c.meaning, calls(c.code), j.state, j.retries, j.rows_rejected AS rejected, j.error_sqlstate AS error, j.state_reason
FROM class AS c JOIN stride.jobs AS j ON j.name = c.code ORDER BY j.job_id;

-- A passing error that does not pass: after retry_limit tries the job pauses; a resume tries as often again.
SELECT stride.submit('SELECT raises(''40001'', 9) FROM one', name => 'stubborn', on_error => 'skip', workers => 1,
                     settings => '{"retry_delay": "1ms", "retry_limit": 3}') AS job \gset
SELECT setval('"calls_40001"', 1, false);
CALL await('SELECT state = ''paused'' FROM stride.jobs WHERE name = ''stubborn''');
SELECT calls('40001'), state, state_reason, retries, rows_rejected FROM stride.jobs WHERE name = 'stubborn';
SELECT stride.resume(:job);
CALL await('SELECT state = ''paused'' AND retries = 6 FROM stride.jobs WHERE name = ''stubborn''');
SELECT stride.resume(:job);
CALL await('SELECT state = ''succeeded'' FROM stride.jobs WHERE name = ''stubborn''');
SELECT calls('40001'), retries FROM stride.jobs WHERE name = 'stubborn';

-- The wait before the next try doubles; splits and progress show it.  The clock of schedules is moved on.
SELECT setval('"calls_40P01"', 1, false);
SELECT stride.submit('SELECT raises(''40P01'', 2) FROM one', name => 'waits', settings => '{"retry_delay": "20s"}') AS job \gset
CALL await('SELECT attempts = 1 FROM stride.splits JOIN stride.jobs USING (job_id) WHERE name = ''waits''');
SELECT s.state, s.attempts, s.last_error, p.last_error, s.not_before - now() BETWEEN '10 s' AND '22.5 s' AS soon
FROM stride.splits AS s JOIN stride.progress AS p USING (job_id) WHERE job_id = :job;
CALL await('SELECT waiting_for ~ ''^another try in [0-9]+ s, after 1 failed: 40P01: error$'' FROM stride.progress WHERE name = ''waits''');
ALTER SYSTEM SET stride.test_clock_offset = '30s';
SELECT pg_reload_conf();
CALL await('SELECT attempts = 2 FROM stride.splits JOIN stride.jobs USING (job_id) WHERE name = ''waits''');
SELECT s.not_before - now() BETWEEN '60 s' AND '75 s' AS later FROM stride.splits AS s WHERE job_id = :job;
ALTER SYSTEM SET stride.test_clock_offset = '90s';
SELECT pg_reload_conf();
CALL stride.wait(:job, '30 s');
SELECT state, attempts, not_before, last_error, retries FROM stride.splits WHERE job_id = :job;
ALTER SYSTEM RESET stride.test_clock_offset;
SELECT pg_reload_conf();

-- Out of memory, and conflicts that stay: the chunk gets smaller until it goes through.
CREATE TABLE many AS SELECT id FROM generate_series(1, 800) AS id;
ALTER TABLE many ADD PRIMARY KEY (id);
CREATE TABLE seen (id int PRIMARY KEY);
CREATE FUNCTION too_many() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF (SELECT count(*) > TG_ARGV[1]::int AND min(id) <= TG_ARGV[2]::int FROM fresh) THEN RAISE EXCEPTION 'too many' USING ERRCODE = TG_ARGV[0]; END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER too_many AFTER INSERT ON seen REFERENCING NEW TABLE AS fresh FOR EACH STATEMENT EXECUTE FUNCTION too_many('53200', 10, 800);
CALL stride.run('INSERT INTO seen SELECT id FROM many', name => 'memory', chunk_rows => 80, workers => 1);
SELECT j.rows_written, max(c.rows_read) AS largest, j.retries FROM stride.jobs AS j JOIN stride.chunks AS c USING (job_id)
WHERE name = 'memory' GROUP BY j.rows_written, j.retries;
TRUNCATE seen;
DROP TRIGGER too_many ON seen;
CREATE TRIGGER too_many AFTER INSERT ON seen REFERENCING NEW TABLE AS fresh FOR EACH STATEMENT EXECUTE FUNCTION too_many('40001', 60, 1);
CALL stride.run('INSERT INTO seen SELECT id FROM many', name => 'conflict', chunk_rows => 80, workers => 1,
                settings => '{"retry_delay": "1ms"}');
SELECT j.rows_written, j.retries, min(c.rows_read) FILTER (WHERE c.split = 1 AND c.chunk = 1) AS first, max(c.rows_read) AS largest
FROM stride.jobs AS j JOIN stride.chunks AS c USING (job_id) WHERE name = 'conflict' GROUP BY j.rows_written, j.retries;

-- 57014 by cause.  An operator's cancel pauses the job; a stop that we asked for does not count as one.
CREATE FUNCTION sleeps(id int) RETURNS int LANGUAGE plpgsql AS $$BEGIN IF id = 40 THEN PERFORM pg_sleep(600); END IF; RETURN id; END$$;
SELECT stride.submit('SELECT sleeps(id) FROM many', name => 'operator', on_error => 'skip', chunk_rows => 8, workers => 1) AS job \gset
CALL await('SELECT count(*) = 1 FROM pg_stat_activity WHERE wait_event = ''PgSleep'' AND backend_type = ''pg_stride worker''');
SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE wait_event = 'PgSleep' AND backend_type = 'pg_stride worker';
CALL await('SELECT state = ''paused'' FROM stride.jobs WHERE name = ''operator''');
SELECT state_reason, rows_read, rows_rejected FROM stride.jobs WHERE name = 'operator';
SELECT stride.resume(:job);
CALL await('SELECT count(*) = 1 FROM pg_stat_activity WHERE wait_event = ''PgSleep'' AND backend_type = ''pg_stride worker''');
SELECT stride.pause(:job);
CALL await('SELECT state = ''pausing'' FROM stride.jobs WHERE name = ''operator''');
SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE wait_event = 'PgSleep' AND backend_type = 'pg_stride worker';
CALL await('SELECT state = ''paused'' FROM stride.jobs WHERE name = ''operator''');
SELECT state_reason, rows_read, rows_rejected FROM stride.jobs WHERE name = 'operator';
SELECT stride.cancel(:job);
CALL await('SELECT state = ''cancelled'' FROM stride.jobs WHERE name = ''operator''');

-- Our own time limit: smaller chunks, then the slow row alone, which is rejected or named.
CALL stride.run('SELECT sleeps(id) FROM many', name => 'slow row', on_error => 'skip', chunk_rows => 64, workers => 1,
                settings => '{"chunk_timeout": "100ms"}');
SELECT state, rows_read, rows_rejected FROM stride.jobs WHERE name = 'slow row';
SELECT row_key, sqlstate, message FROM stride.rejects WHERE job_id = stride.job_id('slow row');
\set VERBOSITY sqlstate
CALL stride.run('SELECT sleeps(id) FROM many', name => 'slow row named', chunk_rows => 64, workers => 1, settings => '{"chunk_timeout": "100ms"}');
\set VERBOSITY default
SELECT error_message, split_part(error_context, E'\n', -2) AS named FROM stride.jobs WHERE name = 'slow row named';

-- An error while the job is planned: the same table.  The policy of the table that is sampled raises it.
CREATE ROLE regress_stride_planned LOGIN;
GRANT USAGE ON SCHEMA stride, classes TO regress_stride_planned;
GRANT ALL ON ALL SEQUENCES IN SCHEMA classes TO regress_stride_planned;
CREATE TABLE guarded AS SELECT 1 AS id, 0 AS n;
ALTER TABLE guarded ADD PRIMARY KEY (id);
ALTER TABLE guarded OWNER TO regress_stride_planned;
ALTER TABLE guarded ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE FUNCTION lets_through() RETURNS boolean LANGUAGE plpgsql SET search_path = classes AS $$
BEGIN
    PERFORM raises(current_setting('planned.code'), current_setting('planned.times')::int);
    RETURN true;
END $$;
CREATE POLICY raises ON guarded USING (lets_through());
DO $$BEGIN EXECUTE (SELECT string_agg(format('ALTER SEQUENCE %I RESTART', 'calls_' || code), ';') FROM class); END$$;
CREATE FUNCTION submit_planned(code text, times int) RETURNS bigint LANGUAGE plpgsql AS $$
BEGIN
    PERFORM set_config('planned.code', code, false), set_config('planned.times', times::text, false);
    RETURN stride.submit('UPDATE guarded SET n = n + 1', name => 'planned ' || code, settings => '{"retry_delay": "1ms", "retry_limit": 3}');
END $$;
SET ROLE regress_stride_planned;
SELECT count(submit_planned(code, times)) AS submitted
FROM (VALUES ('40001', 2), ('08006', 2), ('55P03', 2), ('53100', 2), ('53200', 2), ('40P01', 9),
             ('57014', 1), ('25006', 1), ('58030', 1), ('42P01', 1), ('22012', 1)) AS planned(code, times);
RESET ROLE;
CALL await($$SELECT count(*) = 0 FROM stride.jobs WHERE state IN ('queued', 'running', 'pausing', 'failing')$$);
SELECT right(name, 5) AS code, state, chunks, error_sqlstate AS error, state_reason,
       CASE WHEN state <> 'succeeded' THEN calls(right(name, 5)) END AS tries
FROM stride.jobs WHERE name LIKE 'planned %' ORDER BY job_id;
-- A resume tries as often again, and the wait is shown.
SELECT job_id AS job FROM stride.jobs WHERE name = 'planned 40P01' \gset
SELECT stride.alter(:job, settings => '{"retry_delay": "20s"}');
SELECT stride.resume(:job);
CALL await('SELECT waiting_for ~ ''^another try in [0-9]+ s, after 1 failed: 40P01: error$'' FROM stride.progress WHERE name = ''planned 40P01''');
SELECT setval('"calls_40P01"', 9);
ALTER SYSTEM SET stride.test_clock_offset = '30s';
SELECT pg_reload_conf();
CALL stride.wait(:job, '30 s');
SELECT state, chunks FROM stride.jobs WHERE name = 'planned 40P01';
ALTER SYSTEM RESET stride.test_clock_offset;
SELECT pg_reload_conf();

SELECT invariant, detail FROM stride.check_invariants() WHERE NOT ok;
SET client_min_messages = warning;
DROP SCHEMA classes CASCADE;
DROP OWNED BY regress_stride_planned;
DROP ROLE regress_stride_planned;
