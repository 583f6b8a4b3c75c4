-- The bulk sink against the executor's own statement: the same rows, the same errors, the same trigger log.
SET client_min_messages = warning;
SET stride.progress_interval = 0;
CREATE SCHEMA sinks;
SET search_path = sinks, public;

CREATE TABLE source (id int PRIMARY KEY, gone int, v text, wide text);
INSERT INTO source SELECT g, g, 'value ' || g, CASE WHEN g % 50 = 0 THEN (SELECT string_agg(md5((g * i)::text), '') FROM generate_series(1, 3000) AS i) ELSE repeat('x', g * 10) END FROM generate_series(1, 500) AS g;
ALTER TABLE source DROP COLUMN gone;
CREATE TABLE parents (id int PRIMARY KEY);
INSERT INTO parents SELECT generate_series(1, 1000);
CREATE TABLE log (target text, id int, op text);
CREATE FUNCTION log_row() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN INSERT INTO sinks.log VALUES (tg_argv[0], new.id, tg_op); RETURN new; END$$;
CREATE FUNCTION log_statement() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN INSERT INTO sinks.log VALUES (tg_argv[0], -1, tg_when || ' statement'); RETURN NULL; END$$;
CREATE FUNCTION count_new() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN INSERT INTO sinks.log SELECT tg_argv[0], count(*), 'new' FROM fresh; RETURN NULL; END$$;
CREATE FUNCTION bump() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN new.v := new.v || '!'; RETURN new; END$$;
CREATE DOMAIN short AS text CHECK (length(value) < 20);

-- Makes the target twice (%T and its name as text %N in the DDL), fills one by each sink, and says what differs.
CREATE PROCEDURE compare(what text, ddl text, statement text) LANGUAGE plpgsql AS $$
DECLARE
    made text;
    taken text[] := '{}';
    result text[] := '{}';
    differences bigint;
    logged bigint;
BEGIN
    DROP TABLE IF EXISTS by_bulk, by_statement CASCADE;
    TRUNCATE log;
    FOREACH made IN ARRAY ARRAY['by_bulk', 'by_statement'] LOOP
        EXECUTE replace(ddl, '%T', made);
        COMMIT;
        PERFORM stride.submit(replace(statement, '%T', made), name => what || ' ' || made, chunk_rows => 70, workers => 1, if_exists => 'new', settings => jsonb_build_object('sink', CASE made WHEN 'by_bulk' THEN 'auto' ELSE 'statement' END));
        COMMIT;
        FOR i IN 1 .. 400 LOOP
            EXIT WHEN EXISTS (SELECT FROM stride.jobs WHERE name = what || ' ' || made AND finished_at IS NOT NULL);
            COMMIT;
            PERFORM pg_sleep(0.02);
        END LOOP;
        SELECT taken || sink, result || concat_ws(' ', state, error_sqlstate, replace(error_message, made, 'T')) INTO taken, result FROM stride.jobs WHERE name = what || ' ' || made;
    END LOOP;
    SELECT count(*) INTO differences FROM ((TABLE by_bulk EXCEPT ALL TABLE by_statement) UNION ALL (TABLE by_statement EXCEPT ALL TABLE by_bulk)) AS d;
    SELECT count(*) INTO logged FROM (SELECT id, op, count(*) FILTER (WHERE l.target = 'by_bulk') AS a, count(*) FILTER (WHERE l.target = 'by_statement') AS b FROM log AS l GROUP BY id, op) AS s WHERE a <> b;
    RAISE WARNING '%: % | % | % rows, % differences, % log differences', what, taken, CASE WHEN result[1] = result[2] THEN result[1] ELSE result::text END, (SELECT count(*) FROM by_bulk), differences, logged;
END $$;

