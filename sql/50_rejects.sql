-- Bad rows: every kind of error that a row can lead to, kept aside with on_error => 'skip' and named with 'fail'; what that
-- costs; the limits and the breaker; the accounts.
SET stride.progress_interval = 0;
CREATE SCHEMA rejects;
SET search_path = rejects, public;

-- One bad row of each kind, in one table.  Rows 1 to 300 are good but for the multiples of 31.
CREATE TABLE colour (name text PRIMARY KEY);
INSERT INTO colour VALUES ('red');
CREATE TABLE source AS
    SELECT id, 'red' AS colour, id AS amount, id::text AS digits, id AS code, id AS deferred_code, int4range(id, id + 1) AS period
    FROM generate_series(1, 300) AS id;
ALTER TABLE source ADD PRIMARY KEY (id);
UPDATE source SET code = 1 WHERE id = 31;
UPDATE source SET colour = 'blue' WHERE id = 62;
UPDATE source SET amount = -1 WHERE id = 93;
UPDATE source SET amount = NULL WHERE id = 124;
UPDATE source SET deferred_code = 2 WHERE id = 155;
UPDATE source SET digits = 'twelve' WHERE id = 186;
UPDATE source SET digits = '99' WHERE id = 217;
UPDATE source SET digits = '77' WHERE id = 248;
UPDATE source SET period = int4range(3, 9) WHERE id = 279;
CREATE TABLE target (
    id int PRIMARY KEY,
    colour text REFERENCES colour DEFERRABLE INITIALLY DEFERRED,
    amount int NOT NULL CHECK (amount >= 0),
    digits int,
    code int CONSTRAINT code_once UNIQUE,
    deferred_code int CONSTRAINT deferred_once UNIQUE DEFERRABLE INITIALLY DEFERRED,
    period int4range,
    CONSTRAINT no_overlap EXCLUDE USING gist (period WITH &&));
CREATE FUNCTION checked(digits int, id int) RETURNS int LANGUAGE plpgsql AS $$
BEGIN
    IF digits = 99 AND id <> 99 THEN
        RAISE EXCEPTION 'no % here', digits USING DETAIL = 'A detail.', HINT = 'A hint.', ERRCODE = 'P0123';
    END IF;
    RETURN digits;
END $$;
CREATE FUNCTION refuse_77() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.digits = 77 AND NEW.id <> 77 THEN RAISE EXCEPTION 'the trigger does not want %', NEW.digits; END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER refuse_77 AFTER INSERT ON target FOR EACH ROW EXECUTE FUNCTION refuse_77();

\set insert 'INSERT INTO target SELECT id, colour, amount, checked(digits::int, id), code, deferred_code, period FROM source'
CALL stride.run(:'insert', name => 'skips', on_error => 'skip', chunk_rows => 64, workers => 1);
SELECT state, state_reason, rows_read, rows_written, rows_rejected, error_message, on_error, reject_limit, reject_percent
FROM stride.jobs WHERE name = 'skips';
SELECT r.row_key, r.sqlstate, r.message, r.detail, r.hint, r.schema_name, r.table_name, r.column_name, r.constraint_name, r.attempt
FROM stride.rejects AS r WHERE r.job_id = stride.job_id('skips') ORDER BY (r.row_key[1])::int;
SELECT r.row_data FROM stride.rejects AS r WHERE r.row_key = '{186}';
-- Each was written with the checkpoint that passes it: the chunk of the reject ends at its row.
SELECT count(*) AS rejects, count(*) FILTER (WHERE c.upper_key = r.row_key AND c.rows_rejected = 1 AND c.rows_read = 0) AS chunks
FROM stride.rejects AS r JOIN stride.chunks AS c USING (job_id, split, chunk);
SELECT count(*), count(*) FILTER (WHERE id % 31 = 0) AS bad FROM target;

-- The same without 'skip': each resume comes to the next bad row, which the error names; nothing is done twice.
TRUNCATE target;
CREATE FUNCTION next_error(job bigint) RETURNS text LANGUAGE sql AS
    $$SELECT concat_ws(' | ', error_sqlstate, error_message, split_part(error_context, E'\n', -2)) FROM stride.jobs WHERE job_id = job$$;
