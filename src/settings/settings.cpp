// The table of settings, and what is made of it: GUCs, the settings in force, and the lines of stride.settings.
// Regime: pg.  Locks: none.  A setting is added here, in one line of the table, and as a field of Settings.
#include <array>
#include <span>
#include <string_view>

#include "settings/table.hpp"
#include "settings/text_checks.hpp"
#include "pg/clock.hpp"
#include "pg/test_point.hpp"

namespace stride::settings {

constinit bool enabled = true;
constinit bool enable_superuser_jobs = true;
constinit int max_workers = 4;
constinit int max_workers_per_job = 8;
constinit int max_workers_per_role = 8;
constinit int default_workers = 0;

namespace {

// Where the GUCs of the job settings live; GUC writes them, resolve_settings() reads them.
constinit Settings session{};
constinit int session_delivery = 0;
constinit int session_new_partitions = 0;
constinit int session_self_reference = 0;
constinit int session_sink = 0;
constinit int session_source_rows = 0;

constexpr config_enum_entry delivery_choices[] = {
    {"exactly_once", 0, false}, {"at_least_once", 1, false}, {nullptr, 0, false}};
constexpr config_enum_entry new_partitions_choices[] = {{"fail", 0, false}, {"ignore", 1, false}, {nullptr, 0, false}};
constexpr config_enum_entry self_reference_choices[] = {
    {"refuse", 0, false}, {"per_chunk", 1, false}, {nullptr, 0, false}};
constexpr config_enum_entry sink_choices[] = {{"auto", 0, false}, {"statement", 1, false}, {nullptr, 0, false}};

constexpr config_enum_entry source_rows_choices[] = {
    {"as_walked", 0, false}, {"at_start", 1, false}, {nullptr, 0, false}};

constexpr Entry job_number(const char *guc, int *variable, int Settings::*field, int initial, int least, int most,
                           int flags, const char *description) {
    return {.guc = guc,
            .of_job = true,
            .initial = initial,
            .least = least,
            .most = most,
            .flags = flags,
            .number = variable,
            .number_field = field,
            .description = description};
}

constexpr Entry submit_number(const char *guc, int *variable, int Settings::*field, int initial, int least, int most,
                              const char *description) {
    Entry entry = job_number(guc, variable, field, initial, least, most, 0, description);
    entry.at_submit = true;
    return entry;
}

constexpr Entry job_real(const char *guc, double *variable, double Settings::*field, int least, int most,
                         const char *description) {
    return {.guc = guc,
            .type = Type::real,
            .of_job = true,
            .least = least,
            .most = most,
            .real = variable,
            .real_field = field,
            .description = description};
}

constexpr Entry job_flag(const char *guc, bool *variable, bool Settings::*field, bool initial,
                         const char *description) {
    return {.guc = guc,
            .type = Type::boolean,
            .of_job = true,
            .initial = initial,
            .flag = variable,
            .flag_field = field,
            .description = description};
}

constexpr Entry job_text(const char *guc, GucContext context, char **variable, char *Settings::*field,
                         const char *initial, TextCheck check, const char *description) {
    return {.guc = guc,
            .type = Type::text,
            .of_job = true,
            .context = context,
            .string = variable,
            .initial_text = initial,
            .check = check,
            .text_field = field,
            .description = description};
}

constexpr Entry submit_flag(const char *guc, bool *variable, bool Settings::*field, bool initial,
                            const char *description) {
    return {.guc = guc,
            .type = Type::boolean,
            .of_job = true,
            .at_submit = true,
            .initial = initial,
            .flag = variable,
            .flag_field = field,
            .description = description};
}

constexpr Entry submit_choice(const char *guc, int *variable, bool Settings::*field, const config_enum_entry *choices,
                              const char *description) {
    return {.guc = guc,
            .type = Type::choice,
            .of_job = true,
            .at_submit = true,
            .choices = choices,
            .number = variable,
            .flag_field = field,
            .description = description};
}

constexpr Entry job_choice(const char *guc, int *variable, bool Settings::*field, const config_enum_entry *choices,
                           const char *description) {
    Entry entry = submit_choice(guc, variable, field, choices, description);
    entry.at_submit = false;
    return entry;
}

constexpr Entry number(const char *guc, GucContext context, int *variable, int initial, int least, int most, int flags,
                       const char *description) {
    return {.guc = guc,
            .context = context,
            .initial = initial,
            .least = least,
            .most = most,
            .flags = flags,
            .number = variable,
            .description = description};
}

constexpr Entry flag(const char *guc, GucContext context, bool *variable, bool initial, const char *description) {
    return {.guc = guc,
            .type = Type::boolean,
            .context = context,
            .initial = initial,
            .flag = variable,
            .description = description};
}

constexpr int minute_ms = 60 * 1000;
constexpr int hour_ms = 60 * minute_ms;
constexpr int day_min = 24 * 60;
constexpr int day_s = 24 * 60 * 60;

constexpr std::array entries{
    // GUC TABLE BEGIN
    submit_number("stride.batch_rows", &session.batch_rows, &Settings::batch_rows, 1000, 1, 100'000,
                  "Rows that a transform which takes an array is given in one call."),
    job_number("stride.chunk_time", &session.chunk_time, &Settings::chunk_time, 200, 1, 10 * minute_ms, GUC_UNIT_MS,
               "Time that a chunk should take; its number of rows adapts to it, unless chunk_rows fixes it."),
    job_number(
        "stride.chunk_timeout", &session.chunk_timeout, &Settings::chunk_timeout, 0, 0, 24 * hour_ms, GUC_UNIT_MS,
        "Time after which a chunk is cancelled and done in smaller ones, until the slow row stands alone; 0 = never."),
    submit_choice(
        "stride.delivery", &session_delivery, &Settings::delivery_at_least_once, delivery_choices,
        "What is promised of each row: exactly_once, or at_least_once to accept a sink that a crash can undo."),
    flag("stride.enable_superuser_jobs", PGC_SIGHUP, &enable_superuser_jobs, true,
         "Lets superusers submit jobs and their jobs run."),
    flag("stride.enabled", PGC_SIGHUP, &enabled, true,
         "Lets jobs run; off holds every job of the cluster at its next chunk boundary."),
    submit_flag("stride.freeze_time", &session.freeze_time, &Settings::freeze_time, true,
                "Gives now() and its kin in the statement the time of the submitting transaction."),
    job_number("stride.history_retention", &session.history_retention, &Settings::history_retention, 30 * day_min, 0,
               3650 * day_min, GUC_UNIT_MIN,
               "How long a finished job's history is kept; after that it is removed by itself."),
    job_text("stride.lag_standbys", PGC_USERSET, &session.lag_standbys, &Settings::lag_standbys, "*",
             check_standby_names,
             "Standbys that count for max_replication_lag: their application_names, with commas, or * for all."),
    job_number("stride.lock_timeout", &session.lock_timeout, &Settings::lock_timeout, 5000, 1, hour_ms, GUC_UNIT_MS,
               "How long a chunk waits for a lock before it gives way and is tried again."),
    job_number("stride.max_active_backends", &session.max_active_backends, &Settings::max_active_backends, 0, 0,
               INT_MAX, 0,
               "Holds a job while more client sessions than this run a statement; those that wait for a job are left "
               "out, 0 does not look."),
    job_number("stride.max_archive_backlog", &session.max_archive_backlog, &Settings::max_archive_backlog, 2048, 0,
               INT_MAX, GUC_UNIT_MB, "Holds a job while more WAL than this waits to be archived; 0 does not look."),
    job_number("stride.max_replication_lag", &session.max_replication_lag, &Settings::max_replication_lag, minute_ms, 0,
               7 * 24 * hour_ms, GUC_UNIT_MS,
               "Holds a job while a standby has not replayed what is older than this; 0 does not look."),
    job_number("stride.max_rows", &session.max_rows, &Settings::max_rows, 0, 0, INT_MAX, 0,
               "Pauses a job once it has walked so many rows since its start or resume; 0 does not."),
    job_number("stride.max_rows_per_second", &session.max_rows_per_second, &Settings::max_rows_per_second, 0, 0,
               INT_MAX, 0, "Rows that all workers of a job together walk a second, in the long run; 0 is no limit."),
    job_number("stride.max_run_time", &session.max_run_time, &Settings::max_run_time, 0, 0, 365 * day_s, GUC_UNIT_S,
               "Pauses a job so long after its start or resume; 0 does not."),
    job_number("stride.max_wal_bytes_per_second", &session.max_wal_bytes_per_second,
               &Settings::max_wal_bytes_per_second, 0, 0, 1 << 30, GUC_UNIT_BYTE,
               "WAL that all workers of a job together write a second, in the long run; 0 is no limit."),
    number("stride.max_workers", PGC_SIGHUP, &max_workers, 4, 1, most_workers, 0,
           "Most workers of all jobs together; worker slots come out of max_worker_processes."),
    number("stride.max_workers_per_job", PGC_SUSET, &max_workers_per_job, 8, 1, most_workers, 0,
           "Most workers of one job."),
    number("stride.max_workers_per_role", PGC_SUSET, &max_workers_per_role, 8, 1, most_workers, 0,
           "Most workers of all jobs of one owner."),
    job_choice("stride.new_partitions", &session_new_partitions, &Settings::new_partitions_ignored,
               new_partitions_choices,
               "A table that becomes a partition or child of the source while the job runs: fail, or ignore it."),
    job_real("stride.nice", &session.nice, &Settings::nice, 0, 100,
             "Sleep of a worker after each chunk, in times of what the chunk took."),
    job_flag("stride.pause_for_vacuum", &session.pause_for_vacuum, &Settings::pause_for_vacuum, false,
             "Holds a job while a vacuum to prevent wraparound works on, or waits for, its source or target."),
    job_number("stride.progress_interval", &session.progress_interval, &Settings::progress_interval, 1000, 0, hour_ms,
               GUC_UNIT_MS, "Time between two progress lines of stride.run; 0 sends none."),
    job_number("stride.retry_delay", &session.retry_delay, &Settings::retry_delay, 1000, 1, hour_ms, GUC_UNIT_MS,
               "Wait before a chunk is tried again after a passing error; it doubles with each further try."),
    job_number(
        "stride.retry_limit", &session.retry_limit, &Settings::retry_limit, 20, 0, 1000, 0,
        "How often a chunk is tried again after passing errors, in halves from the eleventh time on, before the job "
        "pauses."),
    submit_choice(
        "stride.self_reference", &session_self_reference, &Settings::self_reference_per_chunk, self_reference_choices,
        "A statement that also reads the table it writes: refuse it, or accept that chunks see earlier chunks' "
        "work (per_chunk)."),
    submit_choice("stride.sink", &session_sink, &Settings::statement_sink, sink_choices,
                  "How rows are written: auto takes the bulk sink where the result is the same, statement never does."),
    submit_choice(
        "stride.source_rows", &session_source_rows, &Settings::source_rows_at_start, source_rows_choices,
        "Which rows of the source are done: those that are there as the walk comes by, or those that were at the "
        "start (at_start), whose keys are saved then."),
#ifdef STRIDE_DEVEL
    number("stride.test_clock_offset", PGC_SIGHUP, &pg::test_clock_offset_ms, 0, INT_MIN, INT_MAX, GUC_UNIT_MS,
           "Shifts the clock of schedules and back-off, in tests."),
    Entry{.guc = "stride.test_point",
          .type = Type::text,
          .context = PGC_SIGHUP,
          .string = &pg::test_point_setting,
          .description = "Waits, fails or crashes at a named point, in tests."},
#endif
    job_text("stride.throttle_query", PGC_SIGHUP, &session.throttle_query, &Settings::throttle_query, "",
             check_throttle_query,
             "A SELECT that is run as the job's owner, read only, at most once a second; a number above 0 holds the "
             "job."),
    job_number("stride.throttle_query_timeout", &session.throttle_query_timeout, &Settings::throttle_query_timeout,
               1000, 1, hour_ms, GUC_UNIT_MS, "How long throttle_query may take."),
    job_text("stride.time_window", PGC_USERSET, &session.time_window, &Settings::time_window, "", check_time_window,
             "Hours of the day in which a job runs, as in 22:00-06:00, in the submitter's time zone."),
    number("stride.workers", PGC_USERSET, &default_workers, 0, 0, most_workers, 0,
           "Workers of a job that does not say how many; 0 lets the job choose."),
    // GUC TABLE END
};

constexpr bool alphabetical() {
    for (std::size_t i = 1; i < entries.size(); i++)
        if (!(std::string_view(entries[i - 1].guc) < std::string_view(entries[i].guc))) return false;
    return true;
}
static_assert(alphabetical(), "the table of settings is alphabetical");

struct Unit {
    const char *name;
    int length; // in the base unit
};
constexpr Unit ms_units[] = {{"d", 24 * hour_ms}, {"h", hour_ms}, {"min", minute_ms}, {"s", 1000}, {"ms", 1}};
constexpr Unit s_units[] = {{"d", day_s}, {"h", 60 * 60}, {"min", 60}, {"s", 1}};
constexpr Unit min_units[] = {{"d", day_min}, {"h", 60}, {"min", 1}};
constexpr Unit byte_units[] = {{"GB", 1 << 30}, {"MB", 1 << 20}, {"kB", 1 << 10}, {"B", 1}};
constexpr Unit mb_units[] = {{"TB", 1 << 20}, {"GB", 1 << 10}, {"MB", 1}};

// The units that a value of the entry is written in, the longest first; none if it is a bare number.
std::span<const Unit> units_of(const Entry &entry) {
    switch (entry.flags & GUC_UNIT) {
    case GUC_UNIT_MS:
        return ms_units;
    case GUC_UNIT_S:
        return s_units;
    case GUC_UNIT_MIN:
        return min_units;
    case GUC_UNIT_BYTE:
        return byte_units;
    case GUC_UNIT_MB:
        return mb_units;
    default:
        return {};
    }
}

// Lets only texts pass that the entry's check finds nothing wrong with.
template <TextCheck check>
bool check_guc(char **value, void **, GucSource) {
    const char *hint = nullptr;
    const char *wrong = check(*value, &hint);
    if (wrong == nullptr) return true;
    GUC_check_errdetail("%s", psprintf("The value cannot be used: %s.", wrong));
    if (hint != nullptr) GUC_check_errhint("%s", hint);
    return false;
}

// A text is checked when it is set, but for a query: what is wrong with it shows when it is run.
GucStringCheckHook guc_check_of(const Entry &entry) {
    if (entry.check == check_standby_names) return check_guc<check_standby_names>;
    if (entry.check == check_time_window) return check_guc<check_time_window>;
    return nullptr;
}

void define(const Entry &entry) {
    switch (entry.type) {
    case Type::boolean:
        DefineCustomBoolVariable(entry.guc, entry.description, nullptr, entry.flag, entry.initial != 0, entry.context,
                                 entry.flags, nullptr, nullptr, nullptr);
        break;
    case Type::integer:
        DefineCustomIntVariable(entry.guc, entry.description, nullptr, entry.number, entry.initial, entry.least,
                                entry.most, entry.context, entry.flags, nullptr, nullptr, nullptr);
        break;
    case Type::real:
        DefineCustomRealVariable(entry.guc, entry.description, nullptr, entry.real, entry.initial, entry.least,
                                 entry.most, entry.context, entry.flags, nullptr, nullptr, nullptr);
        break;
    case Type::choice:
        DefineCustomEnumVariable(entry.guc, entry.description, nullptr, entry.number, entry.initial, entry.choices,
                                 entry.context, entry.flags, nullptr, nullptr, nullptr);
        break;
    case Type::text:
        DefineCustomStringVariable(entry.guc, entry.description, nullptr, entry.string, entry.initial_text,
                                   entry.context, entry.flags, guc_check_of(entry), nullptr, nullptr);
        break;
    }
}

} // namespace

std::span<const Entry> settings_table() {
    return entries;
}

const char *base_unit(const Entry &entry) {
    const std::span<const Unit> units = units_of(entry);
    return units.empty() ? nullptr : units.back().name;
}

const char *show(const Entry &entry, int value) {
    if (entry.type == Type::boolean) return value != 0 ? "on" : "off";
    if (entry.type == Type::choice) return entry.choices[value].name;
    for (const Unit &unit : units_of(entry))
        if (value != 0 && value % unit.length == 0) return psprintf("%d%s", value / unit.length, unit.name);
    return psprintf("%d", value);
}

void define_gucs() {
    for (const Entry &entry : entries)
        define(entry);
    MarkGUCPrefixReserved("stride");
}

bool is_default_of_job(const char *guc) {
    for (const Entry &entry : entries)
        if (entry.of_job && strcmp(entry.guc, guc) == 0) return true;
    return false;
}

namespace {

void apply(const Entry &entry, const JsonbValue *given, Settings *result) {
    Value value = {};
    if (given == nullptr || parse_value(entry, *given, &value) != Verdict::good) return;
    if (entry.number_field != nullptr)
        result->*entry.number_field = value.number;
    else if (entry.real_field != nullptr)
        result->*entry.real_field = value.real;
    else if (entry.text_field != nullptr)
        result->*entry.text_field = value.text;
    else
        result->*entry.flag_field = value.number != 0;
}

} // namespace

Settings resolve_settings(Jsonb *of_job, Jsonb *captured) {
    Settings result = session;
    result.delivery_at_least_once = session_delivery != 0;
    result.new_partitions_ignored = session_new_partitions != 0;
    result.self_reference_per_chunk = session_self_reference != 0;
    result.source_rows_at_start = session_source_rows != 0;
    result.statement_sink = session_sink != 0;
    for (const Entry &entry : entries) {
        if (!entry.of_job) continue;
        // The GUC's own copy goes with its next change.
        if (entry.text_field != nullptr) result.*entry.text_field = pstrdup(*entry.string);
        apply(entry, value_of(captured, entry.guc), &result);
        apply(entry, value_of(of_job, entry.key()), &result);
    }
    return result;
}

int settings_count() {
    int count = 0;
    for (const Entry &entry : entries)
        count += entry.of_job ? 1 : 0;
    return count;
}

namespace {

const char *type_name(Type type) {
    switch (type) {
    case Type::boolean:
        return "bool";
    case Type::integer:
        return "integer";
    case Type::real:
        return "real";
    case Type::choice:
        return "enum";
    case Type::text:
        return "string";
    }
    return nullptr;
}

const char *initial_value(const Entry &entry) {
    return entry.type == Type::text ? entry.initial_text : show(entry, entry.initial);
}

const char *current_value(const Entry &entry) {
    if (entry.type == Type::text) return pstrdup(*entry.string);
    if (entry.type == Type::real) return psprintf("%g", *entry.real);
    return show(entry, entry.flag != nullptr ? static_cast<int>(*entry.flag) : *entry.number);
}

} // namespace

SettingInfo setting_info(int index) {
    for (const Entry &entry : entries) {
        if (!entry.of_job || index-- > 0) continue;
        return {entry.key(),      type_name(entry.type), initial_value(entry),
                base_unit(entry), entry.description,     current_value(entry)};
    }
    elog(ERROR, "there is no setting of that index");
}

} // namespace stride::settings
