-- Where the time of a job goes: the phase that something slow is in takes more time than all others together.
SET client_min_messages = warning;
SET stride.progress_interval = 0;
CREATE SCHEMA phases;
SET search_path = phases, public;

CREATE TABLE source AS SELECT generate_series(1, 200) AS id;
ALTER TABLE source ADD PRIMARY KEY (id);
CREATE TABLE target (id int, v text);
CREATE FUNCTION nap(id int) RETURNS int LANGUAGE plpgsql IMMUTABLE AS $$BEGIN PERFORM pg_sleep(0.002); RETURN id; END$$;
CREATE FUNCTION nap_rows(id int) RETURNS SETOF int LANGUAGE plpgsql STABLE ROWS 1 AS $$BEGIN RETURN QUERY SELECT nap(id); END$$;
CREATE FUNCTION nap_in_trigger() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN PERFORM pg_sleep(0.002); RETURN new; END$$;

CREATE PROCEDURE slowest(what text, statement text, ddl text DEFAULT 'SELECT', sink text DEFAULT 'auto') LANGUAGE plpgsql AS $$
DECLARE
    job bigint;
    taken text;
    found text;
BEGIN
    DROP TABLE target;
    CREATE TABLE target (id int, v text);
    EXECUTE ddl;
    COMMIT;
    job := stride.submit(statement, workers => 1, chunk_rows => 70, if_exists => 'new', settings => jsonb_build_object('sink', sink));
    COMMIT;
    FOR i IN 1 .. 1000 LOOP
        EXIT WHEN EXISTS (SELECT FROM stride.jobs WHERE job_id = job AND finished_at IS NOT NULL);
        COMMIT;
        PERFORM pg_sleep(0.02);
    END LOOP;
    SELECT coalesce(string_agg(p.phase, ''), 'none of them') INTO found
    FROM stride.jobs AS j, LATERAL (VALUES ('plan', plan_ms), ('read', read_ms), ('transform', transform_ms), ('write', write_ms), ('index', index_ms), ('checkpoint', checkpoint_ms), ('commit', commit_ms), ('wait', wait_ms)) AS p (phase, ms)
    WHERE job_id = job AND ms > (plan_ms + read_ms + transform_ms + write_ms + index_ms + checkpoint_ms + commit_ms + wait_ms) / 2;
    SELECT j.sink INTO taken FROM stride.jobs AS j WHERE job_id = job;
    RAISE WARNING '% (%): %', what, taken, found;
END $$;

CALL slowest('an expression', 'INSERT INTO target SELECT id, pg_sleep(0.002)::text FROM source');
CALL slowest('an expression, by the executor', 'INSERT INTO target SELECT id, pg_sleep(0.002)::text FROM source', sink => 'statement');
CALL slowest('an expression of an UPDATE', 'UPDATE target SET v = nap(id)', 'ALTER TABLE target ADD PRIMARY KEY (id); INSERT INTO target SELECT id FROM source');
CALL slowest('a function of SELECT', 'SELECT pg_sleep(0.002 + id * 0) FROM source');
CALL slowest('a function in FROM', 'INSERT INTO target SELECT s.id, n FROM source AS s, nap_rows(s.id) AS n');
CALL slowest('a set in the select list', 'INSERT INTO target SELECT id, nap_rows(id) FROM source');
CALL slowest('a subquery in the select list', 'INSERT INTO target SELECT id, (SELECT max(n) FROM nap_rows(s.id) AS n) FROM source AS s');
CALL slowest('a condition', 'INSERT INTO target SELECT id FROM source WHERE pg_sleep(0.002) IS NOT NULL');
CALL slowest('a check', 'INSERT INTO target SELECT id FROM source', 'ALTER TABLE target ADD CHECK (nap(id) > 0)');
CALL slowest('a trigger before the row', 'INSERT INTO target SELECT id FROM source', 'CREATE TRIGGER t BEFORE INSERT ON target FOR EACH ROW EXECUTE FUNCTION nap_in_trigger()');
CALL slowest('a trigger after the row', 'INSERT INTO target SELECT id FROM source', 'CREATE TRIGGER t AFTER INSERT ON target FOR EACH ROW EXECUTE FUNCTION nap_in_trigger()');
CALL slowest('a deferred trigger', 'INSERT INTO target SELECT id FROM source', 'CREATE CONSTRAINT TRIGGER t AFTER INSERT ON target INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION nap_in_trigger()');
CALL slowest('an index', 'INSERT INTO target SELECT id FROM source', 'CREATE INDEX ON target (nap(id))');
CALL slowest('an index, by the executor', 'INSERT INTO target SELECT id FROM source', 'CREATE INDEX ON target (nap(id))', 'statement');

-- The job's times are those of its splits; a chunk's commit is counted with the worker's next chunk.
SELECT bool_and(j.write_ms > 0 AND j.commit_ms > 0 AND abs(j.write_ms - s.write_ms) < 0.001 AND abs(j.index_ms - c.index_ms) < 0.001
                AND abs(j.read_ms - c.read_ms) < 0.001 AND abs(j.transform_ms - c.transform_ms) < 0.001 AND abs(j.commit_ms - c.commit_ms) < 0.001
                AND abs(j.wait_ms - c.wait_ms) < 0.001) AS add_up,
       bool_and(j.wal_bytes > 0 AND j.wal_bytes = c.wal_bytes AND j.rows_read = c.rows_read AND j.rows_written = c.rows_written) AS so_do_others
FROM stride.jobs AS j
     CROSS JOIN LATERAL (SELECT sum(write_ms) AS write_ms FROM stride.splits AS s WHERE s.job_id = j.job_id) AS s
     CROSS JOIN LATERAL (SELECT sum(index_ms) AS index_ms, sum(read_ms) AS read_ms, sum(transform_ms) AS transform_ms, sum(commit_ms) AS commit_ms, sum(wait_ms) AS wait_ms,
                               sum(wal_bytes) AS wal_bytes, sum(rows_read) AS rows_read, sum(rows_written) AS rows_written FROM stride.chunks AS c WHERE c.job_id = j.job_id) AS c
WHERE j.target = 'phases.target';

RESET search_path;
DROP SCHEMA phases CASCADE;
