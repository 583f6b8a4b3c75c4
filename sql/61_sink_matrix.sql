-- The bulk sink against the executor's own statement: each shape of target, filled with good rows and with each kind of bad
-- row, once with the sink that the job chooses and once by the executor.  A cell of the table at the end holds what both
-- jobs came to: ok or the SQLSTATE, where rows, error (message and detail too) and trigger log are the same.
SET client_min_messages = warning;
CREATE EXTENSION amcheck;
CREATE EXTENSION postgres_fdw;
CREATE ROLE regress_stride_matrix LOGIN NOINHERIT;
CREATE ROLE regress_stride_keeper;
GRANT USAGE ON SCHEMA stride TO regress_stride_matrix;
CREATE SCHEMA matrix AUTHORIZATION regress_stride_matrix;
CREATE SCHEMA by_auto AUTHORIZATION regress_stride_matrix;
CREATE SCHEMA by_statement AUTHORIZATION regress_stride_matrix;
DO $$BEGIN
    EXECUTE format('CREATE SERVER loopback FOREIGN DATA WRAPPER postgres_fdw OPTIONS (host %L, port %L, dbname %L)', split_part(current_setting('unix_socket_directories'), ', ', 1), current_setting('port'), current_database());
END$$;
CREATE USER MAPPING FOR regress_stride_matrix SERVER loopback OPTIONS (user 'regress_stride_matrix', password_required 'false');
GRANT USAGE ON FOREIGN SERVER loopback TO regress_stride_matrix;
GRANT regress_stride_keeper TO regress_stride_matrix;
GRANT ALL ON SCHEMA by_auto, by_statement TO regress_stride_keeper;

SET ROLE regress_stride_matrix;
SET search_path = matrix, public;

-- Rows 1 to 120; in each table but the first, row 100 is bad in one way or another.
CREATE TABLE good AS SELECT g AS id, g AS k, 'value ' || g AS v, (SELECT string_agg(md5((g * i)::text), '') FROM generate_series(1, g % 7 * 60) AS i) AS w FROM generate_series(1, 120) AS g;
CREATE TABLE nothing AS SELECT id, k, CASE id WHEN 100 THEN NULL ELSE v END AS v, w FROM good;
CREATE TABLE double AS SELECT id, CASE id WHEN 100 THEN 99 ELSE k END AS k, v, w FROM good;
CREATE TABLE negative AS SELECT id, CASE id WHEN 100 THEN -100 ELSE k END AS k, v, w FROM good;
CREATE TABLE long AS SELECT id, k, CASE id WHEN 100 THEN repeat(v, 9) ELSE v END AS v, w FROM good;
DO $$BEGIN
    FOR i IN 1 .. 5 LOOP
        EXECUTE format('ALTER TABLE %I ADD PRIMARY KEY (id)', ('{good,nothing,double,negative,long}'::text[])[i]);
    END LOOP;
END$$;
CREATE TABLE parents AS SELECT generate_series(1, 1000) AS id;
ALTER TABLE parents ADD PRIMARY KEY (id);
CREATE TABLE log (n int GENERATED ALWAYS AS IDENTITY, target text, what text);
CREATE DOMAIN short AS text NOT NULL CHECK (length(value) < 20);
CREATE TYPE pair AS (k int, v text);

CREATE FUNCTION log_row() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN INSERT INTO matrix.log (target, what) VALUES (tg_table_schema || '.' || tg_argv[0], format('%s %s %s %s', tg_name, tg_when, new.k, new.v)); RETURN new; END$$;
CREATE FUNCTION log_statement() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN INSERT INTO matrix.log (target, what) VALUES (tg_table_schema || '.' || tg_argv[0], format('%s %s statement', tg_name, tg_when)); RETURN NULL; END$$;
CREATE FUNCTION log_new() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN INSERT INTO matrix.log (target, what) SELECT tg_table_schema || '.' || tg_argv[0], format('%s rows, %s', count(*), sum(k)) FROM fresh; RETURN NULL; END$$;
CREATE FUNCTION bump() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN IF new.k % 10 = 0 THEN RETURN NULL; END IF; new.v := new.v || '!'; RETURN new; END$$;
CREATE FUNCTION rows_in(target text) RETURNS bigint LANGUAGE plpgsql VOLATILE AS $$DECLARE n bigint; BEGIN EXECUTE 'SELECT count(*) FROM ' || target INTO n; RETURN n; END$$;
CREATE FUNCTION is_rare(text) RETURNS boolean LANGUAGE plpgsql VOLATILE AS $$BEGIN RETURN matrix.rows_in(split_part($1, ' ', 1)) % 7 = 0; END$$;

