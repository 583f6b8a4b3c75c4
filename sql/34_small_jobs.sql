-- Small jobs: few splits, no halves that are not worth it, no commit for a claim alone; and how many workers a job begins with.
SET stride.progress_interval = 0;
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
CREATE TABLE small AS SELECT id, 0 AS n FROM generate_series(1, 3000) AS id;
ALTER TABLE small ADD PRIMARY KEY (id);
CREATE TABLE large AS SELECT id, 0 AS n FROM generate_series(1, 30000) AS id;
ALTER TABLE large ADD PRIMARY KEY (id);
ANALYZE small, large;

-- Without a number, the job chooses it: one worker for a small table, up to one a core for another.
SHOW stride.workers;
SELECT value FROM stride.explain('UPDATE small SET n = 1') WHERE item = 'workers';
SELECT value ~ '^automatic \([1-9][0-9]* now\)$' AS chosen FROM stride.explain('UPDATE large SET n = 1') WHERE item = 'workers';
SELECT value FROM stride.explain('UPDATE small SET n = 1', workers => 3) WHERE item = 'workers';
SET stride.workers = 2;
SELECT value FROM stride.explain('UPDATE small SET n = 1') WHERE item = 'workers';
RESET stride.workers;

-- Splits: two a worker where there are few rows.  Nobody halves one that is done in one chunk.
CALL stride.run('UPDATE small SET n = n + 1', name => 'four', workers => 2, chunk_rows => 1000);
SELECT name, splits, rows_read FROM stride.jobs AS j, LATERAL (SELECT count(*) AS splits FROM stride.splits AS s WHERE s.job_id = j.job_id) AS s
WHERE name = 'four';
SELECT n, count(*) FROM small GROUP BY n;

-- The last chunk of a split claims the next one: at its commit, one worker has both.  A stop gives the next one back.  The worker
-- begins once it knows where to wait.
ALTER SYSTEM SET stride.test_point = 'before_commit:wait';
SELECT pg_reload_conf();
SELECT stride.submit('UPDATE small SET n = n + 1', name => 'chained', workers => 1, chunk_rows => 10000, settings =>
    $${"throttle_query": "SELECT (current_setting('stride.test_point') = '')::int"}$$) AS job \gset
CALL await('SELECT count(*) = 1 FROM pg_stat_activity WHERE backend_type = ''pg_stride worker'' AND wait_event = ''Extension''
            AND (SELECT count(*) = 1 FROM stride.workers WHERE phase = ''checkpointing'')');
SELECT split, state FROM stride.splits WHERE job_id = :job ORDER BY split;
SELECT count(*) AS free FROM (SELECT FROM stride_catalog.split WHERE job_id = :job FOR UPDATE SKIP LOCKED) AS free;
SELECT stride.pause(:job);
CALL await('SELECT state = ''pausing'' FROM stride.jobs WHERE name = ''chained''');
ALTER SYSTEM RESET stride.test_point;
SELECT pg_reload_conf();
CALL await('SELECT state = ''paused'' FROM stride.jobs WHERE name = ''chained''');
SELECT split, state, attempts FROM stride.splits WHERE job_id = :job ORDER BY split;
SELECT stride.alter(:job, settings => '{"throttle_query": null}');
SELECT stride.resume(:job);
CALL stride.wait(:job, '30 s');
SELECT n, count(*) FROM small GROUP BY n;
SELECT invariant, detail FROM stride.check_invariants() WHERE NOT ok;
DROP TABLE small, large;
DROP PROCEDURE await;
