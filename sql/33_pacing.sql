-- Pacing: what the settings take, and throttles that need no other session: rates, nice, a query, a window, max_rows.
SET stride.progress_interval = 0;
CREATE TABLE paced (id int PRIMARY KEY, n int DEFAULT 0);
INSERT INTO paced (id) SELECT generate_series(1, 1000);

-- Waits until a query answers true, at most 20 s.
CREATE PROCEDURE await(question text) LANGUAGE plpgsql AS $$
DECLARE
    answer boolean;
BEGIN
    FOR i IN 1 .. 400 LOOP
        EXECUTE 'SELECT ' || question INTO answer;
        IF answer THEN RETURN; END IF;
        COMMIT;
        PERFORM pg_sleep(0.05);
    END LOOP;
    RAISE EXCEPTION 'not so: % (%)', question, (SELECT string_agg(format('%s %s %s', job_id, state, waiting_for), ', ') FROM stride.progress);
END $$;
CREATE FUNCTION waits(job bigint, reason text) RETURNS boolean LANGUAGE sql AS
    $$ SELECT EXISTS (SELECT FROM stride.progress WHERE job_id = job AND waiting_for LIKE reason) $$;
CREATE FUNCTION is(job bigint, wanted text) RETURNS boolean LANGUAGE sql AS
    $$ SELECT state = wanted FROM stride.jobs WHERE job_id = job $$;

-- Every setting of pacing.
SELECT name, type, "default", unit FROM stride.settings
WHERE name ~ '^(max_|nice|pause|throttle|time_window|lag)' ORDER BY name;

-- Values: each with its own words for what is wrong and what to write.
CREATE FUNCTION refused(settings jsonb) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    code text;
    message text;
    detail text;
    hint text;
BEGIN
    PERFORM * FROM stride.explain('UPDATE paced SET n = 1', settings => settings);
    RETURN 'accepted';
EXCEPTION WHEN OTHERS THEN
    GET STACKED DIAGNOSTICS code = RETURNED_SQLSTATE, message = MESSAGE_TEXT, detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT;
    RETURN code || ': ' || message || E'\n' || detail || E'\n' || hint;
END $$;
\t on
\a
SELECT s || E'\n' || refused(s::jsonb) || E'\n' FROM unnest(ARRAY[
    '{"nice": 0.5}', '{"nice": "2"}', '{"nice": -1}', '{"nice": 101}', '{"nice": "NaN"}', '{"nice": "much"}', '{"nice": true}',
    '{"max_wal_bytes_per_second": "16MB"}', '{"max_wal_bytes_per_second": "4GB"}', '{"max_wal_bytes_per_second": "16 stones"}',
    '{"max_archive_backlog": "1TB"}', '{"max_replication_lag": "1h"}', '{"max_replication_lag": "1GB"}', '{"max_run_time": "8h"}',
    '{"time_window": "22:00-06:00"}', '{"time_window": ""}', '{"time_window": "at night"}', '{"time_window": "06:00-06:00"}', '{"time_window": 6}',
    '{"throttle_query": "SELECT 1"}', '{"throttle_query": "SELEKT 1"}', '{"throttle_query": "SELECT 1; SELECT 2"}',
    '{"throttle_query": "DELETE FROM paced"}', '{"throttle_query": ["SELECT 1"]}',
    '{"lag_standbys": "a, b"}', '{"lag_standbys": "a,,b"}', '{"lag_standbys": ""}', '{"pause_for_vacuum": "yes"}', '{"pause_for_vacuum": 3}']) AS s;
SET stride.time_window = 'never';
SET stride.lag_standbys = ',';
SET stride.nice = 101;
SET stride.throttle_query = 'SELECT 1';
\t off
\a

-- A query that holds, then lets go; a job without a transaction while it waits.
CREATE TABLE brake AS SELECT 3 AS pressure;
SELECT stride.submit('UPDATE paced SET n = n + 1', workers => 2, chunk_rows => 100,
                     settings => '{"throttle_query": "SELECT pressure FROM brake"}') AS job \gset
