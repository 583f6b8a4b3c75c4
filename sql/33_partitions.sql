-- Partitioned and inherited sources, walked leaf by leaf: the same rows as the plain statement gives, each row once.
SET client_min_messages = warning;
SET stride.progress_interval = 0;
CREATE SCHEMA parts;
SET search_path = parts, public;

-- Two equal trees, "plain" and "job".  Leaves differ in the order of their columns, have dropped ones, a subtree, a default.
CREATE PROCEDURE make_tree(tree text) LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE replace($t$
        DROP TABLE IF EXISTS %T;
        CREATE TABLE %T (id bigint NOT NULL, region int NOT NULL, amount numeric, note text, doubled numeric GENERATED ALWAYS AS (amount * 2) STORED)
            PARTITION BY LIST (region);
        CREATE TABLE %T_1 PARTITION OF %T FOR VALUES IN (1);
        CREATE TABLE %T_2 (gone int, note text, amount numeric, doubled numeric GENERATED ALWAYS AS (amount * 2) STORED, region int NOT NULL, id bigint NOT NULL);
        ALTER TABLE %T_2 DROP COLUMN gone;
        ALTER TABLE %T ATTACH PARTITION %T_2 FOR VALUES IN (2);
        CREATE TABLE %T_3 PARTITION OF %T FOR VALUES IN (3, 4) PARTITION BY RANGE (id);
        CREATE TABLE %T_3_low PARTITION OF %T_3 FOR VALUES FROM (minvalue) TO (1000);
        CREATE TABLE %T_3_high PARTITION OF %T_3 FOR VALUES FROM (1000) TO (maxvalue);
        CREATE TABLE %T_rest PARTITION OF %T DEFAULT;
        ALTER TABLE %T ADD PRIMARY KEY (region, id);
        INSERT INTO %T (id, region, amount, note) SELECT g, 1 + g % 5, g, 'row ' || g FROM generate_series(1, 2000) AS g;
    $t$, '%T', tree);
END $$;
CREATE PROCEDURE compare(statement text, source text DEFAULT NULL, settings jsonb DEFAULT '{}') LANGUAGE plpgsql AS $$
DECLARE
    differences bigint;
    ended text;
BEGIN
    CALL make_tree('plain');
    CALL make_tree('job');
    EXECUTE replace(statement, '%T', 'plain');
    COMMIT;
    CALL stride.run(replace(statement, '%T', 'job'), source => source, chunk_rows => 83, workers => 2, if_exists => 'new', settings => settings);
    SELECT format('%s, %s rows read, %s tables', j.state, j.rows_read, (SELECT count(DISTINCT s.source) FROM stride.splits AS s WHERE s.job_id = j.job_id))
        INTO ended FROM stride.jobs AS j ORDER BY job_id DESC LIMIT 1;
    SELECT count(*) INTO differences FROM (
        (SELECT right(tableoid::regclass::text, -5), * FROM plain EXCEPT ALL SELECT right(tableoid::regclass::text, -3), * FROM job) UNION ALL
        (SELECT right(tableoid::regclass::text, -3), * FROM job EXCEPT ALL SELECT right(tableoid::regclass::text, -5), * FROM plain)) AS d;
    RAISE WARNING '%: % differences', ended, differences;
END $$;

CALL compare($$UPDATE %T SET amount = amount + 1, note = upper(note) WHERE id % 3 = 0$$);
CALL compare($$UPDATE %T AS t SET note = t::text || ' of ' || (t.tableoid = '%T_2'::regclass), amount = -amount$$);
CALL compare($$DELETE FROM %T AS t WHERE t.amount > 300 AND EXISTS (SELECT FROM generate_series(1, 500) AS g WHERE g = t.id)$$);
CALL compare($$UPDATE %T SET note = 'pruned' WHERE region IN (1, 3) AND id < 900$$);
CALL compare($$UPDATE %T SET note = 'nothing' WHERE region = 1 AND region = 2$$);

-- Sources of INSERT, MERGE and SELECT.
CREATE TABLE plain_copy (id bigint PRIMARY KEY, region int, total numeric, whole text);
CREATE TABLE job_copy (LIKE plain_copy INCLUDING ALL);
CREATE PROCEDURE compare_copies(statement text, source text) LANGUAGE plpgsql AS $$
DECLARE
    differences bigint;
BEGIN
    EXECUTE replace(statement, '%T', 'plain_copy');
    COMMIT;
    CALL stride.run(replace(statement, '%T', 'job_copy'), source => source, chunk_rows => 83, workers => 2, if_exists => 'new');
    SELECT count(*) INTO differences FROM ((TABLE plain_copy EXCEPT ALL TABLE job_copy) UNION ALL (TABLE job_copy EXCEPT ALL TABLE plain_copy)) AS d;
    RAISE WARNING '% rows, % differences', (SELECT count(*) FROM job_copy), differences;