-- In ddl and statement: %T the target, %S its schema, %R the source.  `compared`: the columns that both must have alike.
CREATE TABLE shapes (shape text, ddl text, statement text DEFAULT 'INSERT INTO %T (k, v) SELECT k, v FROM %R', compared text DEFAULT '*', n int GENERATED ALWAYS AS IDENTITY);
INSERT INTO shapes (shape, ddl, statement, compared) VALUES
    ('plain', 'CREATE TABLE %T (k int, v text)', DEFAULT, DEFAULT),
    ('primary key', 'CREATE TABLE %T (k int PRIMARY KEY, v text)', DEFAULT, DEFAULT),
    ('not null', 'CREATE TABLE %T (k int, v text NOT NULL)', DEFAULT, DEFAULT),
    ('check', 'CREATE TABLE %T (k int CHECK (k > 0), v text, CHECK (length(v) < 20))', DEFAULT, DEFAULT),
    ('casts', 'CREATE TABLE %T (k numeric(4,1), v varchar(20))', DEFAULT, DEFAULT),
    ('domain', 'CREATE TABLE %T (k int, v matrix.short)', DEFAULT, DEFAULT),
    ('types', $$CREATE TABLE %T (k int, v text, p matrix.pair, a int[], j jsonb, r int4range)$$, $$INSERT INTO %T SELECT k, v, ROW(k, v)::pair, ARRAY[k, id], jsonb_build_object(v, k), int4range(least(0, k), 500) FROM %R WHERE v IS NOT NULL$$, DEFAULT),
    ('no columns given', 'CREATE TABLE %T (id int, k int, v text, w text)', 'INSERT INTO %T SELECT * FROM %R', DEFAULT),
    ('toast', 'CREATE TABLE %T (k int PRIMARY KEY, v text, w text); ALTER TABLE %T ALTER w SET STORAGE EXTERNAL', 'INSERT INTO %T SELECT k, v, w || w FROM %R', DEFAULT),
    ('fill factor', 'CREATE TABLE %T (k int PRIMARY KEY, v text, w text) WITH (fillfactor = 20)', 'INSERT INTO %T SELECT k, v, w FROM %R', DEFAULT),
    ('dropped columns', 'CREATE TABLE %T (gone int, v text, lost int NOT NULL, k int); ALTER TABLE %T DROP gone, DROP lost, ADD late int DEFAULT 5', DEFAULT, DEFAULT),
    ('indexes', 'CREATE TABLE %T (k int UNIQUE, v text); CREATE INDEX ON %T (lower(v)); CREATE INDEX ON %T (v) WHERE k > 50; CREATE INDEX ON %T USING hash (v); CREATE INDEX ON %T USING brin (k); CREATE INDEX ON %T USING gin (string_to_array(v, $$ $$)); CREATE UNIQUE INDEX ON %T (abs(k), v)', DEFAULT, DEFAULT),
    ('nulls not distinct', 'CREATE TABLE %T (k int, v text, u text UNIQUE NULLS NOT DISTINCT)', 'INSERT INTO %T SELECT k, v, CASE WHEN id = 1 OR v IS NULL OR k < 0 THEN NULL ELSE v END FROM %R', DEFAULT),
    ('defaults', $$CREATE TABLE %T (k int, v text, n serial, at timestamptz DEFAULT clock_timestamp(), r float DEFAULT random(), u uuid DEFAULT gen_random_uuid(), d date DEFAULT '2026-01-01')$$, DEFAULT, 'k, v, n, d'),
    ('generated', 'CREATE TABLE %T (d int GENERATED ALWAYS AS (k * 2) STORED UNIQUE CHECK (d > 0), v text, k int, l text GENERATED ALWAYS AS (upper(v)) STORED NOT NULL)', DEFAULT, DEFAULT),
    ('identity always', 'CREATE TABLE %T (n int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, k int, v text)', DEFAULT, DEFAULT),
    ('identity given', 'CREATE TABLE %T (n int GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY, k int, v text)', 'INSERT INTO %T (n, k, v) SELECT k, k, v FROM %R', DEFAULT),
    ('identity overridden', 'CREATE TABLE %T (n int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, k int, v text)', 'INSERT INTO %T (n, k, v) OVERRIDING SYSTEM VALUE SELECT k, k, v FROM %R', DEFAULT),
    ('foreign key', 'CREATE TABLE %T (k int REFERENCES matrix.parents, v text)', DEFAULT, DEFAULT),
    ('foreign key deferred', 'CREATE TABLE %T (k int REFERENCES matrix.parents DEFERRABLE INITIALLY DEFERRED, v text)', DEFAULT, DEFAULT),
    ('foreign key to itself', 'CREATE TABLE %T (k int PRIMARY KEY, v text, up int REFERENCES %T)', 'INSERT INTO %T SELECT k, v, nullif(id - 1, 0) FROM %R', DEFAULT),
    ('referenced', 'CREATE TABLE %T (k int PRIMARY KEY, v text); CREATE TABLE %T_child (k int REFERENCES %T)', DEFAULT, DEFAULT),
    ('unique deferred', 'CREATE TABLE %T (k int UNIQUE DEFERRABLE INITIALLY DEFERRED, v text)', DEFAULT, DEFAULT),
    ('unique deferrable', 'CREATE TABLE %T (k int UNIQUE DEFERRABLE, v text)', DEFAULT, DEFAULT),
    ('unique deferred, mended', 'CREATE TABLE %T (k int UNIQUE DEFERRABLE INITIALLY DEFERRED, v text); CREATE FUNCTION %T_mend() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN UPDATE %T SET k = 1000 WHERE v = new.v AND k = 99 AND v <> $x$value 99$x$; RETURN NULL; END$$; CREATE TRIGGER a AFTER INSERT ON %T FOR EACH ROW EXECUTE FUNCTION %T_mend()', DEFAULT, DEFAULT),
    ('exclusion', 'CREATE TABLE %T (k int4range, v text, EXCLUDE USING gist (k WITH &&))', 'INSERT INTO %T SELECT int4range(k, k + 1), v FROM %R', DEFAULT),
    ('exclusion deferred', 'CREATE TABLE %T (k int4range, v text, EXCLUDE USING gist (k WITH &&) DEFERRABLE INITIALLY DEFERRED)', 'INSERT INTO %T SELECT int4range(k, k + 1), v FROM %R', DEFAULT),
    ('after row', $$CREATE TABLE %T (k int CHECK (k > 0), v text NOT NULL); CREATE TRIGGER a AFTER INSERT ON %T FOR EACH ROW EXECUTE FUNCTION matrix.log_row('%N'); CREATE TRIGGER b AFTER INSERT ON %T FOR EACH ROW WHEN (new.k % 3 = 0) EXECUTE FUNCTION matrix.log_row('%N')$$, DEFAULT, DEFAULT),
    ('after row deferred', $$CREATE TABLE %T (k int UNIQUE, v text); CREATE CONSTRAINT TRIGGER a AFTER INSERT ON %T DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION matrix.log_row('%N')$$, DEFAULT, DEFAULT),
    ('statement triggers', $$CREATE TABLE %T (k int UNIQUE, v text); CREATE TRIGGER a BEFORE INSERT ON %T EXECUTE FUNCTION matrix.log_statement('%N'); CREATE TRIGGER b AFTER INSERT ON %T EXECUTE FUNCTION matrix.log_statement('%N'); CREATE TRIGGER c AFTER INSERT ON %T FOR EACH ROW EXECUTE FUNCTION matrix.log_row('%N')$$, DEFAULT, DEFAULT),
    ('disabled trigger', $$CREATE TABLE %T (k int, v text); CREATE TRIGGER a AFTER INSERT ON %T FOR EACH ROW EXECUTE FUNCTION matrix.log_row('%N'); ALTER TABLE %T DISABLE TRIGGER a$$, DEFAULT, DEFAULT),
    ('transition table', $$CREATE TABLE %T (k int, v text); CREATE TRIGGER a AFTER INSERT ON %T REFERENCING NEW TABLE AS fresh EXECUTE FUNCTION matrix.log_new('%N')$$, DEFAULT, DEFAULT),
    ('before row', 'CREATE TABLE %T (k int UNIQUE, v text NOT NULL); CREATE TRIGGER a BEFORE INSERT ON %T FOR EACH ROW EXECUTE FUNCTION matrix.bump()', DEFAULT, DEFAULT),
    ('inheritance parent', 'CREATE TABLE %T (k int, v text); CREATE TABLE %T_child () INHERITS (%T)', DEFAULT, DEFAULT),
    ('partitions', 'CREATE TABLE %T (k int NOT NULL, v text) PARTITION BY RANGE (k); CREATE TABLE %T_1 PARTITION OF %T FOR VALUES FROM (0) TO (40); CREATE TABLE %T_2 (v text, gone int, k int NOT NULL UNIQUE); ALTER TABLE %T_2 DROP gone; ALTER TABLE %T ATTACH PARTITION %T_2 FOR VALUES FROM (40) TO (110); CREATE TABLE %T_3 PARTITION OF %T FOR VALUES FROM (110) TO (1000) PARTITION BY HASH (v); CREATE TABLE %T_4 (gone int, v text, k int NOT NULL); ALTER TABLE %T_4 DROP gone; ALTER TABLE %T_3 ATTACH PARTITION %T_4 FOR VALUES WITH (MODULUS 2, REMAINDER 0); CREATE TABLE %T_5 PARTITION OF %T_3 (CHECK (length(v) < 100)) FOR VALUES WITH (MODULUS 2, REMAINDER 1)', 'INSERT INTO %T SELECT k, v FROM %R ORDER BY id % 7', DEFAULT),
    ('partitions with triggers', $$CREATE TABLE %T (k int REFERENCES matrix.parents, v text, d int GENERATED ALWAYS AS (k + 1) STORED, PRIMARY KEY (k)) PARTITION BY HASH (k); CREATE TABLE %T_1 PARTITION OF %T FOR VALUES WITH (MODULUS 2, REMAINDER 0); CREATE TABLE %T_2 (v text NOT NULL, d int GENERATED ALWAYS AS (k + 1) STORED, k int NOT NULL); ALTER TABLE %T ATTACH PARTITION %T_2 FOR VALUES WITH (MODULUS 2, REMAINDER 1); CREATE TRIGGER a AFTER INSERT ON %T FOR EACH ROW EXECUTE FUNCTION matrix.log_row('%N'); CREATE TRIGGER b AFTER INSERT ON %T EXECUTE FUNCTION matrix.log_statement('%N')$$, DEFAULT, DEFAULT),
    ('partitions with keys', 'CREATE TABLE %T (k int PRIMARY KEY REFERENCES matrix.parents, v text NOT NULL, d int GENERATED ALWAYS AS (k + 1) STORED) PARTITION BY HASH (k); CREATE TABLE %T_1 PARTITION OF %T FOR VALUES WITH (MODULUS 2, REMAINDER 0); CREATE TABLE %T_2 (d int GENERATED ALWAYS AS (k + 1) STORED, v text NOT NULL, k int NOT NULL); ALTER TABLE %T ATTACH PARTITION %T_2 FOR VALUES WITH (MODULUS 2, REMAINDER 1)', DEFAULT, DEFAULT),
    ('before row of a leaf', 'CREATE TABLE %T (k int, v text) PARTITION BY RANGE (k); CREATE TABLE %T_1 PARTITION OF %T DEFAULT; CREATE TRIGGER a BEFORE INSERT ON %T_1 FOR EACH ROW EXECUTE FUNCTION matrix.bump()', DEFAULT, DEFAULT),
    ('a leaf itself', 'CREATE TABLE %T_p (v text, k int) PARTITION BY RANGE (k); CREATE TABLE %T PARTITION OF %T_p FOR VALUES FROM (0) TO (1000)', DEFAULT, DEFAULT),
    ('row security', 'CREATE TABLE %T (k int, v text); ALTER TABLE %T ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY; CREATE POLICY p ON %T USING (true) WITH CHECK (k > 0)', DEFAULT, DEFAULT),
    ('privilege on columns', 'SET LOCAL ROLE regress_stride_keeper; CREATE TABLE %T (k int UNIQUE, v text, secret text); GRANT SELECT, INSERT (k, v) ON %T TO regress_stride_matrix; SET LOCAL ROLE regress_stride_matrix', DEFAULT, DEFAULT),
    ('privilege missing', 'SET LOCAL ROLE regress_stride_keeper; CREATE TABLE %T (k int UNIQUE, v text, secret text); GRANT SELECT, INSERT (k, v) ON %T TO regress_stride_matrix; SET LOCAL ROLE regress_stride_matrix', 'INSERT INTO %T SELECT k, v, v FROM %R', DEFAULT),
    ('on conflict', 'CREATE TABLE %T (k int PRIMARY KEY, v text NOT NULL)', 'INSERT INTO %T SELECT k, v FROM %R ON CONFLICT DO NOTHING', DEFAULT),
    ('function reads target', 'CREATE TABLE %T (k int, v text, n bigint)', 'INSERT INTO %T SELECT k, v, rows_in($$%T$$) FROM %R', DEFAULT),
    ('join reads target', 'CREATE TABLE %T (k int, v text)', 'INSERT INTO %T SELECT r.k, r.v FROM %R AS r JOIN (VALUES (0), (1)) AS o (n) ON o.n = r.id % 2 AND rows_in($$%T$$) < 75 + o.n * 0 * r.id', DEFAULT),
    ('branch reads target', 'CREATE TABLE %T (k int, v text)', 'INSERT INTO %T SELECT r.k, r.v FROM %R AS r, LATERAL (SELECT 1 WHERE rows_in($$%T$$) < 75 + 0 * r.id UNION ALL SELECT 1 WHERE r.id < 0) AS o', DEFAULT),
    ('condition reads target', $x$CREATE TABLE %T (k int, v text); CREATE TRIGGER a AFTER INSERT ON %T FOR EACH ROW WHEN (matrix.rows_in($$%T$$) % 7 = 0) EXECUTE FUNCTION matrix.log_row('%N')$x$, DEFAULT, DEFAULT),
    ('default reads target', 'CREATE TABLE %T (k int, v text, n bigint DEFAULT matrix.rows_in($$%T$$))', DEFAULT, DEFAULT),
    ('check reads target', 'CREATE TABLE %T (k int, v text, CHECK (k < 0 OR matrix.rows_in($$%T$$) < 110))', DEFAULT, DEFAULT),
    ('domain reads target', 'CREATE TABLE %T (k int, v text); CREATE DOMAIN %T_d AS text CHECK (value IS NULL OR matrix.rows_in($$%T$$) < 110); ALTER TABLE %T ALTER v TYPE %T_d', DEFAULT, DEFAULT),
    ('unlogged', 'CREATE UNLOGGED TABLE %T (k int UNIQUE, v text)', DEFAULT, DEFAULT),
    ('foreign table', 'CREATE TABLE %T_there (k int UNIQUE, v text NOT NULL); CREATE FOREIGN TABLE %T (k int, v text) SERVER loopback OPTIONS (schema_name $$%S$$, table_name $$%N_there$$)', DEFAULT, DEFAULT),
    ('temporary', 'CREATE TEMP TABLE IF NOT EXISTS %N (k int, v text)', 'INSERT INTO pg_temp.%N SELECT k, v FROM %R', ''),
    ('view', 'CREATE TABLE %T_below (gone int, v text NOT NULL, k int UNIQUE, n int DEFAULT 7); ALTER TABLE %T_below DROP gone; CREATE VIEW %T AS SELECT k, v FROM %T_below', DEFAULT, DEFAULT),
    ('view with a default', 'CREATE TABLE %T_below (v text, k int CHECK (k > 0), n int) PARTITION BY HASH (k); CREATE TABLE %T_1 PARTITION OF %T_below FOR VALUES WITH (MODULUS 1, REMAINDER 0); CREATE VIEW %T AS SELECT k, n AS m, v FROM %T_below; ALTER VIEW %T ALTER m SET DEFAULT 3', DEFAULT, DEFAULT),
    ('view with a check', 'CREATE TABLE %T_below (k int, v text); CREATE VIEW %T_between AS SELECT v AS w, k FROM %T_below WHERE k > 0; CREATE VIEW %T AS SELECT k, w AS v FROM %T_between WITH CHECK OPTION', DEFAULT, DEFAULT),
    ('view of another role', 'SET LOCAL ROLE regress_stride_keeper; CREATE TABLE %T_below (k int UNIQUE, v text); CREATE VIEW %T AS TABLE %T_below; GRANT SELECT, INSERT ON %T TO regress_stride_matrix; SET LOCAL ROLE regress_stride_matrix', DEFAULT, DEFAULT),
    ('instead of', $$CREATE VIEW %T AS SELECT 1 AS k, ''::text AS v; CREATE TRIGGER a INSTEAD OF INSERT ON %T FOR EACH ROW EXECUTE FUNCTION matrix.log_row('%N')$$, DEFAULT, ''),
    ('materialized view', 'CREATE MATERIALIZED VIEW %T AS SELECT 1 AS k, $$$$::text AS v', DEFAULT, ''),
    ('rule', $$CREATE TABLE %T (k int, v text); CREATE RULE r AS ON INSERT TO %T DO ALSO INSERT INTO matrix.log (target, what) VALUES ('%T', 'rule')$$, DEFAULT, DEFAULT);