CALL compare('plain', 'CREATE TABLE %T (id int, v text)', 'INSERT INTO %T SELECT id, v FROM source');
CALL compare('primary key', 'CREATE TABLE %T (id int PRIMARY KEY, v text)', 'INSERT INTO %T SELECT id, v FROM source');
CALL compare('wide rows', 'CREATE TABLE %T (id int PRIMARY KEY, w text)', 'INSERT INTO %T SELECT id, wide FROM source');
CALL compare('fillfactor', 'CREATE TABLE %T (id int PRIMARY KEY, w text) WITH (fillfactor = 30)', 'INSERT INTO %T SELECT id, wide FROM source');
CALL compare('defaults', $$CREATE TABLE %T (id int, n serial, at date DEFAULT '2026-01-01', ident int GENERATED ALWAYS AS IDENTITY, v text)$$, 'INSERT INTO %T (id, v) SELECT id, v FROM source');
CALL compare('generated', 'CREATE TABLE %T (id int, doubled int GENERATED ALWAYS AS (id * 2) STORED, v text, UNIQUE (doubled))', 'INSERT INTO %T (v, id) SELECT v, id FROM source');
CALL compare('casts', 'CREATE TABLE %T (id bigint, v varchar(9), n numeric(6,1))', 'INSERT INTO %T SELECT id, left(v, 9), id / 3.0 FROM source');
CALL compare('domain', 'CREATE TABLE %T (id int, v short)', 'INSERT INTO %T SELECT id, v FROM source');
CALL compare('domain broken', 'CREATE TABLE %T (id int, v short)', $$INSERT INTO %T SELECT id, CASE id WHEN 300 THEN repeat(v, 9) ELSE v END FROM source$$);
CALL compare('check', 'CREATE TABLE %T (id int CHECK (id <> 300), v text)', 'INSERT INTO %T SELECT id, v FROM source');
CALL compare('not null', 'CREATE TABLE %T (id int, v text NOT NULL)', 'INSERT INTO %T SELECT id, nullif(v, $$value 300$$) FROM source');
CALL compare('unique', 'CREATE TABLE %T (id int, v text UNIQUE)', 'INSERT INTO %T SELECT id, CASE id WHEN 300 THEN $$value 299$$ ELSE v END FROM source');
CALL compare('deferrable', 'CREATE TABLE %T (id int UNIQUE DEFERRABLE INITIALLY DEFERRED, v text)', 'INSERT INTO %T SELECT CASE id WHEN 300 THEN 299 ELSE id END, v FROM source');
CALL compare('exclusion', 'CREATE TABLE %T (r int4range, v text, EXCLUDE USING gist (r WITH &&))', 'INSERT INTO %T SELECT int4range(id, id + CASE id WHEN 300 THEN 2 ELSE 1 END), v FROM source');
CALL compare('indexes', 'CREATE TABLE %T (id int PRIMARY KEY, v text); CREATE INDEX ON %T (lower(v)); CREATE INDEX ON %T (v) WHERE id > 100; CREATE INDEX ON %T USING hash (v); CREATE INDEX ON %T USING brin (id); CREATE INDEX ON %T USING gin (string_to_array(v, $$ $$))', 'INSERT INTO %T SELECT id, v FROM source');
CALL compare('after row', $$CREATE TABLE %T (id int, v text); CREATE TRIGGER a AFTER INSERT ON %T FOR EACH ROW EXECUTE FUNCTION log_row('%T')$$, 'INSERT INTO %T SELECT id, v FROM source');
CALL compare('statement triggers', $$CREATE TABLE %T (id int, v text); CREATE TRIGGER a BEFORE INSERT ON %T EXECUTE FUNCTION log_statement('%T'); CREATE TRIGGER b AFTER INSERT ON %T EXECUTE FUNCTION log_statement('%T')$$, 'INSERT INTO %T SELECT id, v FROM source');
CALL compare('transition table', $$CREATE TABLE %T (id int, v text); CREATE TRIGGER a AFTER INSERT ON %T REFERENCING NEW TABLE AS fresh EXECUTE FUNCTION count_new('%T')$$, 'INSERT INTO %T SELECT id, v FROM source');
CALL compare('before row', 'CREATE TABLE %T (id int, v text); CREATE TRIGGER a BEFORE INSERT ON %T FOR EACH ROW EXECUTE FUNCTION bump()', 'INSERT INTO %T SELECT id, v FROM source');
CALL compare('foreign key', 'CREATE TABLE %T (id int REFERENCES parents, v text)', 'INSERT INTO %T SELECT id, v FROM source');
CALL compare('orphan', 'CREATE TABLE %T (id int REFERENCES parents, v text)', 'INSERT INTO %T SELECT CASE id WHEN 300 THEN 3000 ELSE id END, v FROM source');
CALL compare('deferred key', 'CREATE TABLE %T (id int REFERENCES parents DEFERRABLE INITIALLY DEFERRED, v text)', 'INSERT INTO %T SELECT CASE id WHEN 300 THEN 3000 ELSE id END, v FROM source');
CALL compare('dropped column', 'CREATE TABLE %T (id int, gone int, v text); ALTER TABLE %T DROP COLUMN gone; ALTER TABLE %T ADD COLUMN late int DEFAULT 5', 'INSERT INTO %T (v, id) SELECT v, id FROM source');
CALL compare('partitions', 'CREATE TABLE %T (id int NOT NULL, v text) PARTITION BY RANGE (id); CREATE TABLE %T_1 PARTITION OF %T FOR VALUES FROM (0) TO (100); CREATE TABLE %T_2 (v text, gone int, id int NOT NULL); ALTER TABLE %T_2 DROP COLUMN gone; ALTER TABLE %T ATTACH PARTITION %T_2 FOR VALUES FROM (100) TO (350); CREATE TABLE %T_3 PARTITION OF %T DEFAULT PARTITION BY HASH (v); CREATE TABLE %T_4 PARTITION OF %T_3 FOR VALUES WITH (MODULUS 2, REMAINDER 0); CREATE TABLE %T_5 PARTITION OF %T_3 FOR VALUES WITH (MODULUS 2, REMAINDER 1); CREATE UNIQUE INDEX ON %T_2 (id)', 'INSERT INTO %T SELECT id, v FROM source ORDER BY v');
CALL compare('no partition', 'CREATE TABLE %T (id int NOT NULL, v text) PARTITION BY RANGE (id); CREATE TABLE %T_1 PARTITION OF %T FOR VALUES FROM (0) TO (300)', 'INSERT INTO %T SELECT id, v FROM source');
CALL compare('a partition itself', 'CREATE TABLE %T_p (id int, v text) PARTITION BY RANGE (id); CREATE TABLE %T PARTITION OF %T_p FOR VALUES FROM (0) TO (300)', 'INSERT INTO %T SELECT id, v FROM source');
CALL compare('on conflict', 'CREATE TABLE %T (id int PRIMARY KEY, v text)', 'INSERT INTO %T SELECT id / 2, v FROM source ON CONFLICT DO NOTHING');