END $$;
CALL make_tree('source');
CALL compare_copies($$INSERT INTO %T SELECT id, region, amount, s::text FROM source AS s WHERE id % 2 = 0$$, NULL);
CALL compare_copies($$INSERT INTO %T SELECT s.id + 10000, o.region, o.amount, o::text FROM source AS s JOIN source AS o ON o.id = s.id - 1$$, 's');
CALL compare_copies($$WITH w AS (SELECT id, region, amount FROM source WHERE region > 2) INSERT INTO %T SELECT id + 20000, region, amount FROM w$$, NULL);
CALL compare_copies($$INSERT INTO %T (id, total) SELECT 90000 + region, sum(amount) FROM source GROUP BY region ON CONFLICT (id) DO UPDATE SET total = coalesce(%T.total, 0) + excluded.total$$, NULL);
CALL compare_copies($$MERGE INTO %T AS t USING source AS s ON t.id = s.id AND t.region = s.region WHEN MATCHED AND s.region = 2 THEN DELETE WHEN MATCHED THEN UPDATE SET total = s.amount WHEN NOT MATCHED THEN INSERT (id, region, total) VALUES (s.id, s.region, 7)$$, NULL);
CREATE TABLE seen (id bigint);
CREATE FUNCTION note(source) RETURNS void LANGUAGE sql AS 'INSERT INTO parts.seen VALUES (($1).id)';
CALL stride.run('SELECT note(s) FROM source AS s', chunk_rows => 83);
SELECT count(*), count(DISTINCT id) FROM seen;

-- Pipelines, with rows that move, and bad rows.
CREATE TABLE archive (id bigint, region int, amount numeric, note text, doubled numeric);
CALL stride.run_pipeline('archive', source => 'job', delete_source => true, chunk_rows => 83);
SELECT (SELECT count(*) FROM job) AS left, count(*), count(DISTINCT id), bool_and(doubled = amount * 2) FROM archive;
INSERT INTO job (id, region, amount) SELECT id, region, amount FROM archive;
TRUNCATE archive;
CREATE FUNCTION archived(job) RETURNS archive LANGUAGE sql AS $$SELECT ROW($1.id, $1.region, $1.amount, 'kept', 0)::parts.archive WHERE $1.id % 2 = 0$$;
SELECT stride.register_transform('archived', 'archived(job)');
CALL stride.run_pipeline('archive', source => 'job', transform => 'archived', delete_source => true, chunk_rows => 83, if_exists => 'new');
SELECT (SELECT count(*) FROM job) AS left, (SELECT bool_and(id % 2 = 1) FROM job) AS odd, count(*), count(DISTINCT id) FROM archive;
CALL stride.run('UPDATE source SET note = 1000 / ((amount - 7) * (amount - 10))', name => 'bad', chunk_rows => 83, on_error => 'skip');
SELECT row_key, row_data, message FROM stride.rejects WHERE job_id = stride.job_id('bad') ORDER BY row_key::text;
UPDATE source SET amount = 1000 WHERE id IN (7, 10);
SELECT stride.retry_rejects(stride.job_id('bad')) AS again \gset
CALL stride.wait(:again);
SELECT rows_read, rows_written, (SELECT count(*) FROM stride.rejects WHERE job_id = stride.job_id('bad')) AS rejects FROM stride.jobs WHERE job_id = :again;
SELECT id, region, left(note, 6) AS note FROM source WHERE id IN (7, 10);
SELECT item, value FROM stride.explain('DELETE FROM source WHERE region <> 1') WHERE item IN ('tables walked', 'key', 'key index', 'chunk statement');

-- Inheritance: the parent has rows of its own, a child has another key and a column more.
CREATE TABLE animal (id int PRIMARY KEY, name text, n int DEFAULT 0);
CREATE TABLE bird (wings int) INHERITS (animal);
ALTER TABLE bird ADD UNIQUE (name);
ALTER TABLE bird ALTER name SET NOT NULL;
CREATE TABLE fish (depth int, PRIMARY KEY (id)) INHERITS (animal);
INSERT INTO animal SELECT g, 'animal ' || g FROM generate_series(1, 300) AS g;
INSERT INTO bird SELECT g, 'bird ' || g, 0, 2 FROM generate_series(1, 300) AS g;
INSERT INTO fish SELECT g, 'fish ' || g, 0, g FROM generate_series(1, 300) AS g;
CALL stride.run('UPDATE animal SET n = n + 1', chunk_rows => 83, workers => 2);
SELECT tableoid::regclass AS of, n, count(*) FROM animal GROUP BY 1, 2 ORDER BY 1;
SELECT key FROM stride.jobs ORDER BY job_id DESC LIMIT 1;
CALL stride.run('UPDATE ONLY animal SET n = n + 1', chunk_rows => 83);
SELECT tableoid::regclass AS of, n, count(*) FROM animal GROUP BY 1, 2 ORDER BY 1;

