-- Keys that are saved before they are walked (walk => 'spool', source_rows => at_start, and what auto takes for statements that
-- touch little): the same rows as the plain statement, for every kind of statement and of key; what is gone by its turn.
SET client_min_messages = warning;
SET stride.progress_interval = 0;
SET stride.workers = 2;
CREATE SCHEMA saved;
SET search_path = saved, public;

-- Pairs of equal tables: the statement runs over those of "plain", the job over those of "job".  The leaves of the partitioned
-- one have their columns in other places; the keys are of several columns, descending, text and a domain.
CREATE DOMAIN code AS varchar(20) CHECK (VALUE <> '');
CREATE PROCEDURE make_tables(side text) LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE replace($t$
        DROP TABLE IF EXISTS %T_rows, %T_pairs, %T_tree, %T_copy, %T_sums, %T_other CASCADE;
        CREATE TABLE %T_rows (id int PRIMARY KEY, v int, note text);
        INSERT INTO %T_rows SELECT g, g % 50, 'row ' || g FROM generate_series(1, 1000) AS g;
        CREATE TABLE %T_pairs (gone int, name code COLLATE "C" NOT NULL, tenant int NOT NULL, v int, note text);
        ALTER TABLE %T_pairs DROP COLUMN gone;
        CREATE UNIQUE INDEX ON %T_pairs (tenant DESC, name);
        INSERT INTO %T_pairs SELECT 'name ' || g, g % 7, g % 50, 'pair ' || g FROM generate_series(1, 1000) AS g;
        CREATE TABLE %T_tree (id bigint, part int, v int, note text, PRIMARY KEY (part, id)) PARTITION BY LIST (part);
        CREATE TABLE %T_tree_1 PARTITION OF %T_tree FOR VALUES IN (1);
        CREATE TABLE %T_tree_2 (gone int, note text, v int, part int NOT NULL, id bigint NOT NULL);
        ALTER TABLE %T_tree_2 DROP COLUMN gone;
        ALTER TABLE %T_tree ATTACH PARTITION %T_tree_2 FOR VALUES IN (2);
        CREATE TABLE %T_tree_3 PARTITION OF %T_tree FOR VALUES IN (0, 3);
        INSERT INTO %T_tree SELECT g, g % 4, g % 50, 'leaf ' || g FROM generate_series(1, 1000) AS g;
        CREATE TABLE %T_copy (id bigint PRIMARY KEY, note text);
        CREATE TABLE %T_sums (v int PRIMARY KEY, rows bigint);
        CREATE TABLE %T_other AS SELECT g AS id, g % 3 AS kind FROM generate_series(1, 1000, 2) AS g;
        ANALYZE %T_rows, %T_pairs, %T_tree, %T_other;
    $t$, '%T', side);
END $$;

CREATE PROCEDURE compare(statement text, source text DEFAULT NULL, workers int DEFAULT 2) LANGUAGE plpgsql AS $$
DECLARE
    outcome text;
    differences bigint := 0;
    found bigint;
    suffix text;
BEGIN
    CALL make_tables('plain');
    CALL make_tables('job');
    EXECUTE replace(statement, '%T', 'plain');
    COMMIT;
    CALL stride.run(replace(statement, '%T', 'job'), source => source, walk => 'spool', chunk_rows => 37, workers => workers, if_exists => 'new');
    SELECT format('%s by %s of (%s): %s read, %s filtered, %s vanished', state, walk, key, rows_read, rows_filtered, rows_vanished)
    INTO outcome FROM stride.jobs ORDER BY job_id DESC LIMIT 1;
    FOREACH suffix IN ARRAY ARRAY['rows', 'pairs', 'tree', 'copy', 'sums'] LOOP
        EXECUTE format('SELECT count(*) FROM ((TABLE plain_%1$s EXCEPT ALL TABLE job_%1$s) UNION ALL (TABLE job_%1$s EXCEPT ALL TABLE plain_%1$s)) AS d', suffix)
        INTO found;
        differences := differences + found;
    END LOOP;
    RAISE WARNING '%, % differences', outcome, differences;
END $$;