CALL await(format('waits(%s, %L)', :job, 'throttle_query: it returned 3, limit 0'));
CALL await(format('NOT EXISTS (SELECT FROM pg_stat_activity WHERE application_name = %L AND (xact_start IS NOT NULL OR backend_xmin IS NOT NULL))', 'pg_stride job ' || :job));
SELECT rows_done, nullif(rows_per_second, 0) AS rows_per_second, eta FROM stride.progress WHERE job_id = :job; -- 0 if a second has passed
SELECT bool_or(phase = 'waiting') AS shown_as_waiting FROM stride.workers WHERE job_id = :job;
UPDATE brake SET pressure = 0;
CALL stride.wait(:job, '20 s');
-- Altered while it holds: seen by workers that wait.
UPDATE brake SET pressure = 1;
SELECT stride.submit('UPDATE paced SET n = n + 1', workers => 1, chunk_rows => 100,
                     settings => '{"throttle_query": "SELECT pressure > 0 FROM brake"}') AS job \gset
CALL await(format('waits(%s, %L)', :job, 'throttle_query: it returned 1, limit 0'));
SELECT stride.alter(:job, settings => '{"throttle_query": null}');
CALL stride.wait(:job, '20 s');
-- What the query may not do: write, commit, leave something behind, take its time.  It holds only once it was lost for long.
CREATE FUNCTION writes() RETURNS int LANGUAGE sql AS 'DELETE FROM paced; SELECT 1';
CREATE FUNCTION commits() RETURNS int LANGUAGE plpgsql AS 'BEGIN COMMIT; RETURN 1; END';
CREATE FUNCTION leaves() RETURNS int LANGUAGE sql AS $$ SELECT set_config('search_path', 'nowhere', false); SELECT 0 $$;
SELECT count(stride.submit('UPDATE paced SET n = n + 1', name => q, chunk_rows => 100,
                           settings => jsonb_build_object('throttle_query', q, 'throttle_query_timeout', '10ms')))
FROM unnest(ARRAY['SELECT writes()', 'SELECT commits()', 'SELECT leaves()', 'SELECT pg_sleep(60)', 'SELECT nothing', $$SELECT 'words'$$]) AS q;
CALL await('NOT EXISTS (SELECT FROM stride.jobs WHERE state IN (''queued'', ''running''))');
SELECT name, state FROM stride.jobs WHERE name LIKE 'SELECT %' ORDER BY job_id;
SELECT n, count(*) FROM paced GROUP BY n;

-- Rates hold for the whole job: 800 rows at 400 a second take 2 s, less what is saved up and the last chunk.
SELECT stride.submit('UPDATE paced SET n = 0 WHERE id <= 800', workers => 3, chunk_rows => 20,
                     settings => '{"max_rows_per_second": 400}') AS job \gset
CALL await(format('waits(%s, %L)', :job, 'max_rows_per_second: next chunk in % ms, limit 400'));
CALL stride.wait(:job, '20 s');
SELECT finished_at - started_at > interval '1.5 s' AS slow_enough, wait_ms > 1000 AS waits_counted FROM stride.jobs WHERE job_id = :job;
SELECT max(rows_read) FROM stride.chunks WHERE job_id = :job;
SELECT stride.submit('UPDATE paced SET n = 1', workers => 2, chunk_rows => 10,
                     settings => '{"max_wal_bytes_per_second": "16kB"}') AS job \gset
CALL await(format('waits(%s, %L)', :job, 'max_wal_bytes_per_second: next chunk in % ms, limit 16384'));
SELECT stride.alter(:job, settings => '{"max_wal_bytes_per_second": 0, "nice": 100}');
CALL await(format('waits(%s, %L)', :job, 'nice: next chunk in % ms, the last took % ms'));
SELECT stride.alter(:job, settings => '{"nice": null}');
CALL stride.wait(:job, '20 s');

-- max_rows: exactly so many, a run at a time.  The run's end is a pause like any other.
SELECT stride.submit('UPDATE paced SET n = 2', workers => 3, chunk_rows => 70, settings => '{"max_rows": 400}') AS job \gset
CALL await(format('is(%s, %L)', :job, 'paused'));
SELECT state_reason, rows_read FROM stride.jobs WHERE job_id = :job;
SELECT waiting_for FROM stride.progress WHERE job_id = :job;
SELECT stride.resume(:job);
CALL await(format('(SELECT rows_read > 400 FROM stride.jobs WHERE job_id = %s) AND is(%s, %L)', :job, :job, 'paused'));
SELECT rows_read FROM stride.jobs WHERE job_id = :job;
SELECT stride.resume(:job);
CALL stride.wait(:job, '20 s');
SELECT n, count(*) FROM paced GROUP BY n;