-- Statement triggers are those of the table that is named, row triggers those of the leaf.
CREATE TABLE fired (what text);
CREATE FUNCTION fire() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN INSERT INTO parts.fired VALUES (concat_ws(' ', tg_table_name, tg_level, tg_when)); RETURN coalesce(new, old); END$$;
CREATE FUNCTION fire_table() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN INSERT INTO parts.fired VALUES ((SELECT 'transition rows: ' || (count(*) > 0) FROM changed)); RETURN null; END$$;
CREATE TRIGGER a BEFORE UPDATE ON source FOR EACH STATEMENT EXECUTE FUNCTION fire();
CREATE TRIGGER b AFTER UPDATE ON source FOR EACH ROW EXECUTE FUNCTION fire();
CREATE TRIGGER c AFTER UPDATE ON source REFERENCING NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION fire_table();
CREATE TRIGGER d BEFORE UPDATE ON source_1 FOR EACH STATEMENT EXECUTE FUNCTION fire();
CALL stride.run($$UPDATE source SET note = 'x'$$, chunk_rows => 1000, workers => 1);
SELECT what, CASE WHEN what ~ 'ROW' THEN count(*) END AS rows FROM fired GROUP BY what ORDER BY what;

-- Rights and row security are those of the table that is named, whatever those of its leaves are.
CREATE ROLE stride_parts LOGIN;
GRANT USAGE ON SCHEMA parts, stride TO stride_parts;
GRANT SELECT, UPDATE ON source TO stride_parts;
GRANT INSERT ON fired TO stride_parts;
ALTER TABLE source ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON source TO stride_parts USING (id <= 1000);
ALTER TABLE source_1 ENABLE ROW LEVEL SECURITY;
SET ROLE stride_parts;
SELECT count(*) AS unseen FROM source_2;
CALL stride.run($$UPDATE source SET note = 'mine'$$, chunk_rows => 83, workers => 2);
RESET ROLE;
SELECT note, count(*), min(id), max(id) FROM source GROUP BY note ORDER BY note;
REVOKE SELECT ON source FROM stride_parts;
SET ROLE stride_parts;
CALL stride.run($$UPDATE source SET note = 'again'$$, if_exists => 'new');
RESET ROLE;

-- A leaf without a key, a wanted key that a leaf lacks, the key and the partition key as targets, a foreign leaf.
CREATE TABLE lacking (id int NOT NULL, k int NOT NULL) PARTITION BY LIST (k);
CREATE TABLE lacking_1 PARTITION OF lacking (PRIMARY KEY (id)) FOR VALUES IN (1);
CREATE TABLE lacking_2 PARTITION OF lacking FOR VALUES IN (2);
SELECT stride.submit('DELETE FROM lacking');
CALL stride.run('DELETE FROM lacking WHERE k = 1');
SELECT stride.submit('UPDATE source SET id = 1 - id');
SELECT stride.submit('UPDATE source SET region = 1');
SELECT stride.submit('DELETE FROM source', key => '{id}');
-- The parent's unique key says nothing of its children's rows.
SELECT stride.submit('MERGE INTO job_copy AS t USING animal AS a ON t.id = a.id WHEN MATCHED THEN DELETE');
SELECT stride.submit('INSERT INTO source_1 (id, region) SELECT id + 5000, 1 FROM source');
CREATE EXTENSION file_fdw;
CREATE SERVER files FOREIGN DATA WRAPPER file_fdw;
CREATE FOREIGN TABLE lacking_3 PARTITION OF lacking FOR VALUES IN (3) SERVER files OPTIONS (filename '/dev/null');
SELECT stride.submit('INSERT INTO seen SELECT id FROM lacking WHERE k <> 2', walk => 'key');

SELECT invariant, detail FROM stride.check_invariants() WHERE NOT ok;
SELECT stride.unregister_transform('archived');
RESET search_path;
DROP EXTENSION file_fdw CASCADE;
DROP SCHEMA parts CASCADE;
REVOKE USAGE ON SCHEMA stride FROM stride_parts;
DROP ROLE stride_parts;
