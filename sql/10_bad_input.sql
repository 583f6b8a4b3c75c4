-- What a user may get wrong: one line an input, then the error that it gets and its SQLSTATE.  Each names the next thing
-- to do.  Nothing crashes, nothing is left behind: the last section counts.
\set VERBOSITY default
\pset format unaligned
\pset tuples_only on
SET stride.progress_interval = 0;
CREATE ROLE regress_stride_app LOGIN;
CREATE ROLE regress_stride_other LOGIN;
CREATE ROLE regress_stride_no_login;
GRANT USAGE ON SCHEMA stride TO regress_stride_app, regress_stride_other, regress_stride_no_login;
CREATE SCHEMA bad_input;
GRANT ALL ON SCHEMA bad_input TO regress_stride_app, regress_stride_other;
SET search_path = bad_input, public;
SET ROLE regress_stride_other;
CREATE TABLE not_yours (id int PRIMARY KEY, email text);
SET ROLE regress_stride_app;
CREATE TABLE orders (id int PRIMARY KEY, email text);
CREATE TABLE orders_clean (id int PRIMARY KEY, email text);
CREATE TABLE dropped (id int PRIMARY KEY, email text);
DROP TABLE dropped;
CREATE TABLE no_key (id int, email text);
CREATE VIEW orders_view AS SELECT * FROM orders;
INSERT INTO orders SELECT g, 'User' || g FROM generate_series(1, 10) AS g;

-- No statement, no single statement, no SQL
SELECT stride.submit(NULL); \echo :SQLSTATE
SELECT stride.submit(''); \echo :SQLSTATE
SELECT stride.submit(E' \n\t'); \echo :SQLSTATE
SELECT stride.submit('-- nothing but a comment'); \echo :SQLSTATE
SELECT stride.submit(';'); \echo :SQLSTATE
SELECT stride.submit('UPDAET orders SET email = 1'); \echo :SQLSTATE
SELECT stride.submit('UPDATE orders SET email = ''open'); \echo :SQLSTATE
SELECT stride.submit('UPDATE orders SET email = $1'); \echo :SQLSTATE
SELECT stride.submit('DELETE FROM orders; DELETE FROM orders_clean'); \echo :SQLSTATE
\set VERBOSITY terse
SELECT stride.submit(repeat('(', 100000)); \echo :SQLSTATE
\set VERBOSITY default
SELECT * FROM stride.explain(NULL); \echo :SQLSTATE
SELECT * FROM stride.explain('nonsense'); \echo :SQLSTATE

-- Commands that are no INSERT .. SELECT, UPDATE, DELETE, MERGE or SELECT f(..)
SELECT stride.submit('VACUUM orders'); \echo :SQLSTATE
SELECT stride.submit('TRUNCATE orders'); \echo :SQLSTATE
SELECT stride.submit('DROP TABLE orders'); \echo :SQLSTATE
SELECT stride.submit('CREATE TABLE more AS SELECT * FROM orders'); \echo :SQLSTATE
SELECT stride.submit('COPY orders TO STDOUT'); \echo :SQLSTATE
SELECT stride.submit('EXPLAIN DELETE FROM orders'); \echo :SQLSTATE
SELECT stride.submit('COMMIT'); \echo :SQLSTATE
SELECT stride.submit('CALL stride.run(''DELETE FROM orders'')'); \echo :SQLSTATE
SELECT stride.submit('SET ROLE regress_stride_other'); \echo :SQLSTATE
SELECT stride.submit('INSERT INTO orders VALUES (11, ''x'')'); \echo :SQLSTATE
SELECT stride.submit('SELECT 1'); \echo :SQLSTATE
SELECT stride.submit('SELECT * FROM orders'); \echo :SQLSTATE

-- Tables that are gone, that are none, that have no key, that are another role's
SELECT stride.submit('DELETE FROM dropped'); \echo :SQLSTATE
SELECT stride.submit('DELETE FROM orders WHERE nothing = 1'); \echo :SQLSTATE
SELECT stride.submit('DELETE FROM orders_view'); \echo :SQLSTATE
SELECT stride.submit('UPDATE no_key SET email = ''x'''); \echo :SQLSTATE
SELECT stride.submit('DELETE FROM pg_catalog.pg_class'); \echo :SQLSTATE
SELECT stride.submit('DELETE FROM stride_catalog.job'); \echo :SQLSTATE
SELECT stride.submit('DELETE FROM not_yours'); \echo :SQLSTATE
SELECT stride.submit('INSERT INTO orders_clean SELECT * FROM not_yours'); \echo :SQLSTATE
SELECT * FROM stride.explain('UPDATE not_yours SET email = NULL'); \echo :SQLSTATE

