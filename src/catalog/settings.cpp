// The table of settings, and what is made of it: GUCs, the check of `settings` jsonb, the settings in force, and the
// lines of stride.settings.
// Regime: pg.  Locks: none.  A setting is added here, in one line of the table, and as a field of Settings.
#include <array>
#include <span>
#include <string_view>

#include "catalog/settings.hpp"
#include "pg/clock.hpp"
#include "pg/test_point.hpp"

namespace stride::catalog {

constinit bool enabled = true;
constinit bool enable_superuser_jobs = true;
constinit int max_workers = 4;
constinit int max_workers_per_job = 8;
constinit int max_workers_per_role = 8;
constinit int default_workers = 2;

namespace {

enum class Type : unsigned char { boolean, integer, choice, text };

// One GUC, and with `of_job` one key of `settings`.  A choice has two values, of which the second makes the field true.
struct Entry {
    const char *guc = nullptr;
    Type type = Type::integer;
    bool of_job = false;
    bool at_submit = false;  // decides what analysis makes of the statement: alter may not change it
    GucContext context = PGC_USERSET;
    int initial = 0;
    int least = 0;
    int most = 0;
    int flags = 0;  // GUC_UNIT_MS, GUC_UNIT_MIN or 0
    const config_enum_entry *choices = nullptr;
    bool *flag = nullptr;
    int *number = nullptr;
    char **string = nullptr;
    bool Settings::*flag_field = nullptr;
    int Settings::*number_field = nullptr;
    const char *description = nullptr;

