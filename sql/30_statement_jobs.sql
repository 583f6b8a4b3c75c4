-- Every kind of statement as a job in small chunks by two workers, against the plain statement: the same rows (A4).
SET client_min_messages = warning;
SET stride.progress_interval = 0;

CREATE SCHEMA jobs;
SET search_path = jobs, public;

-- Two equal tables: the plain statement changes "plain", the job changes "job".
CREATE TABLE orders (id bigint PRIMARY KEY, customer text NOT NULL, amount numeric, region int);
INSERT INTO orders SELECT g, 'Customer ' || g, g * 1.5, g % 7 FROM generate_series(1, 2000) AS g;
CREATE TABLE regions (region int PRIMARY KEY, label text);
INSERT INTO regions SELECT g, 'region ' || g FROM generate_series(0, 4) AS g;

-- Runs `statement` plainly with %T = plain, and as a job with %T = job; prints how many rows differ.
CREATE TABLE outcome (differences bigint);
CREATE PROCEDURE compare(statement text, keep boolean DEFAULT false) LANGUAGE plpgsql AS $$
DECLARE
    differences bigint;
    state text;
    job_rows bigint;
BEGIN
    IF NOT keep THEN
        DROP TABLE IF EXISTS plain, job;
        CREATE TABLE plain (id bigint PRIMARY KEY, customer text, amount numeric, region int DEFAULT 9, label text);
        INSERT INTO plain (id, customer, amount, region) SELECT id, customer, amount, region FROM orders WHERE id % 2 = 0;
        CREATE TABLE job (LIKE plain INCLUDING ALL);
        INSERT INTO job SELECT * FROM plain;
    END IF;
    EXECUTE replace(statement, '%T', 'plain');
    COMMIT;
    CALL stride.run(replace(statement, '%T', 'job'), chunk_rows => 83, workers => 2, if_exists => 'new');
    SELECT j.state, j.rows_read INTO state, job_rows FROM stride.jobs AS j ORDER BY job_id DESC LIMIT 1;
    SELECT count(*) INTO differences FROM (
        (TABLE plain EXCEPT ALL TABLE job) UNION ALL (TABLE job EXCEPT ALL TABLE plain)) AS d;
    RAISE WARNING '%: % differences, % driving rows, % rows', state, differences, job_rows, (SELECT count(*) FROM job);
END $$;

CALL compare($$INSERT INTO %T (id, customer, amount) SELECT id + 10000, upper(customer), amount * 2 FROM orders$$);
CALL compare($$INSERT INTO %T (id, customer, label) SELECT o.id + 10000, o.customer, r.label FROM orders o LEFT JOIN regions r USING (region) WHERE o.amount > 100$$);
CALL compare($$INSERT INTO %T (id, customer) SELECT id, customer FROM orders ON CONFLICT (id) DO UPDATE SET label = 'again ' || excluded.customer$$);
CALL compare($$INSERT INTO %T (id, customer) SELECT id, customer FROM orders ON CONFLICT DO NOTHING$$);
CALL compare($$INSERT INTO %T (id, amount) SELECT region + 20000, sum(amount) FROM orders GROUP BY region ON CONFLICT (id) DO UPDATE SET amount = %T.amount + excluded.amount$$);
CALL compare($$WITH big AS (SELECT * FROM orders WHERE amount > 500) INSERT INTO %T (id, customer) SELECT id + 10000, customer FROM big$$);
CALL compare($$WITH r AS (TABLE regions), o AS (TABLE orders), unread AS (TABLE o) INSERT INTO %T (id, customer) SELECT id + 10000, customer FROM (WITH unread AS (TABLE r), r AS (SELECT 1) SELECT * FROM o WHERE region < (WITH r AS (TABLE regions) SELECT 5)) AS s$$);
CALL compare($$UPDATE %T SET customer = lower(customer), amount = amount + 1 WHERE id % 3 = 0$$);
CALL compare($$UPDATE %T AS t SET label = r.label FROM regions AS r WHERE r.region = t.region$$);
CALL compare($$DELETE FROM %T WHERE id % 5 = 1 OR amount < 300$$);
CALL compare($$DELETE FROM %T AS t USING regions AS r WHERE r.region = t.region AND r.label LIKE '%3'$$);
CALL compare($$MERGE INTO %T AS t USING orders AS o ON t.id = o.id WHEN MATCHED AND o.region = 3 THEN DELETE WHEN MATCHED THEN UPDATE SET label = 'merged' WHEN NOT MATCHED THEN INSERT (id, customer) VALUES (o.id, o.customer)$$);
CALL compare($$MERGE INTO %T AS t USING (orders AS o LEFT JOIN regions AS r ON r.region = o.region) ON t.id = o.id WHEN MATCHED AND o.region > 1 THEN UPDATE SET label = length(o::text)::text || coalesce(r::text, '') WHEN NOT MATCHED THEN INSERT (id) VALUES (o.id)$$);

