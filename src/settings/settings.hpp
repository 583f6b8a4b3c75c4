// The settings of a job and their GUC defaults: one table of every key, its type, default, unit and meaning.
// Regime: pg.  Locks: none.  The view stride.settings, the GUCs and the check of `settings` jsonb all come from the
// table.
#pragma once

#include "pg/pg.hpp"

namespace stride::settings {

// A job's settings with the GUC defaults filled in.  Times in ms unless said otherwise; 0 = no limit.  Texts are never
// nullptr; "" = none.
struct Settings {
    int batch_rows;              // rows of one call of a transform that takes arrays
    int chunk_time;              // target time of a chunk, ms
    int chunk_timeout;           // ms after which a chunk's work is cancelled; 0 = never
    bool delivery_at_least_once; // "delivery": "exactly_once" | "at_least_once"
    bool freeze_time;
    int history_retention;        // seconds are too fine for it: minutes
    char *lag_standbys;           // application_names, or "*"
    int lock_timeout;             // ms, a chunk transaction's
    int max_active_backends;      // client sessions of the cluster that run a statement
    int max_archive_backlog;      // MB
    int max_replication_lag;      // ms
    int max_rows;                 // of one run: since the last start or resume
    int max_rows_per_second;      // of the whole job
    int max_run_time;             // seconds, of one run
    int max_wal_bytes_per_second; // of the whole job
    bool new_partitions_ignored;  // "new_partitions": "fail" | "ignore"
    double nice;                  // sleep after a chunk, in times of what it took
    bool pause_for_vacuum;
    int progress_interval;         // ms between the NOTICEs of run; 0 = quiet
    int retry_delay;               // ms before the first retry of a transient error
    int retry_limit;               // attempts at the same chunk of a transient error before the job pauses
    bool self_reference_per_chunk; // "self_reference": "refuse" | "per_chunk"
    bool source_rows_at_start;     // "source_rows": "as_walked" | "at_start"
    bool statement_sink;           // "sink": "auto" | "statement"
    char *throttle_query;
    int throttle_query_timeout;
    char *time_window; // "HH:MM-HH:MM"
};

// GUCs that are not settings of a job.
extern bool enabled;               // stride.enabled, sighup
extern bool enable_superuser_jobs; // stride.enable_superuser_jobs, sighup
extern int max_workers;            // stride.max_workers, sighup: all jobs of the cluster
extern int max_workers_per_job;    // superuser
extern int max_workers_per_role;   // superuser
extern int default_workers;        // stride.workers, user: what workers => NULL takes (0, chooses by itself)

// Defines all GUCs and reserves the prefix; at _PG_init.
void define_gucs();

// Checks what a user hands in as `settings` (nullptr = nothing): an object whose keys are all known (else 22023 with
// the nearest known key in the HINT), values of the right type and range (22023, the range in the HINT), times with
// units as GUCs take them, null = back to the default.  `base` is the job's present object for alter (nullptr at
// submit), which may not change what decided the analysis of the statement (22023).  Returns the merged object without
// nulls, in the current memory context; values stay as they were written ("30s").
Jsonb *check_settings(Jsonb *given, Jsonb *base);

// The settings in force for a job: the GUCs of this session under those that were captured in the submitter's session
// under `of_job` (nullptr = none, each).  Raises nothing for a stored value that is no longer in range: its default
// holds then.  Texts are in the current memory context.
Settings resolve_settings(Jsonb *of_job, Jsonb *captured = nullptr);

// True for the GUC of a key of `settings`: one that a submitter's session may bring along.
bool is_default_of_job(const char *guc);

// The largest values of submit's and alter's arguments of the same names; of the GUCs that count workers, too.
constexpr int most_workers = 1024;
constexpr int most_chunk_rows = 10'000'000;

// Check the arguments `workers` (0 = chooses by itself) and `chunk_rows` (0 = adapts): 22023 outside 0 .. the largest.
void check_workers(int workers);
void check_chunk_rows(int chunk_rows);

// Check `reject_limit`, which is not negative, and `reject_percent`, from 0 to 100: 22023.
void check_reject_limit(int64 limit);
void check_reject_percent(double percent);

// One line of the view stride.settings; static or palloc'd strings, nullptr for NULL.  `unit` is that of a bare number.
struct SettingInfo {
    const char *name;
    const char *type;
    const char *initial;
    const char *unit;
    const char *description;
    const char *current; // the default in this session
};

// The keys of `settings`, alphabetical; `index` from 0.
int settings_count();
SettingInfo setting_info(int index);

} // namespace stride::settings