\set VERBOSITY sqlstate
CALL stride.run(:'insert', name => 'fails', chunk_rows => 64, workers => 1);
SELECT next_error(stride.job_id('fails'));
DELETE FROM source WHERE id = 31;
CALL stride.run(:'insert', name => 'fails', if_exists => 'resume');
SELECT next_error(stride.job_id('fails'));
SELECT rows_read, rows_written, rows_rejected FROM stride.jobs WHERE name = 'fails';
SELECT count(*), max(id) FROM target;
\set VERBOSITY default

-- UPDATE and DELETE: read = written + filtered + rejected.
CREATE TABLE counted AS SELECT id, id % 50 AS divisor, 0 AS n FROM generate_series(1, 1000) AS id;
ALTER TABLE counted ADD PRIMARY KEY (id);
CALL stride.run('UPDATE counted SET n = 100 / divisor WHERE id % 4 < 3', name => 'update', on_error => 'skip', chunk_rows => 100);
SELECT state, rows_read, rows_written, rows_filtered, rows_rejected FROM stride.jobs WHERE name = 'update';
CREATE TABLE holds (id int REFERENCES counted);
INSERT INTO holds VALUES (10), (500), (501), (1000);
CALL stride.run('DELETE FROM counted', name => 'delete', on_error => 'skip', chunk_rows => 100);
SELECT state, rows_read, rows_written, rows_filtered, rows_rejected FROM stride.jobs WHERE name = 'delete';
SELECT id FROM counted ORDER BY id;

-- What it costs: attempts are the chunks that were committed and those that failed.  A bad row costs at most twice the
-- logarithm of a chunk, whatever the share of bad rows.
CREATE TABLE share (id int PRIMARY KEY, bad boolean);
CREATE FUNCTION fails_if(bad boolean) RETURNS boolean LANGUAGE plpgsql AS
    $$BEGIN IF bad THEN RAISE EXCEPTION 'bad'; END IF; RETURN bad; END$$;
CREATE PROCEDURE cost(bad_rows text, job_name text) LANGUAGE plpgsql AS $$
BEGIN
    TRUNCATE share;
    EXECUTE format('INSERT INTO share SELECT id, %s FROM generate_series(1, 2048) AS id', bad_rows);
    COMMIT;
    CALL stride.run('SELECT fails_if(bad) FROM share', name => job_name, on_error => 'skip', reject_percent => 100,
                    chunk_rows => 256, workers => 1);
END $$;
CALL cost('false', 'none');
CALL cost('id = 1500', 'one');
CALL cost('id % 100 = 7', '1 percent');
CALL cost('id % 10 = 7', '10 percent');
CALL cost('id % 2 = 0', '50 percent');
CALL cost('true', 'all');
SELECT name, state, rows_read, rows_rejected,
       chunks - rows_rejected + retries <= 2 * rows_rejected * log(2, 256) + splits.chunks_at_best AS within_bound
FROM stride.jobs JOIN LATERAL (SELECT sum(rows_read / 256 + 1) AS chunks_at_best FROM stride.splits AS s
                               WHERE s.job_id = jobs.job_id) AS splits ON true
WHERE name IN ('none', 'one', '1 percent', '10 percent', '50 percent', 'all') ORDER BY job_id;
SELECT name, chunks - rows_rejected + retries < 5 * rows_rejected AS few FROM stride.jobs WHERE name IN ('50 percent', 'all') ORDER BY job_id;

-- Limits: for the whole job, exact with many workers; what was done stays, and a resume goes on from there.
CREATE TABLE limited (id int PRIMARY KEY);
\set VERBOSITY sqlstate
CALL stride.run('INSERT INTO limited SELECT id FROM share WHERE NOT fails_if(bad)', name => 'limit', on_error => 'skip', reject_limit => 10,
                chunk_rows => 16, workers => 4);
SELECT state, rows_rejected, rows_written = (SELECT count(*) FROM limited) AS kept, error_message FROM stride.jobs WHERE name = 'limit';
UPDATE share SET bad = false WHERE id > 20;
-- A limit that was too low is raised.
SELECT stride.job_id('limit') AS job \gset
SELECT stride.alter(:job, reject_limit => 30, reject_percent => 3);
SELECT stride.resume(:job);
CALL stride.wait(:job);
SELECT state, rows_rejected BETWEEN 20 AND 30 AS within, rows_written = (SELECT count(*) FROM limited) AS kept, reject_limit, reject_percent FROM stride.jobs WHERE name = 'limit';
TRUNCATE limited;
CALL stride.run('UPDATE share SET bad = fails_if(bad)', name => 'not reached', on_error => 'skip', reject_limit => 20, workers => 4);
CALL stride.run('INSERT INTO limited SELECT id FROM share WHERE NOT fails_if(bad)', name => 'percent', on_error => 'skip', reject_percent => 0.5,
                chunk_rows => 16, workers => 1);
