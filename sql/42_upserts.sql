-- on_conflict of pipelines, and ON CONFLICT of statement jobs: what is written, what is suppressed and counted, and in what
-- order rows reach the executor.
SET client_min_messages = warning;
SET stride.progress_interval = 0;
SET stride.workers = 2;
CREATE SCHEMA upserts;
SET search_path = upserts, public;
CREATE TABLE events (id int PRIMARY KEY, account int, amount int, note text);
INSERT INTO events SELECT g, g * 7 % 20, g, 'event ' || g FROM generate_series(1, 1000) AS g;
CREATE TABLE totals (account int PRIMARY KEY, amount int, note text DEFAULT 'none', seen int NOT NULL DEFAULT 1);
-- The last job's accounts: each row read was written, filtered or suppressed.
CREATE VIEW last_job AS
SELECT state, sink, rows_read, rows_written, rows_filtered, rows_suppressed FROM stride.jobs ORDER BY job_id DESC LIMIT 1;

-- update: of the rows of one account in a chunk the last is written; in one chunk it is the last of all.
CALL stride.run_pipeline('totals', source => 'events', transform_query => 'SELECT account, amount, note FROM chunk ORDER BY id',
                         on_conflict => 'update', workers => 1, chunk_rows => 1000);
SELECT count(*), count(*) FILTER (WHERE amount > 900) AS last FROM totals;
TRUNCATE totals;
CREATE FUNCTION as_total(e events) RETURNS totals IMMUTABLE LANGUAGE sql
    AS $$ SELECT e.account, e.amount, e.note, 1 WHERE e.id % 2 = 0 $$;
SELECT stride.register_transform('as_total', 'as_total(events)');
CALL stride.run_pipeline('totals', source => 'events', transform => 'as_total', on_conflict => 'update', chunk_rows => 83);
SELECT state, sink, rows_read, rows_filtered, rows_written + rows_suppressed AS written_or_suppressed, rows_suppressed > 0 AS some
FROM last_job;
SELECT count(*), bool_and((account, amount, note) IN (SELECT account, amount, note FROM events)) AS real FROM totals;
SELECT (SELECT sum(rows_suppressed) FROM stride.chunks WHERE job_id = j.job_id) = j.rows_suppressed AS chunks,
       (SELECT sum(rows_suppressed) FROM stride.splits WHERE job_id = j.job_id) = j.rows_suppressed AS splits
FROM stride.jobs AS j ORDER BY job_id DESC LIMIT 1;
SELECT value FROM stride.explain_pipeline('totals', source => 'events', transform => 'as_total', on_conflict => 'update')
WHERE item = 'note';

-- The source's key decides the conflict key: nothing to warn of, and nothing collapses.
CREATE TABLE copy (LIKE events INCLUDING ALL);
INSERT INTO copy SELECT id, 0, 0, 'old' FROM events WHERE id % 3 = 0;
CALL stride.run_pipeline('copy', source => 'events', on_conflict => 'update', update_columns => '{amount}', chunk_rows => 83);
SELECT count(*) AS note FROM stride.explain_pipeline('copy', source => 'events', on_conflict => 'update') WHERE item = 'note';
TABLE last_job;
SELECT count(*), sum(amount) = (SELECT sum(amount) FROM events) AS amounts, count(*) FILTER (WHERE note = 'old') AS old FROM copy;

-- nothing: with and without the columns named; a key that is not the primary key
DELETE FROM copy WHERE id > 900;
CALL stride.run_pipeline('copy', source => 'events', on_conflict => 'nothing', chunk_rows => 83);
TABLE last_job;
CREATE TABLE by_note (id serial PRIMARY KEY, note text UNIQUE, amount int);
CALL stride.run_pipeline('by_note', source => 'events', transform_query => 'SELECT amount, ''note '' || account AS note FROM chunk',
                         on_conflict => 'nothing', conflict_columns => '{note}', chunk_rows => 83);
SELECT count(*), count(DISTINCT note) FROM by_note;
CALL stride.run_pipeline('by_note', source => 'events', transform_query => 'SELECT amount + 5000 AS amount, ''note '' || account AS note FROM chunk',
                         on_conflict => 'update', conflict_columns => '{note}', chunk_rows => 83);