-- Keys that lie far apart are looked up, those that lie close to each other are picked from the range between them.
CALL compare($$UPDATE %T_rows SET note = upper(note) WHERE v = 3$$);
CALL compare($$UPDATE %T_rows SET note = upper(note)$$);
CALL compare($$UPDATE %T_rows AS r SET note = o.kind || note FROM %T_other AS o WHERE o.id = r.id AND o.kind > 0 AND r.v < 8$$);
CALL compare($$DELETE FROM %T_pairs WHERE v = 2$$);
CALL compare($$DELETE FROM %T_pairs AS p USING %T_other AS o WHERE p.name = 'name ' || o.id AND o.kind = 1$$);
CALL compare($$UPDATE %T_tree AS t SET note = t::text || (t.tableoid = '%T_tree_2'::regclass) WHERE v = 5 OR note = 'leaf 8'$$);
CALL compare($$DELETE FROM %T_tree AS t WHERE EXISTS (SELECT FROM %T_other AS o WHERE o.id = t.id AND o.kind = 2)$$);
CALL compare($$UPDATE %T_tree SET note = 'pruned' WHERE part IN (1, 3) AND v = 1$$);
CALL compare($$INSERT INTO %T_copy SELECT t.id, t.note || coalesce(o.kind::text, '-') FROM %T_tree AS t LEFT JOIN %T_other AS o USING (id) WHERE t.v < 4$$, source => 't');
CALL compare($$WITH odd AS (SELECT id FROM %T_other WHERE kind = 1) INSERT INTO %T_copy SELECT r.id, r.note FROM %T_rows AS r WHERE r.id IN (SELECT id FROM odd)$$, source => 'r');
CALL compare($$INSERT INTO %T_copy SELECT s.id, s.note FROM (SELECT * FROM %T_rows AS r WHERE v = 1 OFFSET 0) AS s WHERE length(s.note) > 6$$);
CALL compare($$INSERT INTO %T_copy SELECT s.id, s.note FROM %T_other AS o, LATERAL (SELECT * FROM %T_rows AS r WHERE r.id = o.id AND o.kind = 0) AS s$$, source => 'r');
CALL compare($$INSERT INTO %T_sums AS s SELECT v, count(*) FROM %T_pairs WHERE tenant > 2 GROUP BY v ON CONFLICT (v) DO UPDATE SET rows = s.rows + excluded.rows$$, workers => 1);
CALL compare($$MERGE INTO %T_rows AS r USING %T_tree AS t ON r.id = t.id AND t.part = 2 WHEN MATCHED AND t.v < 3 THEN DELETE WHEN MATCHED THEN UPDATE SET note = t.note$$, source => 't');
CALL compare($$UPDATE %T_rows SET note = 'none' WHERE v > 100$$);

-- Conditions that may answer otherwise the next time are left to the chunks: the keys are those of all rows then.
CREATE FUNCTION tossed(int) RETURNS boolean LANGUAGE sql VOLATILE AS 'SELECT $1 % 2 = 0';
CALL compare($$DELETE FROM %T_rows WHERE tossed(id)$$);
CREATE FUNCTION seen(int) RETURNS int LANGUAGE sql AS 'INSERT INTO saved.job_sums VALUES ($1, 1) ON CONFLICT (v) DO UPDATE SET rows = job_sums.rows + 1 RETURNING v';
CALL stride.run('SELECT seen(id) FROM job_rows WHERE v = 3', walk => 'spool', chunk_rows => 7);
SELECT count(*), sum(rows), count(*) FILTER (WHERE v % 50 = 3) FROM job_sums;

-- What is gone by its turn: each row deleted takes the next one along.
CALL make_tables('job');
CREATE FUNCTION take_next() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN DELETE FROM job_rows WHERE id = OLD.id + 1 AND OLD.id % 2 = 1; RETURN OLD; END $$;
CREATE TRIGGER take_next AFTER DELETE ON job_rows FOR EACH ROW EXECUTE FUNCTION take_next();
CALL stride.run('DELETE FROM job_rows WHERE id <= 500', name => 'saved gone', walk => 'spool', chunk_rows => 1, workers => 1);
SELECT state, rows_read, rows_written, rows_filtered, rows_vanished FROM stride.jobs WHERE name = 'saved gone';
SELECT sum(rows_vanished) AS of_splits FROM stride.splits WHERE job_id = stride.job_id('saved gone');
SELECT rows_vanished, count(*) FROM stride.chunks WHERE job_id = stride.job_id('saved gone') GROUP BY rows_vanished ORDER BY rows_vanished;
SELECT count(*), min(id) FROM job_rows;