-- A privilege that is missing is missing for both, though it goes after the submission.
CREATE ROLE regress_stride_sink LOGIN;
GRANT USAGE ON SCHEMA stride, sinks TO regress_stride_sink;
GRANT SELECT ON source TO regress_stride_sink;
CREATE TABLE guarded (id int, v text, secret text);
GRANT INSERT (id, v) ON guarded TO regress_stride_sink;
SET ROLE regress_stride_sink;
CALL stride.run('INSERT INTO guarded (id, v) SELECT id, v FROM source');
SELECT sink, state FROM stride.jobs;
\set VERBOSITY sqlstate
CALL stride.run('INSERT INTO guarded SELECT id, v, v FROM source');
\set VERBOSITY default
RESET ROLE;
ALTER TABLE guarded ENABLE ROW LEVEL SECURITY;
CREATE POLICY p ON guarded FOR INSERT WITH CHECK (id <> 300);
SET ROLE regress_stride_sink;
SELECT value FROM stride.explain('INSERT INTO guarded (id, v) SELECT id, v FROM source') WHERE item = 'sink reason';
RESET ROLE;
SELECT count(*) FROM guarded;

CREATE EXTENSION amcheck;
CREATE TABLE checked (id int PRIMARY KEY, w text);
CALL stride.run('INSERT INTO checked SELECT id, wide FROM source', chunk_rows => 60);
SELECT count(*) FROM verify_heapam('checked');
SELECT bt_index_check('checked_pkey', true);

SELECT invariant, detail FROM stride.check_invariants() WHERE NOT ok;
DROP EXTENSION amcheck;
RESET search_path;
DROP SCHEMA sinks CASCADE;
DROP OWNED BY regress_stride_sink;
DROP ROLE regress_stride_sink;