CREATE TABLE runs (shape text, n int, source text, way text, target text, compared text, job_id bigint, refused text);

-- Makes the targets and submits all jobs.
CREATE PROCEDURE submit_all() LANGUAGE plpgsql AS $$
DECLARE
    s shapes;
    kind text;
    way text;
    made text;
    job bigint;
    refusal text;
BEGIN
    FOR s IN SELECT * FROM shapes ORDER BY n LOOP
        FOREACH kind IN ARRAY '{good,nothing,double,negative,long}'::text[] LOOP
            FOREACH way IN ARRAY '{auto,statement}'::text[] LOOP
                made := format('t%s_%s', s.n, kind);
                EXECUTE replace(replace(replace(s.ddl, '%T', 'by_' || way || '.' || made), '%N', made), '%S', 'by_' || way);
                job := NULL;
                refusal := NULL;
                BEGIN
                    job := stride.submit(replace(replace(replace(s.statement, '%T', 'by_' || way || '.' || made), '%N', made), '%R', kind), workers => 1, chunk_rows => 50, settings => jsonb_build_object('sink', way, 'delivery', CASE WHEN s.shape IN ('unlogged', 'foreign table') THEN 'at_least_once' ELSE 'exactly_once' END));
                EXCEPTION WHEN OTHERS THEN
                    refusal := 'refused ' || sqlstate;
                END;
                INSERT INTO runs VALUES (s.shape, s.n, kind, way, made, s.compared, job, refusal);
                COMMIT;
            END LOOP;
        END LOOP;
    END LOOP;