-- Bad rows are told by their keys.
CALL make_tables('job');
ALTER TABLE job_pairs ADD CHECK (note NOT LIKE '% bad');
CALL stride.run($$UPDATE job_pairs SET note = note || CASE WHEN right(note, 2) = '53' THEN ' bad' ELSE ' good' END WHERE v = 3$$,
                name => 'saved bad', walk => 'spool', on_error => 'skip', reject_percent => 50, chunk_rows => 20);
SELECT state, rows_read, rows_written, rows_filtered, rows_rejected, rows_vanished FROM stride.jobs WHERE name = 'saved bad';
SELECT row_key, row_data->>'note' AS note, sqlstate FROM stride.rejects WHERE job_id = stride.job_id('saved bad') ORDER BY row_key;
ALTER TABLE job_pairs DROP CONSTRAINT job_pairs_note_check;
SELECT stride.retry_rejects(stride.job_id('saved bad')) AS retry \gset
CALL stride.wait(:retry);
SELECT walk, state, rows_read, rows_written, rows_rejected FROM stride.jobs WHERE job_id = :retry;
SELECT count(*) FILTER (WHERE note LIKE '% good') AS good, count(*) FILTER (WHERE note LIKE '% bad') AS bad FROM job_pairs;

-- Pipelines over a table.
CALL make_tables('job');
CREATE FUNCTION shout(job_rows) RETURNS job_copy LANGUAGE sql AS 'SELECT ($1.id, upper($1.note))::saved.job_copy WHERE $1.v <> 9';
SELECT stride.register_transform('shout', 'shout(job_rows)');
CALL stride.run_pipeline('job_copy', source => 'job_rows', transform => 'shout', delete_source => true, name => 'saved moved', chunk_rows => 90,
                         settings => '{"source_rows": "at_start"}');
SELECT walk, state, rows_read, rows_written, rows_filtered, rows_vanished FROM stride.jobs WHERE name = 'saved moved';
SELECT stride.unregister_transform('shout');
SELECT (SELECT count(*) FROM job_copy WHERE note LIKE 'ROW %') AS moved, (SELECT count(*) FROM job_rows) AS rest;
CALL stride.run_pipeline('job_sums', source => 'job_tree', transform_query => 'SELECT v, count(*) AS rows FROM chunk GROUP BY v', on_conflict => 'update',
                         update_set => 'rows = job_sums.rows + excluded.rows', name => 'saved summed', workers => 1, settings => '{"source_rows": "at_start"}');
SELECT walk, state, rows_read FROM stride.jobs WHERE name = 'saved summed';
SELECT count(*), sum(rows) FROM job_sums;

-- As a role that may read and delete just what it needs, under row security.
CREATE ROLE regress_saved LOGIN;
GRANT USAGE ON SCHEMA stride, saved TO regress_saved;
CALL make_tables('job');
GRANT SELECT (id, part, v), DELETE ON job_tree TO regress_saved;
GRANT SELECT, DELETE ON job_rows TO regress_saved;
ALTER TABLE job_rows ENABLE ROW LEVEL SECURITY;
CREATE POLICY seen ON job_rows USING (id % 4 = 0);
SET ROLE regress_saved;
CALL stride.run('DELETE FROM job_tree WHERE v = 2', name => 'saved as owner', walk => 'spool');
CALL stride.run('DELETE FROM job_rows WHERE v < 5', name => 'saved secured', walk => 'spool');
SELECT name, state, rows_read, rows_written, rows_vanished FROM stride.jobs WHERE name IN ('saved as owner', 'saved secured') ORDER BY name;
RESET ROLE;
SELECT count(*) FROM job_tree;
SELECT id % 4 AS residue, count(*) FROM job_rows WHERE v < 5 GROUP BY 1 ORDER BY 1;
DROP OWNED BY regress_saved;
DROP ROLE regress_saved;