SELECT name, state, rows_rejected, error_detail IS NULL AS no_error FROM stride.jobs WHERE name IN ('not reached', 'percent') ORDER BY job_id;
-- The breaker: the first 300 are all bad; over half of a thousand are bad; half of them is not over half.
UPDATE share SET bad = true;
CALL stride.run('SELECT fails_if(bad) FROM share', name => 'all bad', on_error => 'skip', chunk_rows => 100, workers => 2);
UPDATE share SET bad = id % 5 > 1;
CALL stride.run('SELECT fails_if(bad) FROM share', name => 'mostly bad', on_error => 'skip', chunk_rows => 100, workers => 1);
UPDATE share SET bad = id % 2 = 0;
CALL stride.run('SELECT fails_if(bad) FROM share', name => 'half bad', on_error => 'skip', chunk_rows => 100, workers => 1);
\set VERBOSITY default
SELECT name, state, rows_rejected, regexp_replace(error_detail, '\d+ of \d+', 'N of M') AS error_detail FROM stride.jobs
WHERE name IN ('all bad', 'mostly bad', 'half bad') ORDER BY job_id;
-- After mending, a resume goes on where it stopped.
UPDATE share SET bad = false;
CALL stride.run('SELECT fails_if(bad) FROM share', name => 'all bad', if_exists => 'resume');
SELECT state, rows_read, rows_rejected FROM stride.jobs WHERE name = 'all bad';

-- A row without a jsonb form, and columns that the owner may not read, do not keep a row from being passed.
CREATE ROLE regress_stride_clerk LOGIN;
GRANT USAGE ON SCHEMA stride, rejects TO regress_stride_clerk;
CREATE TYPE odd AS ENUM ('a');
CREATE FUNCTION odd_to_json(odd) RETURNS json LANGUAGE plpgsql AS $$BEGIN RAISE EXCEPTION 'no json'; END$$;
CREATE CAST (odd AS json) WITH FUNCTION odd_to_json(odd);
CREATE TABLE secretive (id int PRIMARY KEY, digits text, secret odd);
INSERT INTO secretive VALUES (1, 'one', 'a'), (2, '2', 'a');
CREATE TABLE numbers (n int);
CALL stride.run('INSERT INTO numbers SELECT digits::int FROM secretive', name => 'no json', on_error => 'skip');
GRANT SELECT (id, digits) ON secretive TO regress_stride_clerk;
GRANT INSERT ON numbers TO regress_stride_clerk;
SET ROLE regress_stride_clerk;
CALL stride.run('INSERT INTO numbers SELECT digits::int FROM secretive', name => 'clerk', on_error => 'skip');
SELECT row_key, row_data FROM stride.rejects;
SELECT count(*) FROM stride.jobs;
RESET ROLE;
SELECT j.name, r.row_key, r.row_data FROM stride.rejects AS r JOIN stride.jobs AS j USING (job_id) WHERE j.name IN ('no json', 'clerk')
ORDER BY j.job_id;
SELECT * FROM numbers;

-- Rejects keep a job from being forgotten.
SELECT stride.job_id('no json') AS job \gset
\set VERBOSITY sqlstate
SELECT stride.forget(:job);
\set VERBOSITY default

SELECT item, value FROM stride.explain('DELETE FROM limited') WHERE item = 'on error';
SELECT item, value FROM stride.explain('DELETE FROM limited', on_error => 'skip', reject_limit => 5) WHERE item = 'on error';
SELECT item, value FROM stride.explain('DELETE FROM limited', on_error => 'skip', reject_percent => 2.5) WHERE item = 'on error';
SELECT invariant, detail FROM stride.check_invariants() WHERE NOT ok;
SET client_min_messages = warning;
DROP OWNED BY regress_stride_clerk;
DROP ROLE regress_stride_clerk;
DROP SCHEMA rejects CASCADE;
