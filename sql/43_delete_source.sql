-- delete_source: the rows that are written are deleted from the source in the same chunk, exactly those.
SET client_min_messages = warning;
SET stride.progress_interval = 0;
SET stride.workers = 2;
CREATE SCHEMA moves;
SET search_path = moves, public;
CREATE TABLE whole (id int PRIMARY KEY, part int, note text);
INSERT INTO whole SELECT g, g % 5, 'row ' || g FROM generate_series(1, 1000) AS g;
CREATE TABLE source (LIKE whole INCLUDING ALL);
CREATE TABLE target (LIKE whole INCLUDING ALL);

-- Moves by a pipeline, and prints what is where: rows of the source that were `expected` to stay, and whether all others are in
-- the target.
CREATE PROCEDURE move(stays text, transform text DEFAULT NULL, query text DEFAULT NULL, on_conflict text DEFAULT 'error')
LANGUAGE plpgsql AS $$
DECLARE
    outcome text;
    there text;
BEGIN
    TRUNCATE source, target;
    INSERT INTO source TABLE whole;
    COMMIT;
    CALL stride.run_pipeline('target', source => 'source', transform => transform, transform_query => query,
                             on_conflict => on_conflict, delete_source => true, chunk_rows => 83, if_exists => 'new');
    SELECT format('%s, %s sink, %s read, %s written, %s filtered, %s suppressed', state, sink, rows_read, rows_written,
                  rows_filtered, rows_suppressed)
    INTO outcome FROM stride.jobs ORDER BY job_id DESC LIMIT 1;
    EXECUTE format('SELECT format(''%%s stayed, %%s wrong, %%s moved, %%s not moved'', (SELECT count(*) FROM source),
        (SELECT count(*) FROM ((TABLE source EXCEPT ALL SELECT * FROM whole WHERE %1$s) UNION ALL
                               (SELECT * FROM whole WHERE %1$s EXCEPT ALL TABLE source)) AS d),
        (SELECT count(*) FROM target),
        (SELECT count(*) FROM whole WHERE NOT (%1$s) AND id NOT IN (SELECT id / 1 FROM target)))', stays)
    INTO there;
    RAISE WARNING E'%\n         %', outcome, there;
END $$;

CREATE FUNCTION low(s source) RETURNS target IMMUTABLE LANGUAGE sql AS $$ SELECT s.id, s.part, upper(s.note) WHERE s.part < 2 $$;
CREATE FUNCTION low_plpgsql(s source) RETURNS target LANGUAGE plpgsql
    AS $$ BEGIN IF s.part < 2 THEN RETURN (s.id, s.part, s.note); END IF; RETURN NULL; END $$;
CREATE FUNCTION several(s source) RETURNS SETOF target LANGUAGE sql
    AS $$ SELECT s.id + 10000 * i, s.part, s.note FROM generate_series(0, s.part - 1) AS i $$;
CREATE FUNCTION batch(s source[]) RETURNS SETOF target LANGUAGE sql AS $$ SELECT * FROM unnest(s) AS x WHERE x.part < 4 $$;
SELECT stride.register_transform(f, (f || '(source)')::regprocedure) FROM unnest('{low,low_plpgsql,several}'::text[]) AS f;
SELECT stride.register_transform('batch', 'batch(source[])');

CALL move('false');
CALL move('false', query => 'SELECT id, part, upper(note) AS note FROM chunk');
CALL move('part >= 2', 'low');
CALL move('part >= 2', 'low_plpgsql');
CALL move('part = 0', 'several');
CALL move('false', 'batch');
-- Rows with one key collapse, and are moved together.
TRUNCATE source, target;
INSERT INTO source TABLE whole;
CALL stride.run_pipeline('target', source => 'source', transform_query => 'SELECT part AS id, part FROM chunk', delete_source => true,
                         on_conflict => 'update', chunk_rows => 83);
SELECT rows_read, rows_written + rows_suppressed AS written_or_suppressed, rows_suppressed > 500 AS most,
       (SELECT count(*) FROM source) AS stayed, (SELECT count(*) FROM target) AS there
