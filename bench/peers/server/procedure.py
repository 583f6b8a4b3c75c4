"""A procedure in PL/pgSQL that walks the key in chunks, and commits each with a row that says how far it is."""
TITLE = "PL/pgSQL procedure, chunks of 10000, checkpoint, COMMIT"
CHUNK = 10000


def run(bench, work):
    bench.session.rows(f"""
        DROP TABLE IF EXISTS progress; CREATE TABLE progress (id_done bigint NOT NULL); INSERT INTO progress VALUES (0);
        CREATE OR REPLACE PROCEDURE in_chunks() LANGUAGE plpgsql AS $procedure$
        DECLARE
            done bigint := 0;
        BEGIN
            WHILE done < {work.rows} LOOP
                {work.over("id > done", f"id <= done + {CHUNK}")};
                done := done + {CHUNK};
                UPDATE progress SET id_done = done;
                COMMIT;
            END LOOP;
        END
        $procedure$;
        CALL in_chunks()""")