-- SELECT f(..) over a table: each row once.
CREATE TABLE seen (id bigint);
CREATE FUNCTION note(bigint) RETURNS void LANGUAGE sql AS 'INSERT INTO jobs.seen VALUES ($1)';
CALL stride.run('SELECT note(id) FROM orders WHERE region < 3', chunk_rows => 83);
SELECT count(*), count(DISTINCT id), (SELECT count(*) FROM orders WHERE region < 3) AS wanted FROM seen;

-- Triggers fire for each row, and constraints that are deferred are checked in each chunk.
CREATE TABLE log (id bigint, op text);
CREATE FUNCTION log_row() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN INSERT INTO jobs.log VALUES (new.id, tg_op); RETURN new; END$$;
CREATE TABLE audited (id bigint PRIMARY KEY, parent bigint REFERENCES orders DEFERRABLE INITIALLY DEFERRED, n int DEFAULT 0);
CREATE TRIGGER audit AFTER INSERT OR UPDATE ON audited FOR EACH ROW EXECUTE FUNCTION log_row();
CALL stride.run('INSERT INTO audited (id, parent) SELECT id, id FROM orders', chunk_rows => 83);
CALL stride.run('UPDATE audited SET n = n + 1', chunk_rows => 83);
SELECT op, count(*), count(DISTINCT id) FROM log GROUP BY op ORDER BY op;
SELECT n, count(*) FROM audited GROUP BY n;
\set VERBOSITY sqlstate
CALL stride.run('INSERT INTO audited (id, parent) SELECT id + 10000, id + (CASE WHEN id = 1999 THEN 10000 ELSE 0 END) FROM orders', chunk_rows => 83, workers => 1);
\set VERBOSITY default
SELECT state, error_sqlstate, error_message FROM stride.jobs ORDER BY job_id DESC LIMIT 1;
SELECT count(*) >= 1900 AS chunks_before_are_kept, bool_and(id <= 11999) AS none_after FROM audited WHERE id > 10000;

-- Time is frozen at the submission; a setting of the session and its search_path reach the functions that are called.
CREATE TABLE stamped (id bigint PRIMARY KEY, at timestamptz, path text, zone text, search text, custom text);
CREATE FUNCTION setting(name text) RETURNS text LANGUAGE plpgsql STABLE AS $$BEGIN RETURN current_setting(name, true); END$$;
SET TimeZone = 'Asia/Tokyo';
SET default_text_search_config = 'german';
SET app.tenant = 'blue';
CALL stride.run($$INSERT INTO stamped SELECT id, now(), setting('search_path'), setting('TimeZone'), to_tsvector('liefen')::text, setting('app.tenant') FROM orders$$, chunk_rows => 100);
SELECT count(*), count(DISTINCT at) AS times, min(path) AS path, min(zone) AS zone, min(search) AS search, min(custom) AS custom FROM stamped GROUP BY path, zone, search, custom;
RESET TimeZone;
RESET default_text_search_config;

-- An empty source, and one of a single row.
CREATE TABLE nothing (id int PRIMARY KEY);
CREATE TABLE one (id int PRIMARY KEY, n int);
INSERT INTO one VALUES (7, 0);
CALL stride.run('DELETE FROM nothing');
CALL stride.run('UPDATE one SET n = n + 1');
SELECT * FROM one;
SELECT state, rows_read, rows_written, chunks FROM stride.jobs ORDER BY job_id DESC LIMIT 2;

SELECT invariant, detail FROM stride.check_invariants() WHERE NOT ok;
RESET search_path;
DROP SCHEMA jobs CASCADE;
