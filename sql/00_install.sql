-- The extension as installed: what it brings, and who may use it.
CREATE EXTENSION pg_stride;
SELECT extversion IS NOT NULL AS has_version, extrelocatable FROM pg_extension WHERE extname = 'pg_stride';

-- Functions, procedures and views of schema stride
\a
SELECT p.prokind AS kind, p.proname AS name, pg_get_function_arguments(p.oid) AS arguments,
       pg_get_function_result(p.oid) AS result
FROM pg_proc AS p WHERE p.pronamespace = 'stride'::regnamespace ORDER BY 2, 3;
SELECT c.relname AS view, string_agg(a.attname, ', ' ORDER BY a.attnum) AS columns
FROM pg_class AS c JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attnum > 0
WHERE c.relnamespace = 'stride'::regnamespace AND c.relkind = 'v' GROUP BY 1 ORDER BY 1;

\a
-- Nobody but the owner may use the schemas, until USAGE on stride is granted; the base tables stay closed.
SELECT n.nspname AS schema, count(*) FILTER (WHERE a.grantee <> n.nspowner) AS granted_to_others
FROM pg_namespace AS n, LATERAL aclexplode(coalesce(n.nspacl, acldefault('n', n.nspowner))) AS a
WHERE n.nspname IN ('stride', 'stride_catalog', 'stride_work') GROUP BY 1 ORDER BY 1;
SELECT c.relnamespace::regnamespace::text AS schema, c.relkind AS kind, c.relname AS relation, a.grantee::regrole,
       a.privilege_type
FROM pg_class AS c,
     LATERAL aclexplode(coalesce(c.relacl, acldefault(CASE c.relkind WHEN 'S' THEN 's' ELSE 'r' END::"char", c.relowner))) AS a
WHERE c.relnamespace IN ('stride'::regnamespace, 'stride_catalog'::regnamespace) AND c.relkind IN ('r', 'v', 'S')
      AND a.grantee <> c.relowner
ORDER BY 1, 2, 3;
CREATE ROLE regress_stride_stranger;
SET ROLE regress_stride_stranger;
SELECT count(*) FROM stride.jobs;
SELECT count(*) FROM stride_catalog.job;
SELECT stride.pause(1);
RESET ROLE;
GRANT USAGE ON SCHEMA stride TO regress_stride_stranger;
SET ROLE regress_stride_stranger;
SELECT count(*) FROM stride.jobs;
SELECT count(*) FROM stride.progress;
SELECT count(*) FROM stride.settings WHERE current = "default";
SELECT count(*) FROM stride_catalog.job;
SELECT * FROM stride_catalog.live_workers();
RESET ROLE;
REVOKE USAGE ON SCHEMA stride FROM regress_stride_stranger;
DROP ROLE regress_stride_stranger;

-- House rules that must show no row.  No SECURITY DEFINER function:
SELECT p.oid::regprocedure FROM pg_proc AS p
WHERE p.pronamespace IN ('stride'::regnamespace, 'stride_catalog'::regnamespace) AND p.prosecdef;
-- no procedure with a SET clause, which could not end its transaction:
SELECT p.oid::regprocedure FROM pg_proc AS p
WHERE p.pronamespace IN ('stride'::regnamespace, 'stride_catalog'::regnamespace) AND p.prokind = 'p' AND p.proconfig IS NOT NULL;
-- no argument whose name would have to be quoted:
SELECT p.oid::regprocedure, argument, k.catdesc
FROM pg_proc AS p, LATERAL unnest(p.proargnames) AS argument JOIN pg_get_keywords() AS k ON k.word = argument
WHERE p.pronamespace IN ('stride'::regnamespace, 'stride_catalog'::regnamespace) AND k.catcode IN ('R', 'C', 'T');
-- no function, view or column of a view without a comment:
SELECT p.oid::regprocedure FROM pg_proc AS p
WHERE p.pronamespace IN ('stride'::regnamespace, 'stride_catalog'::regnamespace)
      AND obj_description(p.oid, 'pg_proc') IS NULL;
SELECT c.oid::regclass, a.attname
FROM pg_class AS c JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attnum > 0
WHERE c.relnamespace = 'stride'::regnamespace AND c.relkind = 'v'
      AND (obj_description(c.oid, 'pg_class') IS NULL OR col_description(c.oid, a.attnum) IS NULL);
-- no view that lets a caller's function look at rows before they are filtered:
SELECT c.oid::regclass FROM pg_class AS c
WHERE c.relnamespace IN ('stride'::regnamespace, 'stride_catalog'::regnamespace) AND c.relkind = 'v'
      AND NOT coalesce('security_barrier=true' = ANY (c.reloptions), false)
      AND NOT coalesce('security_barrier' = ANY (c.reloptions), false);
-- no column of a type that pg_upgrade refuses:
SELECT c.oid::regclass, a.attname, a.atttypid::regtype
FROM pg_class AS c JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
WHERE c.relnamespace IN ('stride'::regnamespace, 'stride_catalog'::regnamespace)
      AND a.atttypid::regtype::text LIKE 'reg%' AND a.atttypid NOT IN ('regclass'::regtype, 'regrole'::regtype, 'regtype'::regtype);
-- no table without a primary key, and none that is not logged:
SELECT c.oid::regclass FROM pg_class AS c
WHERE c.relnamespace = 'stride_catalog'::regnamespace AND c.relkind = 'r'
      AND (c.relpersistence <> 'p' OR NOT EXISTS (SELECT FROM pg_index AS i WHERE i.indrelid = c.oid AND i.indisprimary));

-- What a dump takes along
SELECT relation::regclass FROM pg_extension, LATERAL unnest(extconfig) AS relation
WHERE extname = 'pg_stride' ORDER BY relation::regclass::text;

-- Everything goes with the extension, and comes back.
DROP EXTENSION pg_stride;
SELECT count(*) FROM pg_namespace WHERE nspname IN ('stride', 'stride_catalog', 'stride_work');
CREATE EXTENSION pg_stride;
