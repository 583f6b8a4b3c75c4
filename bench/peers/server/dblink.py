"""Two connections of dblink that work at the same time, each with half of the blocks."""
from lib import halves

TITLE = "dblink, 2 connections by ctid"


def run(bench, work):
    names = ("one", "two")
    server = "'dbname=' || current_database() || ' host=' || current_setting('unix_socket_directories')"
    connect, wait = [], []
    for name, half in zip(names, halves.of(bench, work)):
        connect.append(f"SELECT dblink_connect('{name}', {server});"
                       f"SELECT dblink_send_query('{name}', $work${work.over(half)}$work$)")
        wait.append(f"SELECT * FROM dblink_get_result('{name}') AS t (done text); SELECT dblink_disconnect('{name}')")
    bench.session.rows(";".join(connect + wait))