END $$;

-- Waits for the jobs.
CREATE PROCEDURE wait_for_all() LANGUAGE plpgsql AS $$
BEGIN
    FOR i IN 1 .. 3000 LOOP
        EXIT WHEN NOT EXISTS (SELECT FROM runs JOIN stride.jobs USING (job_id) WHERE finished_at IS NULL);
        COMMIT;
        PERFORM pg_sleep(0.1);
    END LOOP;
END $$;

-- What a target holds, in no order; what its triggers have logged, in order; how the job ended.
CREATE FUNCTION outcome(run runs) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    held text;
    logged text;
    ended text;
BEGIN
    IF run.job_id IS NULL THEN RETURN run.refused; END IF;
    EXECUTE format('SELECT md5(string_agg(t::text, $x$, $x$ ORDER BY t::text)) FROM (SELECT %s FROM by_%s.%s) AS t', run.compared, run.way, run.target) INTO held;
    SELECT md5(string_agg(what, ', ' ORDER BY l.n)) INTO logged FROM log AS l WHERE l.target = 'by_' || run.way || '.' || run.target;
    SELECT concat_ws('|', state, error_sqlstate, replace(error_message, 'by_' || run.way, 'by'), replace(error_detail, 'by_' || run.way, 'by'), rows_read, rows_written) INTO ended FROM stride.jobs WHERE job_id = run.job_id;
    RETURN concat_ws('|', ended, held, logged);
