-- The key walk over every kind of key: each row exactly once, in chunks of 37, by two workers.
SET client_min_messages = warning;
SET stride.progress_interval = 0;
CREATE SCHEMA keys;
SET search_path = keys, public;

CREATE TYPE mood AS ENUM ('a', 'b', 'c', 'd', 'e');
CREATE DOMAIN positive AS bigint CHECK (value > 0);
CREATE DOMAIN temper AS mood;
CREATE COLLATION german (provider = icu, locale = 'de');

-- Makes a table t with the key columns given, 1000 rows from the expressions, walks it, and says how often rows were met.
CREATE PROCEDURE walk(columns text, key text, expressions text, wanted text DEFAULT NULL) LANGUAGE plpgsql AS $$
DECLARE
    met text;
BEGIN
    DROP TABLE IF EXISTS t;
    EXECUTE format('CREATE TABLE t (%s, n int DEFAULT 0)', columns);
    EXECUTE format('CREATE UNIQUE INDEX ON t (%s)', key);
    EXECUTE format('INSERT INTO t SELECT %s FROM generate_series(1, 1000) AS g', expressions);
    COMMIT;
    CALL stride.run('UPDATE t SET n = n + 1', chunk_rows => 37, workers => 2, if_exists => 'new', key => wanted::name[]);
    SELECT string_agg(format('%s times: %s rows', n, c), ', ') INTO met FROM (SELECT n, count(*) AS c FROM t GROUP BY n) AS s;
    RAISE WARNING '% -> %', key, met;
END $$;

CALL walk('k int NOT NULL', 'k', 'g');
CALL walk('k bigint NOT NULL', 'k DESC', 'g::bigint * 1000000007');
CALL walk('k smallint NOT NULL', 'k', 'g');
CALL walk('k uuid NOT NULL', 'k', $$md5(g::text)::uuid$$);
CALL walk('k text COLLATE "C" NOT NULL', 'k', $$md5(g::text)$$);
CALL walk('k text COLLATE german NOT NULL', 'k', $$CASE g % 3 WHEN 0 THEN 'ä' WHEN 1 THEN 'Z' ELSE 'a' END || g$$);
CALL walk('k varchar(40) NOT NULL', 'k', $$'row ' || g$$);
CALL walk('k timestamptz NOT NULL', 'k', $$'2026-01-01'::timestamptz + g * interval '1.234567 s'$$);
CALL walk('k numeric NOT NULL', 'k', $$g / 7.0$$);
CALL walk('k bytea NOT NULL', 'k', $$decode(md5(g::text), 'hex')$$);
CALL walk('k date NOT NULL', 'k', $$'2000-01-01'::date + g$$);
CALL walk('k positive NOT NULL', 'k', 'g');
CALL walk('k float8 NOT NULL', 'k', $$CASE g WHEN 1 THEN 'NaN' WHEN 2 THEN 'Infinity' WHEN 3 THEN '-Infinity' ELSE sqrt(g) END::float8$$);
CALL walk('m mood NOT NULL, k int NOT NULL', 'm, k', $$(enum_range(NULL::mood))[1 + g % 5], g$$);
CALL walk('m temper NOT NULL, k int NOT NULL', 'm DESC, k', $$(enum_range(NULL::mood))[1 + g % 5], g$$);
CALL walk('tenant text NOT NULL, at timestamptz NOT NULL, id uuid NOT NULL', 'tenant, at DESC, id', $$CASE WHEN g > 900 THEN 'small ' || g % 9 ELSE 'large' END, '2026-01-01'::timestamptz + (g / 10) * interval '1 day', md5(g::text)::uuid$$);
CALL walk('a int NOT NULL, b numeric NOT NULL, c text COLLATE "C" NOT NULL', 'a DESC, b DESC, c DESC', $$g / 100, g % 10, g::text$$);
-- A wanted key; quoted names; a sparse key.
CALL walk('"a B" int NOT NULL, c int NOT NULL UNIQUE', '"a B", c', $$g % 10, g$$, '{"a B",c}');
CALL walk('k bigint NOT NULL', 'k', $$CASE WHEN g < 500 THEN g ELSE g * 1000000000000 END$$);

-- What the walk promises, by explain
SELECT value FROM stride.explain('DELETE FROM t') WHERE item = 'source rows';
SELECT value FROM stride.explain('DELETE FROM t', settings => '{"source_rows": "at_start"}') WHERE item = 'source rows';

-- What is no key: rows with equal keys, or with NULLs, would be passed; where columns are not unique, those of the primary key decide.
CREATE COLLATION careless (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
CREATE TABLE flawed (tenant int NOT NULL, nullable int UNIQUE, part int NOT NULL, word text COLLATE careless NOT NULL UNIQUE, late int NOT NULL UNIQUE DEFERRABLE, id int NOT NULL);
CREATE INDEX by_tenant ON flawed (tenant);
CREATE UNIQUE INDEX partial ON flawed (part) WHERE part > 0;
CREATE UNIQUE INDEX expression ON flawed ((part + 1));
SELECT stride.submit('UPDATE flawed SET part = 1');
SELECT stride.submit('UPDATE flawed SET part = 1', key => '{nullable}');
SELECT stride.submit('UPDATE flawed SET part = 1', key => '{word}');
SELECT stride.submit('UPDATE flawed SET part = 1', key => '{tenant}');
ALTER TABLE flawed ADD PRIMARY KEY (id);
SELECT stride.submit('UPDATE flawed SET part = 1', key => '{tenant}');
SELECT stride.submit('UPDATE flawed SET part = 1', key => '{tenant,id}');
CREATE UNIQUE INDEX ON flawed (tenant, id);
INSERT INTO flawed SELECT g % 3, NULL, g, 'word ' || g, g, g FROM generate_series(1, 200) AS g;
CALL stride.run('UPDATE flawed SET part = -part', key => '{tenant,id}', chunk_rows => 37);
SELECT j.key, j.rows_read, count(*) FILTER (WHERE part = -id) AS once FROM flawed, stride.jobs AS j WHERE j.source = 'keys.flawed' GROUP BY 1, 2;

SELECT invariant, detail FROM stride.check_invariants() WHERE NOT ok;
RESET search_path;
DROP SCHEMA keys CASCADE;
