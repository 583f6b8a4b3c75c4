-- Over 10,000 chunks by the bulk sink, by the executor with conflicts, and with bad rows on the way: the worker's memory stays as it
-- was after its first chunks.  Run by scripts/test --asan; each line of output begins with ok or not ok.
SET client_min_messages = error;
CREATE EXTENSION IF NOT EXISTS pg_stride;
CREATE SCHEMA soak;
SET search_path = soak, public;
CREATE TABLE source AS SELECT g AS id, 'row ' || g AS v, repeat('x', g % 3000) AS w FROM generate_series(1, 20000) AS g;
ALTER TABLE source ADD PRIMARY KEY (id);
CREATE TABLE copied (id int PRIMARY KEY, v text, w text, d int GENERATED ALWAYS AS (id * 2) STORED, CHECK (d > 0));
CREATE INDEX ON copied (v);
CREATE TABLE merged (id int PRIMARY KEY, v text, n int DEFAULT 0);
INSERT INTO merged (id) SELECT g * 2 FROM generate_series(1, 5000) AS g;
CREATE TABLE picky (id int PRIMARY KEY CHECK (id % 500 <> 0), v text);

-- What the operating system says that the job's worker has for itself, in kB; NULL when there is no worker.
CREATE FUNCTION worker_kb(job bigint) RETURNS bigint LANGUAGE plpgsql AS $$
BEGIN
    RETURN (SELECT substring(pg_read_file(format('/proc/%s/status', pid)) FROM 'RssAnon:\s+(\d+) kB')::bigint FROM stride.workers WHERE job_id = job LIMIT 1);
EXCEPTION WHEN undefined_file THEN
    RETURN NULL;
END $$;

CREATE PROCEDURE soak(what text, statement text, wanted text, on_error text DEFAULT 'fail') LANGUAGE plpgsql AS $$
DECLARE
    job bigint := stride.submit(statement, workers => 1, chunk_rows => 5, on_error => on_error);
    done bigint;
    kb bigint;
    early bigint;
    late bigint;
    ended stride.jobs;
BEGIN
    LOOP
        COMMIT;
        PERFORM pg_sleep(0.05);
        SELECT * INTO ended FROM stride.jobs WHERE job_id = job;
        EXIT WHEN ended.finished_at IS NOT NULL;
        CONTINUE WHEN ended.chunks < 500;
        kb := worker_kb(job);
        early := coalesce(early, kb);
        late := coalesce(kb, late);
    END LOOP;
    RAISE INFO '% - % (%) ended as % after % chunks: %', CASE WHEN ended.state = wanted AND ended.chunks >= 3000 THEN 'ok' ELSE 'not ok' END, what, ended.sink, ended.state, ended.chunks, coalesce(ended.error_message, 'no error');
    RAISE INFO '% - % grew its worker from % kB to % kB, by less than 2 MB', CASE WHEN late - early < 2048 THEN 'ok' ELSE 'not ok' END, what, early, late;
END $$;

\set SHOW_CONTEXT never
\set VERBOSITY terse
CALL soak('a copy', 'INSERT INTO copied SELECT id, upper(v), w FROM source', 'succeeded');
CALL soak('an upsert', 'INSERT INTO merged SELECT id, v FROM source ON CONFLICT (id) DO UPDATE SET v = excluded.v, n = merged.n + 1', 'succeeded');
CALL soak('a copy with bad rows', 'INSERT INTO picky SELECT id, v FROM source', 'succeeded_with_rejects', 'skip');
SELECT CASE WHEN (SELECT count(*) FROM copied) = 20000 AND (SELECT count(*) FROM merged) = 20000 AND (SELECT sum(n) FROM merged) = 5000 AND (SELECT count(*) FROM picky) = 19960 THEN 'ok' ELSE 'not ok' END || ' - every row is there';
SELECT CASE WHEN bool_and(ok) THEN 'ok' ELSE 'not ok' END || ' - the invariants hold' FROM stride.check_invariants();
SELECT CASE WHEN pg_read_file(format('/proc/%s/maps', pg_backend_pid())) ~ 'libasan' THEN 'ok' ELSE 'not ok' END || ' - the runtime watches the server';
DROP SCHEMA soak CASCADE;