SELECT count(*), min(amount) > 5000 AS updated FROM by_note;

-- update_set merges; a key that comes twice in a chunk is the query's to aggregate.
TRUNCATE totals;
CALL stride.run_pipeline('totals', source => 'events', chunk_rows => 83, on_conflict => 'update',
     transform_query => 'SELECT account, sum(amount)::int AS amount, count(*)::int AS seen FROM chunk GROUP BY account',
     update_set => 'amount = totals.amount + excluded.amount, seen = totals.seen + excluded.seen');
SELECT count(*), sum(amount) = (SELECT sum(amount) FROM events) AS amounts, sum(seen), count(DISTINCT note) FROM totals;
\set VERBOSITY sqlstate
CALL stride.run_pipeline('totals', source => 'events', transform => 'as_total', on_conflict => 'update',
                         update_set => 'seen = totals.seen + 1', chunk_rows => 500, workers => 1);
\set VERBOSITY default
SELECT error_sqlstate, error_message, error_hint FROM stride.jobs ORDER BY job_id DESC LIMIT 1 \gx

-- Rows reach the table in the order of the conflict key, whatever the order of the walk: so that workers never wait for each
-- other in a circle.  NULLs, DESC, other collations, and keys with several columns are ordered as their index is.
CREATE TABLE ordered (b text COLLATE "C", a numeric, source_id int, CONSTRAINT u UNIQUE (a, b));
CREATE UNIQUE INDEX ordered_desc ON ordered (source_id DESC NULLS LAST);
CREATE TABLE scattered (id int PRIMARY KEY, a numeric, b text);
INSERT INTO scattered SELECT g, nullif(g * 37 % 50, 7), chr(65 + g * 7 % 60) || g % 2 FROM generate_series(1, 200) AS g;
CALL stride.run_pipeline('ordered', source => 'scattered', transform_query => 'SELECT a, b, id AS source_id FROM chunk',
                         on_conflict => 'update', conflict_columns => '{a,b}', update_columns => '{source_id}', workers => 1,
                         chunk_rows => 1000);
WITH o AS (SELECT *, ctid AS place, lag(ctid) OVER (PARTITION BY xmin::text ORDER BY a, b COLLATE "C") AS before FROM ordered)
SELECT count(*), count(*) FILTER (WHERE a IS NULL) AS nulls, count(before) > 100 AS compared, count(*) FILTER (WHERE before > place) AS disorder
FROM o;
TRUNCATE ordered;
CALL stride.run('INSERT INTO ordered (a, b, source_id) SELECT a, b, id * 7 % 200 FROM scattered ON CONFLICT (source_id) DO NOTHING',
                workers => 1, chunk_rows => 1000);
WITH o AS (SELECT *, ctid AS place, lag(ctid) OVER (PARTITION BY xmin::text ORDER BY source_id DESC NULLS LAST) AS before FROM ordered)
SELECT count(*), count(before) > 100 AS compared, count(*) FILTER (WHERE before > place) AS disorder FROM o;
-- A key of expressions is left in the order of the walk; a dropped column and a partitioned target change nothing.
CREATE TABLE lowered (note text, amount int);
CREATE UNIQUE INDEX ON lowered (lower(note));
CALL stride.run('INSERT INTO lowered SELECT note, amount FROM events ON CONFLICT (lower(note)) DO UPDATE SET amount = 0', chunk_rows => 83);
SELECT count(*), max(amount) FROM lowered;
CREATE TABLE parted (gone int, note text, account int PRIMARY KEY, amount int) PARTITION BY HASH (account);
ALTER TABLE parted DROP COLUMN gone;
CREATE TABLE parted_0 PARTITION OF parted FOR VALUES WITH (MODULUS 2, REMAINDER 0);
CREATE TABLE parted_1 PARTITION OF parted FOR VALUES WITH (MODULUS 2, REMAINDER 1);
CALL stride.run_pipeline('parted', source => 'events', transform_query => 'SELECT account, amount, note FROM chunk ORDER BY id',
                         on_conflict => 'update', workers => 1, chunk_rows => 1000);