-- What auto takes, and why.
CREATE TABLE large (id int PRIMARY KEY, v int, note text) WITH (autovacuum_enabled = off);
INSERT INTO large SELECT g, g % 1000, 'large' FROM generate_series(1, 120000) AS g;
VACUUM ANALYZE large;
CREATE FUNCTION explained(statement text, walk text DEFAULT 'auto', settings jsonb DEFAULT '{}', key name[] DEFAULT NULL) RETURNS TABLE (item text, value text)
LANGUAGE sql AS $$
    SELECT e.item, regexp_replace(e.value, 'find \d+ of about', 'find N of about') FROM stride.explain(statement, walk => walk, settings => settings, key => key) AS e
    WHERE e.item IN ('walk', 'walk reason', 'chunk statement')
$$;
SELECT * FROM explained('DELETE FROM large WHERE v = 7');
SELECT * FROM explained('DELETE FROM large WHERE v < 500') WHERE item LIKE 'walk%';
SELECT * FROM explained('DELETE FROM large WHERE v = 7', walk => 'key') WHERE item LIKE 'walk%';
SELECT * FROM explained('DELETE FROM large WHERE v = 7 AND tossed(id)') WHERE item LIKE 'walk%';
SELECT * FROM explained('DELETE FROM large WHERE id % 1000 = 7') WHERE item LIKE 'walk%';
SELECT * FROM explained('DELETE FROM large', settings => '{"source_rows": "at_start"}') WHERE item LIKE 'walk%';
SELECT * FROM explained('DELETE FROM job_rows WHERE v = 7') WHERE item LIKE 'walk%';
SET stride.source_rows = at_start;
SELECT * FROM explained('INSERT INTO job_copy SELECT id, note FROM job_pairs JOIN job_other ON tenant = id WHERE v = 7') WHERE item LIKE 'walk%';
RESET stride.source_rows;

-- The rows in between are not read: each key is looked up by its index.
CREATE FUNCTION scans(execution text) RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE
    line text;
BEGIN
    FOR line IN EXECUTE 'EXPLAIN (COSTS OFF) EXECUTE ' || execution LOOP
        IF line ~ 'Scan.* on large|Index Cond' THEN RETURN NEXT regexp_replace(line, '^[ >-]+', ''); END IF;
    END LOOP;
END $$;
SELECT format('PREPARE chunk (int[]) AS %s', value) FROM explained('DELETE FROM large WHERE v = 7') WHERE item = 'chunk statement' \gexec
SELECT scans(format('chunk (%L)', array_agg(id))) FROM large WHERE v = 7;
ALTER TABLE large ALTER v SET NOT NULL;
CREATE UNIQUE INDEX large_pairs ON large (v DESC, id);
ALTER TABLE large DROP CONSTRAINT large_pkey;
SELECT format('PREPARE pairs (int[], int[]) AS %s', value) FROM explained('UPDATE large SET note = v WHERE id % 1000 = 7', walk => 'spool')
WHERE item = 'chunk statement' \gexec
SELECT scans(format('pairs (%L, %L)', array_agg(v), array_agg(id))) FROM large WHERE id % 1000 = 7;

-- The job is told apart by its walk, and its table goes with its success.
CALL stride.run('DELETE FROM large WHERE v = 7', name => 'saved selective');
SELECT walk, key, state, rows_read, rows_written, sink FROM stride.jobs WHERE name = 'saved selective';
SELECT count(*), count(*) FILTER (WHERE v = 7) FROM large;

-- What does not go.
CREATE TABLE roots (id int PRIMARY KEY, v int);
CREATE TABLE branches (id int NOT NULL, v int PRIMARY KEY) INHERITS (roots);
CREATE TABLE lists (ids int[] PRIMARY KEY, v int);
CREATE TYPE place AS (x int, y int);
CREATE TABLE places (at place PRIMARY KEY, v int);
INSERT INTO places VALUES ((1, 2), 3);
SELECT stride.submit('DELETE FROM roots', walk => 'spool');
SELECT stride.submit('DELETE FROM lists', settings => '{"source_rows": "at_start"}');
SELECT stride.submit('DELETE FROM places', walk => 'spool');
SELECT stride.submit('DELETE FROM large', walk => 'key', settings => '{"source_rows": "at_start"}');
SELECT stride.submit('DELETE FROM large', settings => '{"source_rows": "at_once"}');
SELECT stride.submit('DELETE FROM large', walk => 'spools');

SELECT invariant, detail FROM stride.check_invariants() WHERE NOT ok;
DROP SCHEMA saved CASCADE;