FROM stride.jobs ORDER BY job_id DESC LIMIT 1;
CALL move('false', on_conflict => 'update');
CALL move('part >= 2', 'low', on_conflict => 'update');
-- Columns of the source that are called as the order of an upsert would be.
CREATE TABLE named ("key 1" int PRIMARY KEY, "key 2" text);
CREATE TABLE named_target (LIKE named INCLUDING ALL);
INSERT INTO named SELECT id, note FROM whole;
CALL stride.run_pipeline('named_target', source => 'named', delete_source => true, on_conflict => 'update', chunk_rows => 83);
SELECT (SELECT count(*) FROM named) AS stayed, count(*) AS moved FROM named_target JOIN whole ON id = "key 1" AND note = "key 2";

-- Triggers and foreign keys of both sides fire for each row.
CREATE TABLE log (what text);
CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN INSERT INTO log VALUES (TG_TABLE_NAME || ' ' || TG_OP); RETURN NULL; END $$;
CREATE TRIGGER note AFTER DELETE ON source FOR EACH ROW EXECUTE FUNCTION note();
CREATE TRIGGER note AFTER INSERT ON target FOR EACH ROW EXECUTE FUNCTION note();
CREATE TABLE child (id int REFERENCES source ON DELETE CASCADE);
TRUNCATE source, target, child;
INSERT INTO source TABLE whole;
INSERT INTO child SELECT id FROM source;
CALL stride.run_pipeline('target', source => 'source', delete_source => true, chunk_rows => 83, if_exists => 'new');
SELECT what, count(*), (SELECT count(*) FROM child) AS children FROM log GROUP BY 1 ORDER BY 1;
SELECT sink FROM stride.jobs ORDER BY job_id DESC LIMIT 1;
DROP TRIGGER note ON source;
DROP TRIGGER note ON target;
DROP TABLE child;

-- A failed chunk moves nothing, and what was moved stays so; a row that a trigger would lose fails the job.
TRUNCATE source, target;
INSERT INTO source TABLE whole;
INSERT INTO target VALUES (700, 0, 'in the way');
\set VERBOSITY sqlstate
CALL stride.run_pipeline('target', source => 'source', delete_source => true, chunk_rows => 50, workers => 1);
\set VERBOSITY default
SELECT (SELECT count(*) FROM source) + (SELECT count(*) FROM target) AS rows,
       (SELECT count(*) FROM source JOIN target USING (id)) AS in_both;
CREATE FUNCTION keep_out() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NULL; END $$;
CREATE TRIGGER keep_out BEFORE INSERT ON target FOR EACH ROW WHEN (NEW.id = 900) EXECUTE FUNCTION keep_out();
DELETE FROM target WHERE note = 'in the way';
\set VERBOSITY sqlstate
CALL stride.run_pipeline('target', source => 'source', delete_source => true, chunk_rows => 50, workers => 1, if_exists => 'new');
\set VERBOSITY default
SELECT error_sqlstate, error_message, error_hint FROM stride.jobs ORDER BY job_id DESC LIMIT 1 \gx
SELECT count(*) FROM source WHERE id = 900;
DROP TRIGGER keep_out ON target;

-- DELETE on the source is enough for it, and is needed; row security decides which rows are moved.
CREATE ROLE regress_stride_mover LOGIN;
GRANT USAGE ON SCHEMA stride, moves TO regress_stride_mover;
GRANT SELECT ON source TO regress_stride_mover;
GRANT INSERT ON target TO regress_stride_mover;
TRUNCATE source, target;
INSERT INTO source TABLE whole;
SET ROLE regress_stride_mover;
SELECT stride.register_transform('low', 'low(source)');
SELECT stride.submit_pipeline('target', source => 'source', transform => 'low', delete_source => true);
RESET ROLE;
GRANT DELETE ON source TO regress_stride_mover;
ALTER TABLE source ENABLE ROW LEVEL SECURITY;
CREATE POLICY seen ON source FOR SELECT TO regress_stride_mover USING (id <= 600);
CREATE POLICY deletable ON source FOR DELETE TO regress_stride_mover USING (id <= 300);
SET ROLE regress_stride_mover;
CALL stride.run_pipeline('target', source => 'source', transform => 'low', delete_source => true, chunk_rows => 83);
RESET ROLE;
SELECT (SELECT count(*) FROM source WHERE id <= 300) AS stayed, (SELECT count(*) FROM source WHERE id > 300) AS others, count(*) AS moved
FROM target;