SELECT count(*), count(*) FILTER (WHERE amount > 900) AS last FROM parted;

-- The rows of a partitioned or inherited source come in the order of each table's key, however they lie there, to the last one
-- of a conflict key and to the batches of a function, also where each table has a key of its own.
CREATE TABLE leaves (region int NOT NULL, id int NOT NULL, account int, note text) PARTITION BY LIST (region);
CREATE TABLE leaves_1 PARTITION OF leaves (PRIMARY KEY (region, id)) FOR VALUES IN (1);
CREATE TABLE leaves_2 PARTITION OF leaves FOR VALUES IN (2);
CREATE UNIQUE INDEX ON leaves_2 (id);
CREATE PROCEDURE fill_leaves() LANGUAGE sql AS $$
    INSERT INTO leaves SELECT 1 + g % 2, g, g / 2 % 5, 'row ' || g FROM generate_series(1, 400) AS g ORDER BY hashint4(g)
$$;
CALL fill_leaves();
CREATE TABLE last (account int, region int, id int, note text, PRIMARY KEY (region, account));
CREATE FUNCTION as_last(l leaves) RETURNS last LANGUAGE sql STABLE AS 'SELECT l.account, l.region, l.id, l.note';
CREATE FUNCTION all_as_last(l leaves[]) RETURNS SETOF last LANGUAGE sql STABLE AS
    $$ SELECT u.account, u.region, u.id, 'in a batch' FROM unnest(l) WITH ORDINALITY AS u(region, id, account, note, place) ORDER BY place $$;
SELECT stride.register_transform('as_last', 'as_last(leaves)'), stride.register_transform('all_as_last', 'all_as_last(leaves[])');
CREATE PROCEDURE see_last(way text, transform text, delete_source boolean) LANGUAGE plpgsql AS $$
DECLARE
    found text;
BEGIN
    TRUNCATE last;
    CREATE TEMP TABLE expected ON COMMIT PRESERVE ROWS AS SELECT region, account, max(id) AS id FROM leaves GROUP BY region, account;
    COMMIT;
    CALL stride.run_pipeline('last', source => 'leaves', transform => transform, on_conflict => 'update', workers => 1,
                             chunk_rows => 1000, delete_source => delete_source, if_exists => 'new', settings => '{"batch_rows": 50}');
    SELECT string_agg(DISTINCT format('table %s: %s', region, l.id = e.id), ', ') INTO found FROM last AS l JOIN expected AS e USING (region, account);
    RAISE WARNING '%: the last of each account: %', way, found;
    DROP TABLE expected;
    IF delete_source THEN
        CALL fill_leaves();
    END IF;
END $$;
-- Workers plan so that rows come as they lie.
ALTER ROLE CURRENT_USER SET enable_indexscan = off;
ALTER ROLE CURRENT_USER SET enable_seqscan = off;
CALL see_last('columns', NULL, false);
CALL see_last('function', 'as_last', false);
CALL see_last('batches', 'all_as_last', false);
CALL see_last('columns, moved', NULL, true);
CALL see_last('function, moved', 'as_last', true);
CALL see_last('batches, moved', 'all_as_last', true);
ALTER ROLE CURRENT_USER RESET enable_indexscan;
ALTER ROLE CURRENT_USER RESET enable_seqscan;

-- A trigger that keeps rows out suppresses them too.
CREATE TABLE guarded (LIKE events INCLUDING ALL);
CREATE FUNCTION keep_out() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN IF NEW.id % 4 = 0 THEN RETURN NULL; END IF; RETURN NEW; END $$;
CREATE TRIGGER keep_out BEFORE INSERT ON guarded FOR EACH ROW EXECUTE FUNCTION keep_out();
CALL stride.run_pipeline('guarded', source => 'events', chunk_rows => 83);
TABLE last_job;