    constexpr const char *key() const { return guc + std::string_view("stride.").size(); }
};

// Where the GUCs of the job settings live; GUC writes them, resolve_settings() reads them.
constinit Settings session{};
constinit int session_delivery = 0;
constinit int session_self_reference = 0;

constexpr config_enum_entry delivery_choices[] = {
    {"exactly_once", 0, false}, {"at_least_once", 1, false}, {nullptr, 0, false}};
constexpr config_enum_entry self_reference_choices[] = {
    {"refuse", 0, false}, {"per_chunk", 1, false}, {nullptr, 0, false}};

constexpr Entry job_number(const char *guc, int *variable, int Settings::*field, int initial, int least, int most,
                           int flags, const char *description) {
    return {.guc = guc, .of_job = true, .initial = initial, .least = least, .most = most, .flags = flags,
            .number = variable, .number_field = field, .description = description};
}

constexpr Entry submit_flag(const char *guc, bool *variable, bool Settings::*field, bool initial, const char *description) {
    return {.guc = guc, .type = Type::boolean, .of_job = true, .at_submit = true, .initial = initial,
            .flag = variable, .flag_field = field, .description = description};
}

constexpr Entry submit_choice(const char *guc, int *variable, bool Settings::*field, const config_enum_entry *choices,
                           const char *description) {
    return {.guc = guc, .type = Type::choice, .of_job = true, .at_submit = true, .choices = choices,
            .number = variable, .flag_field = field, .description = description};
}

constexpr Entry number(const char *guc, GucContext context, int *variable, int initial, int least, int most, int flags,
                       const char *description) {
    return {.guc = guc, .context = context, .initial = initial, .least = least, .most = most, .flags = flags,
            .number = variable, .description = description};
}

constexpr Entry flag(const char *guc, GucContext context, bool *variable, bool initial, const char *description) {
    return {.guc = guc, .type = Type::boolean, .context = context, .initial = initial, .flag = variable,
            .description = description};
}

constexpr int minute_ms = 60 * 1000;
constexpr int hour_ms = 60 * minute_ms;
constexpr int day_min = 24 * 60;

constexpr std::array entries{
    // GUC TABLE BEGIN
    job_number("stride.chunk_time", &session.chunk_time, &Settings::chunk_time, 200, 1, 10 * minute_ms, GUC_UNIT_MS,
               "Time that a chunk should take; its number of rows adapts to it, unless chunk_rows fixes it."),
    submit_choice("stride.delivery", &session_delivery, &Settings::delivery_at_least_once, delivery_choices,
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
    job_number("stride.lock_timeout", &session.lock_timeout, &Settings::lock_timeout, 5000, 1, hour_ms, GUC_UNIT_MS,
               "How long a chunk waits for a lock before it gives way and is tried again."),
    number("stride.max_workers", PGC_SIGHUP, &max_workers, 4, 1, most_workers, 0,
           "Most workers of all jobs together; worker slots come out of max_worker_processes."),
    number("stride.max_workers_per_job", PGC_SUSET, &max_workers_per_job, 8, 1, most_workers, 0,
           "Most workers of one job."),
    number("stride.max_workers_per_role", PGC_SUSET, &max_workers_per_role, 8, 1, most_workers, 0,
           "Most workers of all jobs of one owner."),
    job_number("stride.progress_interval", &session.progress_interval, &Settings::progress_interval, 1000, 0, hour_ms,
               GUC_UNIT_MS, "Time between two progress lines of stride.run; 0 sends none."),
    job_number("stride.retry_delay", &session.retry_delay, &Settings::retry_delay, 1000, 1, hour_ms, GUC_UNIT_MS,
               "Wait before a chunk is tried again after a passing error; it doubles with each further try."),
    job_number("stride.retry_limit", &session.retry_limit, &Settings::retry_limit, 10, 0, 1000, 0,
               "How often one chunk is tried again after passing errors before the job stops trying."),
    submit_choice("stride.self_reference", &session_self_reference, &Settings::self_reference_per_chunk,
                  self_reference_choices,
                  "A statement that also reads the table it writes: refuse it, or accept that chunks see earlier chunks' "
                  "work (per_chunk)."),
#ifdef STRIDE_DEVEL
    number("stride.test_clock_offset", PGC_SIGHUP, &pg::test_clock_offset_ms, 0, INT_MIN, INT_MAX, GUC_UNIT_MS,
           "Shifts the clock of schedules and back-off, in tests."),
    Entry{.guc = "stride.test_point", .type = Type::text, .context = PGC_SIGHUP, .string = &pg::test_point_setting,
          .description = "Waits, fails or crashes at a named point, in tests."},
#endif
    number("stride.workers", PGC_USERSET, &default_workers, 2, 0, 64, 0,
           "Workers of a job that does not say how many; 0 chooses by itself."),
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
    int length;  // in the base unit
};
constexpr Unit ms_units[] = {{"d", 24 * hour_ms}, {"h", hour_ms}, {"min", minute_ms}, {"s", 1000}, {"ms", 1}};
constexpr Unit min_units[] = {{"d", day_min}, {"h", 60}, {"min", 1}};

// The units that a value of the entry is written in, the longest first; none if it is a bare number.
std::span<const Unit> units_of(const Entry &entry) {
    switch (entry.flags & GUC_UNIT_TIME) {
        case GUC_UNIT_MS: return ms_units;
        case GUC_UNIT_MIN: return min_units;
        default: return {};
    }
}

// The unit of a bare number, nullptr for none.
const char *base_unit(const Entry &entry) {
    const std::span<const Unit> units = units_of(entry);
    return units.empty() ? nullptr : units.back().name;
}

// A value as SHOW writes it: in the largest unit that divides it.
const char *show(const Entry &entry, int value) {
    if (entry.type == Type::boolean) return value != 0 ? "on" : "off";
    if (entry.type == Type::choice) return entry.choices[value].name;
    for (const Unit &unit : units_of(entry))
        if (value != 0 && value % unit.length == 0) return psprintf("%d%s", value / unit.length, unit.name);
    return psprintf("%d", value);
}

const Entry *find_entry(std::string_view key) {
    for (const Entry &entry : entries)
        if (entry.of_job && key == entry.key()) return &entry;
    return nullptr;
}

const char *nearest_key(std::string_view key) {
    constexpr std::size_t longest = NAMEDATALEN - 1;
    if (key.empty() || key.size() > longest) return nullptr;
    const char *nearest = nullptr;
    int least = INT_MAX / 2;
    for (const Entry &entry : entries) {
        if (!entry.of_job) continue;
        const std::string_view known = entry.key();
        const int distance = varstr_levenshtein_less_equal(key.data(), static_cast<int>(key.size()), known.data(),
                                                           static_cast<int>(known.size()), 1, 1, 1, least, true);
        if (distance < least) {
            least = distance;
            nearest = entry.key();
        }
    }
    return nearest;
}

// What a user wrote, short enough for a message and cut between characters.
const char *clipped(std::string_view written) {
    constexpr int longest = 60;
    if (written.size() <= static_cast<std::size_t>(longest)) return pnstrdup(written.data(), written.size());
    const Datum whole = PointerGetDatum(cstring_to_text_with_len(written.data(), static_cast<int>(written.size())));
    return psprintf("%s...", TextDatumGetCString(DirectFunctionCall2(text_left, whole, Int32GetDatum(longest))));
}

std::string_view string_of(const JsonbValue &value) {
    return {value.val.string.val, static_cast<std::size_t>(value.val.string.len)};
}

char *numeric_text(Numeric value) {
    return DatumGetCString(DirectFunctionCall1(numeric_out, NumericGetDatum(value)));
}

const char *describe(const JsonbValue &value) {
    switch (value.type) {
        case jbvString: return psprintf("\"%s\"", clipped(string_of(value)));
        case jbvNumeric: return clipped(numeric_text(value.val.numeric));
        case jbvBool: return value.val.boolean ? "true" : "false";
        case jbvBinary: return JsonContainerIsArray(value.val.binary.data) ? "an array" : "an object";
        default: return "null";
    }
}

enum class Verdict : unsigned char { good, wrong_type, out_of_range };

Verdict parse_number(const Entry &entry, const JsonbValue &value, int *result) {
    char *text;
    if (value.type == jbvNumeric)
        text = numeric_text(value.val.numeric);
    else if (value.type == jbvString)
        text = pnstrdup(value.val.string.val, static_cast<Size>(value.val.string.len));
    else
        return Verdict::wrong_type;
    const char *overflow = nullptr;
    if (!parse_int(text, result, entry.flags, &overflow))
        return value.type == jbvNumeric ? Verdict::out_of_range : Verdict::wrong_type;
    return *result < entry.least || *result > entry.most ? Verdict::out_of_range : Verdict::good;
}

Verdict parse_value(const Entry &entry, const JsonbValue &value, int *result) {
    if (entry.type == Type::integer) return parse_number(entry, value, result);
    if (entry.type == Type::boolean) {
        bool flag_value = false;
        if (value.type == jbvBool)
            flag_value = value.val.boolean;
        else if (value.type != jbvString ||
                 !parse_bool_with_len(value.val.string.val, static_cast<size_t>(value.val.string.len), &flag_value))
            return Verdict::wrong_type;
        *result = flag_value ? 1 : 0;
        return Verdict::good;
    }
    if (value.type != jbvString) return Verdict::wrong_type;
    const std::string_view text = string_of(value);
    for (const config_enum_entry *choice = entry.choices; choice->name != nullptr; choice++) {
        if (text.size() == strlen(choice->name) && pg_strncasecmp(text.data(), choice->name, text.size()) == 0) {
            *result = choice->val;
            return Verdict::good;
        }
    }
    return Verdict::out_of_range;
}

const char *allowed(const Entry &entry) {
    if (entry.type == Type::boolean) return "Give true or false.";
    if (entry.type == Type::choice)
        return psprintf("Give \"%s\" or \"%s\".", entry.choices[0].name, entry.choices[1].name);
    const char *least = show(entry, entry.least);
    const char *most = show(entry, entry.most);
    if (base_unit(entry) == nullptr) return psprintf("Give a whole number from %s to %s.", least, most);
    return psprintf("Give a time from %s to %s, as a text with its unit or as a number in %s.", least, most,
                    base_unit(entry));
}

const char *expected(const Entry &entry) {
    switch (entry.type) {
        case Type::boolean: return "a boolean";
        case Type::choice: return "a text";
        default: return base_unit(entry) == nullptr ? "a whole number" : "a time";
    }
}

[[noreturn]] void refuse_value(const Entry &entry, const JsonbValue &value, Verdict verdict) {
    const char *detail = verdict == Verdict::wrong_type ? psprintf("it is not %s", expected(entry))
                         : entry.type == Type::choice   ? "it is none of the known values"
                                                        : "it is out of range";
    ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
                    errmsg("invalid value for setting \"%s\": %s", entry.key(), describe(value)),
                    errdetail("The value of \"%s\" cannot be used: %s.", entry.key(), detail),
                    errhint("%s", allowed(entry))));
    pg_unreachable();
}

[[noreturn]] void refuse_key(std::string_view key) {
    const char *nearest = nearest_key(key);
    ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("unknown setting \"%s\"", clipped(key)),
                    nearest == nullptr
                        ? errhint("The view stride.settings lists all settings.")
                        : errhint("The nearest setting is \"%s\"; the view stride.settings lists all.", nearest)));
    pg_unreachable();
}