-- max_run_time ends a run that waits, too.
UPDATE brake SET pressure = 1;
SELECT stride.submit('UPDATE paced SET n = 3', settings => '{"throttle_query": "TABLE brake", "max_run_time": "1s"}') AS job \gset
CALL await(format('is(%s, %L)', :job, 'paused'));
SELECT regexp_replace(state_reason, '\d+', 'N') FROM stride.jobs WHERE job_id = :job;
SELECT stride.cancel(:job);
CALL await(format('is(%s, %L)', :job, 'cancelled'));

-- A window that is closed now: the job waits in the queue, or gives its workers' places to others.
SELECT to_char(clock_timestamp() + interval '2 h', 'HH24:MI') || '-' || to_char(clock_timestamp() + interval '3 h', 'HH24:MI') AS later,
       to_char(clock_timestamp() - interval '2 h', 'HH24:MI') || '-' || to_char(clock_timestamp() + interval '2 h', 'HH24:MI') AS now \gset
SELECT stride.submit('UPDATE paced SET n = 4', settings => jsonb_build_object('time_window', :'later')) AS job \gset
CALL await(format('waits(%s, %L)', :job, 'time_window: %:% in % is outside %'));
SELECT state, workers FROM stride.progress WHERE job_id = :job;
SELECT stride.alter(:job, settings => jsonb_build_object('time_window', :'now', 'throttle_query', 'TABLE brake'));
CALL await(format('waits(%s, %L)', :job, 'throttle_query: %'));
SELECT stride.alter(:job, settings => jsonb_build_object('time_window', :'later'));
CALL await(format('waits(%s, %L) AND (SELECT workers = 0 FROM stride.progress WHERE job_id = %s)', :job, 'time_window: %', :job));
SELECT state FROM stride.jobs WHERE job_id = :job;
SELECT stride.alter(:job, settings => '{"time_window": null, "throttle_query": null}');
CALL stride.wait(:job, '20 s');
-- By the submitter's clock: a zone twelve hours on has its window.
SET TimeZone = 'Etc/GMT-14';
SELECT to_char(clock_timestamp() - interval '1 h', 'HH24:MI') || '-' || to_char(clock_timestamp() + interval '1 h', 'HH24:MI') AS here \gset
CALL stride.run('UPDATE paced SET n = 5', settings => jsonb_build_object('time_window', :'here'));
RESET TimeZone;
-- A default of the submitter's session comes along.
SET stride.max_rows = 600;
SELECT stride.submit('UPDATE paced SET n = 6', chunk_rows => 50) AS job \gset
RESET stride.max_rows;
CALL await(format('is(%s, %L)', :job, 'paused'));
SELECT rows_read, state_reason FROM stride.jobs WHERE job_id = :job;
SELECT stride.alter(:job, settings => '{"max_rows": 0}');
SELECT stride.resume(:job);
CALL stride.wait(:job, '20 s');

-- Workers up and down while it runs; down lets chunks end.
UPDATE brake SET pressure = 1;
SELECT stride.submit('UPDATE paced SET n = 7', workers => 1, chunk_rows => 10, settings => '{"throttle_query": "TABLE brake"}') AS job \gset
CALL await(format('waits(%s, %L)', :job, 'throttle_query: %'));
SELECT stride.alter(:job, workers => 3);
CALL await(format('(SELECT workers = 3 AND workers_wanted = 3 FROM stride.progress WHERE job_id = %s)', :job));
SELECT stride.alter(:job, workers => 1, chunk_rows => 300);
CALL await(format('(SELECT workers = 1 AND workers_wanted = 1 FROM stride.progress WHERE job_id = %s)', :job));
UPDATE brake SET pressure = 0;
CALL stride.wait(:job, '20 s');
SELECT max(rows_read) > 10 AS larger FROM stride.chunks WHERE job_id = :job;
SELECT n, count(*) FROM paced GROUP BY n;

SELECT invariant, detail FROM stride.check_invariants() WHERE NOT ok;
DROP TABLE paced, brake;
DROP FUNCTION waits, is, refused, writes, commits, leaves;
DROP PROCEDURE await;