SET ROLE regress_stride_no_login;
SELECT stride.submit('SELECT abs(id) FROM bad_input.orders'); \echo :SQLSTATE
SET ROLE regress_stride_app;

-- Arguments out of their range
SELECT stride.submit('DELETE FROM orders', workers => -1); \echo :SQLSTATE
SELECT stride.submit('DELETE FROM orders', workers => 1025); \echo :SQLSTATE
SET stride.workers = 1025; \echo :SQLSTATE
SELECT stride.submit('DELETE FROM orders', workers => 2147483647); \echo :SQLSTATE
SELECT stride.submit('DELETE FROM orders', workers => 99999999999); \echo :SQLSTATE
SELECT stride.submit('DELETE FROM orders', chunk_rows => -1); \echo :SQLSTATE
SELECT stride.submit('DELETE FROM orders', chunk_rows => 2147483647); \echo :SQLSTATE
SELECT stride.submit('DELETE FROM orders', if_exists => 'maybe'); \echo :SQLSTATE
SELECT stride.submit('DELETE FROM orders', if_exists => NULL); \echo :SQLSTATE
SELECT stride.submit('DELETE FROM orders', walk => 'zigzag'); \echo :SQLSTATE
SELECT stride.submit('DELETE FROM orders', walk => NULL); \echo :SQLSTATE
SELECT stride.submit('DELETE FROM orders', walk => 'block'); \echo :SQLSTATE
SELECT stride.submit('DELETE FROM orders', on_error => 'explode'); \echo :SQLSTATE
SELECT stride.submit('DELETE FROM orders', on_error => NULL); \echo :SQLSTATE
SELECT stride.submit('DELETE FROM orders', reject_limit => 1); \echo :SQLSTATE
SELECT stride.submit('DELETE FROM orders', reject_percent => 1); \echo :SQLSTATE
SELECT stride.submit('DELETE FROM orders', on_error => 'skip', reject_limit => -1); \echo :SQLSTATE
SELECT stride.submit('DELETE FROM orders', on_error => 'skip', reject_percent => -0.1); \echo :SQLSTATE
SELECT stride.submit('DELETE FROM orders', on_error => 'skip', reject_percent => 100.1); \echo :SQLSTATE
SELECT stride.submit('DELETE FROM orders', on_error => 'skip', reject_percent => 'NaN'); \echo :SQLSTATE
SELECT * FROM stride.explain('DELETE FROM orders', on_error => 'explode'); \echo :SQLSTATE
SELECT stride.submit('DELETE FROM orders', source => 'nobody'); \echo :SQLSTATE
SELECT stride.submit('DELETE FROM orders', key => '{nothing}'); \echo :SQLSTATE
SELECT stride.submit('DELETE FROM orders', key => '{}'); \echo :SQLSTATE
SELECT stride.submit('DELETE FROM orders', key => '{NULL}'); \echo :SQLSTATE
SELECT stride.submit('DELETE FROM orders', key => '{email}'); \echo :SQLSTATE
SELECT stride.submit('DELETE FROM orders', depends_on => '{-1}'); \echo :SQLSTATE
SELECT stride.submit('DELETE FROM orders', depends_on => '{NULL}'); \echo :SQLSTATE
SELECT stride.submit('DELETE FROM orders', name => ''); \echo :SQLSTATE