[[noreturn]] void refuse_change(const Entry &entry) {
    ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
                    errmsg("setting \"%s\" cannot be changed after the job was submitted", entry.key()),
                    errhint("Cancel the job and submit its statement again with the setting.")));
    pg_unreachable();
}

void check_given(Jsonb *given, bool alters) {
    JsonbIterator *iterator = JsonbIteratorInit(&given->root);
    JsonbValue value;
    JsonbIteratorToken token = JsonbIteratorNext(&iterator, &value, false);
    if (token != WJB_BEGIN_OBJECT)
        ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("settings must be a JSON object"),
                        errhint("Write them as in '{\"chunk_time\": \"500ms\"}'; the view stride.settings lists all.")));
    const Entry *entry = nullptr;
    while ((token = JsonbIteratorNext(&iterator, &value, true)) != WJB_DONE) {
        if (token == WJB_KEY) {
            entry = find_entry(string_of(value));
            if (entry == nullptr) refuse_key(string_of(value));
            if (alters && entry->at_submit) refuse_change(*entry);
        } else if (token == WJB_VALUE && value.type != jbvNull) {
            int parsed = 0;
            const Verdict verdict = parse_value(*entry, value, &parsed);
            if (verdict != Verdict::good) refuse_value(*entry, value, verdict);
        }
    }
}