-- A query needs the right to the columns that it reads, and no others; one that reads none moves rows as well.
REVOKE SELECT ON source FROM regress_stride_mover;
GRANT SELECT (id, part) ON source TO regress_stride_mover;
SET ROLE regress_stride_mover;
SELECT stride.submit_pipeline('target', source => 'source', delete_source => true, transform_query => 'SELECT c.id, c::text AS note FROM chunk AS c');
CALL stride.run_pipeline('target', source => 'source', delete_source => true, chunk_rows => 83,
                         transform_query => 'SELECT c.id, 7 AS part FROM chunk AS c');
RESET ROLE;
SELECT (SELECT count(*) FROM source WHERE id <= 300) AS stayed, (SELECT count(*) FROM source WHERE id > 300) AS others, count(*) AS moved
FROM target WHERE part = 7;
CREATE TABLE counted (one int, at timestamptz DEFAULT now());
CALL stride.run_pipeline('counted', source => 'target', delete_source => true, transform_query => 'SELECT 1 AS one FROM chunk');
SELECT count(*) FROM counted;

-- What would lose rows is refused.
\pset format unaligned
\pset tuples_only on
SELECT stride.submit_pipeline('target', source => 'whole', delete_source => true, on_conflict => 'nothing'); \echo :SQLSTATE
SELECT stride.submit_pipeline('target', source => 'whole', delete_source => true, transform_query => 'SELECT * FROM chunk WHERE part = 1'); \echo :SQLSTATE
SELECT stride.submit_pipeline('target', source => 'whole', delete_source => true, transform_query => 'SELECT c.* FROM chunk AS c JOIN log ON note = what'); \echo :SQLSTATE
SELECT stride.submit_pipeline('target', source => 'whole', delete_source => true, transform_query => 'SELECT id, unnest(ARRAY[part]) AS part FROM chunk'); \echo :SQLSTATE
SELECT stride.submit_pipeline('target', source => 'whole', delete_source => true, transform_query => 'SELECT id FROM chunk UNION ALL SELECT 1'); \echo :SQLSTATE
SELECT stride.submit_pipeline('target', source => 'whole', delete_source => true, transform_query => 'SELECT * FROM chunk LIMIT 5'); \echo :SQLSTATE
SELECT stride.submit_pipeline('target', source => 'whole', delete_source => true, transform_query => 'SELECT id, (SELECT count(*)::int FROM whole) AS part FROM chunk'); \echo :SQLSTATE
SELECT stride.submit_pipeline('target', source => 'target', delete_source => true); \echo :SQLSTATE
-- By foreign keys: of the source, by way of another table, of the target; one that only forbids is none of these.
CREATE TABLE tree (id int PRIMARY KEY, part int CONSTRAINT up REFERENCES tree ON DELETE CASCADE, note text);
SELECT stride.submit_pipeline('target', source => 'tree', delete_source => true); \echo :SQLSTATE
ALTER TABLE tree DROP CONSTRAINT up, ADD CONSTRAINT up FOREIGN KEY (part) REFERENCES tree ON DELETE SET NULL;
SELECT stride.submit_pipeline('target', source => 'tree', delete_source => true); \echo :SQLSTATE
CREATE TABLE branch (id int PRIMARY KEY REFERENCES tree ON DELETE CASCADE);
ALTER TABLE tree DROP CONSTRAINT up, ADD CONSTRAINT up FOREIGN KEY (part) REFERENCES branch ON DELETE SET DEFAULT;
SELECT stride.submit_pipeline('target', source => 'tree', delete_source => true); \echo :SQLSTATE
ALTER TABLE tree DROP CONSTRAINT up;
TRUNCATE target;
ALTER TABLE target ADD CONSTRAINT down FOREIGN KEY (part) REFERENCES branch ON DELETE CASCADE;
SELECT stride.submit_pipeline('target', source => 'tree', delete_source => true); \echo :SQLSTATE
ALTER TABLE target DROP CONSTRAINT down, ADD CONSTRAINT down FOREIGN KEY (part) REFERENCES branch;
SELECT count(*) > 0 FROM stride.explain_pipeline('target', source => 'tree', delete_source => true);
\pset format aligned
\pset tuples_only off
SELECT * FROM stride.check_invariants() WHERE NOT ok;
DROP OWNED BY regress_stride_mover;
DROP ROLE regress_stride_mover;
