// The files of the crash marks.
// Regime: pg.  The SIGQUIT handler calls nothing that is not async-signal-safe.
#include <csignal>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "shared/crash_mark.hpp"

namespace stride::shared {
namespace {

constexpr int path_bytes = 64;

constinit char mark[path_bytes] = ""; // this process's, empty before the first one

void make_path(char *path, int64 cookie) {
    snprintf(path, path_bytes, PG_STAT_TMP_DIR "/pg_stride.%016llx", static_cast<unsigned long long>(cookie));
}

void remove_at_exit(int, Datum) {
    (void)unlink(mark);
}

// As the handler of every background worker, which ends the process at once: shared memory may be corrupt.
void remove_and_die(int) {
    (void)unlink(mark);
    _exit(2);
}

} // namespace

void set_crash_mark(int64 cookie) {
    if (mark[0] == '\0') {
        make_path(mark, cookie);
        on_proc_exit(remove_at_exit, Datum{0});
        pqsignal(SIGQUIT, remove_and_die);
    }
    const int file = open(mark, O_CREAT | O_WRONLY | PG_BINARY, S_IRUSR | S_IWUSR);
    if (file >= 0)
        (void)close(file);
    else
        ereport(LOG, (errcode_for_file_access(), errmsg("could not create file \"%s\": %m", mark)));
}

void clear_crash_mark() {
    (void)unlink(mark);
}

bool has_crash_mark(int64 cookie) {
    char path[path_bytes];
    make_path(path, cookie);
    return access(path, F_OK) == 0;
}

void drop_crash_mark(int64 cookie) {
    char path[path_bytes];
    make_path(path, cookie);
    (void)unlink(path);
}

} // namespace stride::shared