JsonbValue *value_of(Jsonb *object, const Entry &entry) {
    if (object == nullptr || !JB_ROOT_IS_OBJECT(object)) return nullptr;
    return getKeyJsonValueFromContainer(&object->root, entry.key(), static_cast<int>(strlen(entry.key())), nullptr);
}

void define(const Entry &entry) {
    switch (entry.type) {
        case Type::boolean:
            DefineCustomBoolVariable(entry.guc, entry.description, nullptr, entry.flag, entry.initial != 0,
                                     entry.context, entry.flags, nullptr, nullptr, nullptr);
            break;
        case Type::integer:
            DefineCustomIntVariable(entry.guc, entry.description, nullptr, entry.number, entry.initial, entry.least,
                                    entry.most, entry.context, entry.flags, nullptr, nullptr, nullptr);
            break;
        case Type::choice:
            DefineCustomEnumVariable(entry.guc, entry.description, nullptr, entry.number, entry.initial, entry.choices,
                                     entry.context, entry.flags, nullptr, nullptr, nullptr);
            break;
        case Type::text:
            DefineCustomStringVariable(entry.guc, entry.description, nullptr, entry.string, "", entry.context,
                                       entry.flags, nullptr, nullptr, nullptr);
            break;
    }
}

void check_count(const char *argument, int value, int most, const char *of_zero) {
    if (value >= 0 && value <= most) return;
    ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("invalid value for %s: %d", argument, value),
                    errdetail("%s must be from 0 to %d.", argument, most), errhint("%s", of_zero)));
}

}  // namespace

void define_gucs() {
    for (const Entry &entry : entries) define(entry);
    MarkGUCPrefixReserved("stride");
}

Jsonb *check_settings(Jsonb *given, Jsonb *base) {
    if (given != nullptr) check_given(given, base != nullptr);
    JsonbParseState *state = nullptr;
    (void)pushJsonbValue(&state, WJB_BEGIN_OBJECT, nullptr);
    for (const Entry &entry : entries) {
        if (!entry.of_job) continue;
        JsonbValue *value = value_of(given, entry);
        if (value == nullptr) value = value_of(base, entry);
        if (value == nullptr || value->type == jbvNull) continue;
        JsonbValue key;
        key.type = jbvString;
        key.val.string.val = const_cast<char *>(entry.key());
        key.val.string.len = static_cast<int>(strlen(entry.key()));
        (void)pushJsonbValue(&state, WJB_KEY, &key);
        (void)pushJsonbValue(&state, WJB_VALUE, value);
    }
    return JsonbValueToJsonb(pushJsonbValue(&state, WJB_END_OBJECT, nullptr));
}

Settings resolve_settings(Jsonb *of_job) {
    Settings result = session;
    result.delivery_at_least_once = session_delivery != 0;
    result.self_reference_per_chunk = session_self_reference != 0;
    for (const Entry &entry : entries) {
        if (!entry.of_job) continue;
        const JsonbValue *value = value_of(of_job, entry);
        int parsed = 0;
        if (value == nullptr || parse_value(entry, *value, &parsed) != Verdict::good) continue;
        if (entry.number_field != nullptr)
            result.*entry.number_field = parsed;
        else
            result.*entry.flag_field = parsed != 0;
    }
    return result;
}

void check_workers(int workers) {
    check_count("workers", workers, most_workers, "Give 0 to let the job choose, or leave it out to take stride.workers.");
}

void check_chunk_rows(int chunk_rows) {
    check_count("chunk_rows", chunk_rows, most_chunk_rows, "Give 0, or leave it out, to adapt to stride.chunk_time.");
}

int settings_count() {
    int count = 0;
    for (const Entry &entry : entries) count += entry.of_job ? 1 : 0;
    return count;
}

SettingInfo setting_info(int index) {
    for (const Entry &entry : entries) {
        if (!entry.of_job || index-- > 0) continue;
        const int current = entry.flag != nullptr ? static_cast<int>(*entry.flag) : *entry.number;
        const char *type = entry.type == Type::boolean ? "bool" : entry.type == Type::choice ? "enum" : "integer";
        return {entry.key(),      type, show(entry, entry.initial), base_unit(entry), entry.description,
                show(entry, current)};
    }
    elog(ERROR, "there is no setting of that index");
}

}  // namespace stride::catalog