-- Settings: unknown keys name the nearest one, bad values the range
\set VERBOSITY terse
SELECT stride.submit('DELETE FROM orders', settings => 'no json'); \echo :SQLSTATE
\set VERBOSITY default
SELECT stride.submit('DELETE FROM orders', settings => '[]'); \echo :SQLSTATE
SELECT stride.submit('DELETE FROM orders', settings => '{"chunk_tiem": 100}'); \echo :SQLSTATE
SELECT stride.submit('DELETE FROM orders', settings => '{"": 100}'); \echo :SQLSTATE
SELECT stride.submit('DELETE FROM orders', settings => '{"it''s \"odd\"\n🐘": 1}'); \echo :SQLSTATE
SELECT stride.submit('DELETE FROM orders', settings => '{"chunk_time": -1}'); \echo :SQLSTATE
SELECT stride.submit('DELETE FROM orders', settings => '{"chunk_time": 1e300}'); \echo :SQLSTATE
SELECT stride.submit('DELETE FROM orders', settings => '{"chunk_time": "NaN"}'); \echo :SQLSTATE
SELECT stride.submit('DELETE FROM orders', settings => '{"chunk_time": "3 parsecs"}'); \echo :SQLSTATE
SELECT stride.submit('DELETE FROM orders', settings => '{"chunk_time": "1d"}'); \echo :SQLSTATE
SELECT stride.submit('DELETE FROM orders', settings => '{"chunk_time": [100]}'); \echo :SQLSTATE
SELECT stride.submit('DELETE FROM orders', settings => '{"retry_limit": {}}'); \echo :SQLSTATE
SELECT stride.submit('DELETE FROM orders', settings => '{"retry_limit": 99999999999}'); \echo :SQLSTATE
SELECT stride.submit('DELETE FROM orders', settings => '{"freeze_time": 3}'); \echo :SQLSTATE
SELECT stride.submit('DELETE FROM orders', settings => '{"delivery": "twice"}'); \echo :SQLSTATE
SELECT * FROM stride.explain('DELETE FROM orders', settings => '{"lock_timeout": true}'); \echo :SQLSTATE
\set VERBOSITY sqlstate
SET stride.chunk_time = '1d'; -- the server's own message, which differs between its versions
\set VERBOSITY default
SET stride.no_such_setting = 1; \echo :SQLSTATE
SET stride.max_workers_per_role = 1000; \echo :SQLSTATE
SET stride.enabled = off; \echo :SQLSTATE

-- Ids that are none
SELECT stride.pause(NULL); \echo :SQLSTATE
SELECT stride.resume(NULL); \echo :SQLSTATE
SELECT stride.cancel(NULL); \echo :SQLSTATE
SELECT stride.alter(NULL, workers => 1); \echo :SQLSTATE
SELECT stride.forget(NULL); \echo :SQLSTATE
SELECT stride.job_id(NULL); \echo :SQLSTATE
CALL stride.wait(NULL); \echo :SQLSTATE
SELECT stride.pause(-1); \echo :SQLSTATE
SELECT stride.resume(0); \echo :SQLSTATE
SELECT stride.cancel(9223372036854775807); \echo :SQLSTATE
SELECT stride.alter(-9223372036854775808, workers => 1); \echo :SQLSTATE
SELECT stride.forget(-1); \echo :SQLSTATE
SELECT stride.job_id(E'it''s "no job"\n🐘'); \echo :SQLSTATE
CALL stride.wait(-1); \echo :SQLSTATE
CALL stride.wait(-1, timeout => '-1 s'); \echo :SQLSTATE
CALL stride.wait(-1, timeout => '178000000 years'); \echo :SQLSTATE

-- Transactions that run and wait cannot work in
BEGIN;
CALL stride.run('DELETE FROM orders'); \echo :SQLSTATE
ROLLBACK;
BEGIN;
CALL stride.wait(-1); \echo :SQLSTATE
ROLLBACK;
CALL stride.run(NULL); \echo :SQLSTATE
CALL stride.run('DELETE FROM dropped'); \echo :SQLSTATE
BEGIN;
SELECT stride.submit('DELETE FROM orders') IS NOT NULL AS submitted;
PREPARE TRANSACTION 'bad_input'; \echo :SQLSTATE
ROLLBACK;

BEGIN READ ONLY;
SELECT count(*) > 0 AS explained FROM stride.explain('DELETE FROM orders');
SELECT stride.submit('DELETE FROM orders'); \echo :SQLSTATE
ROLLBACK;