END $$;

CALL submit_all();
CALL wait_for_all();

CREATE TABLE outcomes AS SELECT r.*, outcome(r) AS outcome FROM runs AS r;
CREATE TABLE cells AS
    SELECT a.shape, a.n, a.source, j.sink, j.sink_reason,
           CASE WHEN a.outcome = b.outcome THEN coalesce(a.refused, j.error_sqlstate, CASE j.state WHEN 'succeeded' THEN 'ok' ELSE j.state END)
                ELSE format('DIFFERENT: %s AND %s', a.outcome, b.outcome) END AS cell
    FROM outcomes AS a JOIN outcomes AS b ON a.way = 'auto' AND b.way = 'statement' AND (a.n, a.source) = (b.n, b.source)
         LEFT JOIN stride.jobs AS j ON j.job_id = a.job_id;
SELECT shape, string_agg(DISTINCT sink, '/') AS sink, max(cell) FILTER (WHERE source = 'good') AS good,
       max(cell) FILTER (WHERE source = 'nothing') AS "null", max(cell) FILTER (WHERE source = 'double') AS double,
       max(cell) FILTER (WHERE source = 'negative') AS negative, max(cell) FILTER (WHERE source = 'long') AS long
FROM cells GROUP BY n, shape ORDER BY n;
SELECT sink, sink_reason, string_agg(DISTINCT shape, ', ' ORDER BY shape) AS shapes FROM cells WHERE sink IS NOT NULL GROUP BY 1, 2 ORDER BY 1, 2;
-- The whole was no comparison of nothing with nothing.
SELECT count(*) AS jobs, sum(rows_written) > 50000 AS written, (SELECT count(*) > 1000 FROM log) AS logged FROM stride.jobs JOIN runs USING (job_id);

RESET ROLE;
SELECT count(*) AS corruptions FROM pg_class AS c CROSS JOIN LATERAL verify_heapam(c.oid) WHERE relnamespace = 'by_auto'::regnamespace AND relkind = 'r';
SELECT count(bt_index_check(indexrelid, true)) > 100 AS indexes_checked FROM pg_index JOIN pg_class AS c ON c.oid = indexrelid JOIN pg_am AS a ON a.oid = relam WHERE amname = 'btree' AND relkind = 'i' AND relnamespace = 'by_auto'::regnamespace;
SELECT invariant, detail FROM stride.check_invariants() WHERE NOT ok;
RESET search_path;
DROP SCHEMA by_auto, by_statement, matrix CASCADE;
DROP EXTENSION postgres_fdw CASCADE;
DROP EXTENSION amcheck;
DROP OWNED BY regress_stride_matrix, regress_stride_keeper;
DROP ROLE regress_stride_matrix, regress_stride_keeper;