-- Bad input: one line an input, then its SQLSTATE
\pset format unaligned
\pset tuples_only on
CREATE TABLE no_key (id int, account int, amount int, note text);
CREATE UNIQUE INDEX ON no_key (id) WHERE id > 0;
ALTER TABLE no_key ADD CONSTRAINT later UNIQUE (account) DEFERRABLE;
SELECT stride.submit_pipeline('copy', source => 'events', on_conflict => 'ignore'); \echo :SQLSTATE
SELECT stride.submit_pipeline('copy', source => 'events', on_conflict => NULL); \echo :SQLSTATE
SELECT stride.submit_pipeline('copy', source => 'events', conflict_columns => '{id}'); \echo :SQLSTATE
SELECT stride.submit_pipeline('copy', source => 'events', update_columns => '{id}'); \echo :SQLSTATE
SELECT stride.submit_pipeline('copy', source => 'events', on_conflict => 'nothing', update_set => 'note = 1'); \echo :SQLSTATE
SELECT stride.submit_pipeline('copy', source => 'events', on_conflict => 'update', conflict_columns => '{}'); \echo :SQLSTATE
SELECT stride.submit_pipeline('copy', source => 'events', on_conflict => 'update', conflict_columns => '{NULL}'); \echo :SQLSTATE
SELECT stride.submit_pipeline('copy', source => 'events', on_conflict => 'update', conflict_columns => '{nowhere}'); \echo :SQLSTATE
SELECT stride.submit_pipeline('copy', source => 'events', on_conflict => 'update', conflict_columns => '{account}'); \echo :SQLSTATE
SELECT stride.submit_pipeline('no_key', source => 'events', on_conflict => 'update'); \echo :SQLSTATE
SELECT stride.submit_pipeline('no_key', source => 'events', on_conflict => 'update', conflict_columns => '{id}'); \echo :SQLSTATE
SELECT stride.submit_pipeline('no_key', source => 'events', on_conflict => 'update', conflict_columns => '{account}'); \echo :SQLSTATE
SELECT stride.submit_pipeline('by_note', source => 'events', on_conflict => 'update', transform_query => 'SELECT note FROM chunk'); \echo :SQLSTATE
SELECT stride.submit_pipeline('by_note', source => 'events', on_conflict => 'update', transform_query => 'SELECT note FROM chunk', conflict_columns => '{note}'); \echo :SQLSTATE
SELECT stride.submit_pipeline('copy', source => 'events', on_conflict => 'update', update_columns => '{nowhere}'); \echo :SQLSTATE
SELECT stride.submit_pipeline('copy', source => 'events', on_conflict => 'update', update_set => ''); \echo :SQLSTATE
SELECT stride.submit_pipeline('copy', source => 'events', on_conflict => 'update', update_set => 'amount +'); \echo :SQLSTATE
SELECT stride.submit_pipeline('copy', source => 'events', on_conflict => 'update', update_set => 'amount = 1 WHERE true'); \echo :SQLSTATE
SELECT stride.submit_pipeline('copy', source => 'events', on_conflict => 'update', update_set => 'amount = 1 RETURNING id'); \echo :SQLSTATE
SELECT stride.submit_pipeline('copy', source => 'events', on_conflict => 'update', update_set => 'amount = 1; DROP TABLE copy'); \echo :SQLSTATE
SELECT stride.submit_pipeline('copy', source => 'events', on_conflict => 'update', update_set => 'amount = nowhere'); \echo :SQLSTATE
SELECT stride.submit_pipeline('copy', source => 'events', on_conflict => 'update', update_set => 'amount = copy.amount + excludet.amount'); \echo :SQLSTATE
SELECT stride.submit_pipeline('copy', source => 'events', on_conflict => 'update', transform_query => $$SELECT id, 'ä' AS note FROM chunk$$, update_set => $$note = 'ü' || nowhere$$); \echo :SQLSTATE
SELECT stride.submit_pipeline('copy', source => 'events', on_conflict => 'update', transform_query => $$SELECT id, 'ä' || nowhere AS note FROM chunk$$, update_set => $$note = 'ü'$$); \echo :SQLSTATE
SELECT stride.submit_pipeline('copy', source => 'events', on_conflict => 'update', update_set => 'amount = (SELECT max(amount) FROM copy)'); \echo :SQLSTATE
\pset format aligned
\pset tuples_only off
SELECT * FROM stride.check_invariants() WHERE NOT ok;