-- Odd names are no bad input: they are taken as they are.
CREATE TABLE "it's ""odd""
🐘" (id int PRIMARY KEY, "colümn; DROP TABLE orders" text);
INSERT INTO "it's ""odd""
🐘" VALUES (1, 'x');
CALL stride.run($$UPDATE "it's ""odd""
🐘" SET "colümn; DROP TABLE orders" = 'done'$$, name => E'it''s "odd"\n\\ 🐘 %s');
SELECT "colümn; DROP TABLE orders" FROM "it's ""odd""
🐘";
SELECT state, rows_written FROM stride.jobs WHERE job_id = stride.job_id(E'it''s "odd"\n\\ 🐘 %s');

-- A job that is over.  Ids differ from run to run, so that its errors come through a function that hides it.
CALL stride.run('UPDATE orders SET email = lower(email)', name => 'over');
SELECT stride.job_id('over') AS over \gset
CREATE FUNCTION outcome(command text, hidden bigint) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    detail text;
    hint text;
BEGIN
    EXECUTE command;
    RETURN 'no error';
EXCEPTION WHEN OTHERS THEN
    GET STACKED DIAGNOSTICS detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT;
    RETURN regexp_replace(concat_ws(E'\n', SQLSTATE || ' ' || SQLERRM, 'DETAIL:  ' || detail, 'HINT:  ' || hint),
                          '\m' || hidden || '\M', '<id>', 'g');
END
$$;
SELECT outcome(format('SELECT stride.resume(%s)', :over), :over);
SELECT outcome(format('SELECT stride.alter(%s, workers => 4)', :over), :over);
-- One that was to be stopped, among others, may have ended meanwhile: a warning.
\set VERBOSITY sqlstate
SELECT stride.pause(:over), stride.cancel(:over);
\set VERBOSITY default

-- Another role's job looks like none.
SET ROLE regress_stride_other;
SELECT count(*) FROM stride.jobs;
SELECT outcome(format('SELECT stride.pause(%s)', :over), :over);
SELECT outcome(format('SELECT stride.alter(%s, workers => 4)', :over), :over);
SELECT outcome(format('SELECT stride.forget(%s)', :over), :over);
\set VERBOSITY sqlstate
CALL stride.wait(:over);
\set VERBOSITY default
SELECT stride.job_id('over'); \echo :SQLSTATE

-- An unfinished job: its name is taken, it cannot be forgotten, its settings are checked as at submit.
SET ROLE regress_stride_app;
SELECT stride.submit('DELETE FROM orders', name => 'later', start_at => now() + interval '1 day') AS later \gset
SELECT outcome('SELECT stride.submit(''DELETE FROM orders'', name => ''later'')', :later);
SELECT outcome(format('SELECT stride.forget(%s)', :later), :later);
SELECT stride.alter(:later); \echo :SQLSTATE
SELECT stride.alter(:later, workers => -1); \echo :SQLSTATE
SELECT stride.alter(:later, chunk_rows => -1); \echo :SQLSTATE
SELECT stride.alter(:later, reject_limit => -1); \echo :SQLSTATE
SELECT stride.alter(:later, reject_percent => 'NaN'); \echo :SQLSTATE
SELECT outcome(format('SELECT stride.alter(%s, reject_limit => 1)', :later), :later);
SELECT stride.alter(:later, settings => '{"chunk_tiem": 1}'); \echo :SQLSTATE
SELECT stride.alter(:later, settings => '{"freeze_time": false}'); \echo :SQLSTATE
\set VERBOSITY sqlstate
CALL stride.wait(:later, timeout => '1 ms');
CALL stride.wait(:later, timeout => '-178000000 years');
SELECT stride.cancel(:later);
CALL stride.wait(:later);
BEGIN;
SELECT stride.submit('DELETE FROM orders', name => 'mine') AS mine \gset
CALL stride.wait(:mine);
ROLLBACK;
\set VERBOSITY default

CALL stride.wait(stride.job_id('over'), timeout => '178000000 years');

-- Nothing was changed but what was asked for, and nothing is broken.
RESET ROLE;
SELECT count(*), min(email), max(email) FROM orders;
SELECT count(*) FROM orders_clean;
SELECT name, rows_written FROM stride.jobs ORDER BY job_id;
SELECT invariant, detail FROM stride.check_invariants() WHERE NOT ok;
DROP OWNED BY regress_stride_app, regress_stride_other, regress_stride_no_login;
DROP SCHEMA bad_input CASCADE;
DROP ROLE regress_stride_app, regress_stride_other, regress_stride_no_login;
