// The check of `settings` jsonb and of the arguments that submit and alter share.
// Regime: pg.  Locks: none.
#include <string_view>

#include "settings/json_object.hpp"
#include "settings/table.hpp"

namespace stride::settings {
namespace {

const Entry *find_entry(std::string_view key) {
    for (const Entry &entry : settings_table())
        if (entry.of_job && key == entry.key()) return &entry;
    return nullptr;
}

const char *nearest_key(std::string_view key) {
    constexpr std::size_t longest = NAMEDATALEN - 1;
    if (key.empty() || key.size() > longest) return nullptr;
    const char *nearest = nullptr;
    int least = INT_MAX / 2;
    for (const Entry &entry : settings_table()) {
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
    case jbvString:
        return psprintf("\"%s\"", clipped(string_of(value)));
    case jbvNumeric:
        return clipped(numeric_text(value.val.numeric));
    case jbvBool:
        return value.val.boolean ? "true" : "false";
    case jbvBinary:
        return JsonContainerIsArray(value.val.binary.data) ? "an array" : "an object";
    default:
        return "null";
    }
}

// A number's own text, whether it was written as a number or as a text; nullptr if neither.
char *text_of_number(const JsonbValue &value) {
    if (value.type == jbvNumeric) return numeric_text(value.val.numeric);
    if (value.type == jbvString) return pnstrdup(value.val.string.val, static_cast<Size>(value.val.string.len));
    return nullptr;
}

Verdict parse_number(const Entry &entry, const JsonbValue &value, int *result) {
    const char *text = text_of_number(value);
    if (text == nullptr) return Verdict::wrong_type;
    const char *overflow = nullptr;
    if (!parse_int(text, result, entry.flags, &overflow))
        return value.type == jbvNumeric ? Verdict::out_of_range : Verdict::wrong_type;
    return *result < entry.least || *result > entry.most ? Verdict::out_of_range : Verdict::good;
}

Verdict parse_fraction(const Entry &entry, const JsonbValue &value, double *result) {
    const char *text = text_of_number(value);
    if (text == nullptr || !parse_real(text, result, entry.flags, nullptr)) return Verdict::wrong_type;
    return *result >= entry.least && *result <= entry.most ? Verdict::good : Verdict::out_of_range;
}

Verdict parse_text(const Entry &entry, const JsonbValue &value, char **result) {
    if (value.type != jbvString) return Verdict::wrong_type;
    *result = pnstrdup(value.val.string.val, static_cast<Size>(value.val.string.len));
    const char *hint = nullptr;
    return entry.check != nullptr && entry.check(*result, &hint) != nullptr ? Verdict::out_of_range : Verdict::good;
}

bool is_size(const Entry &entry) {
    return (entry.flags & GUC_UNIT_MEMORY) != 0;
}

const char *allowed(const Entry &entry) {
    if (entry.type == Type::boolean) return "Give true or false.";
    if (entry.type == Type::choice)
        return psprintf("Give \"%s\" or \"%s\".", entry.choices[0].name, entry.choices[1].name);
    if (entry.type == Type::text) return "Give a text.";
    const char *least = show(entry, entry.least);
    const char *most = show(entry, entry.most);
    if (entry.type == Type::real) return psprintf("Give a number from %s to %s.", least, most);
    if (base_unit(entry) == nullptr) return psprintf("Give a whole number from %s to %s.", least, most);
    return psprintf("Give a %s from %s to %s, as a text with its unit or as a number in %s.",
                    is_size(entry) ? "size" : "time", least, most, base_unit(entry));
}

const char *expected(const Entry &entry) {
    switch (entry.type) {
    case Type::boolean:
        return "a boolean";
    case Type::choice:
    case Type::text:
        return "a text";
    case Type::real:
        return "a number";
    default:
        return base_unit(entry) == nullptr ? "a whole number" : is_size(entry) ? "a size" : "a time";
    }
}

[[noreturn]] void refuse_value(const Entry &entry, const JsonbValue &value, Verdict verdict) {
    const char *hint = allowed(entry);
    const char *detail = verdict == Verdict::wrong_type ? psprintf("it is not %s", expected(entry))
                         : entry.type == Type::choice   ? "it is none of the known values"
                         : entry.type == Type::text     ? entry.check(text_of_number(value), &hint)
                                                        : "it is out of range";
    ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
                    errmsg("invalid value for setting \"%s\": %s", entry.key(), describe(value)),
                    errdetail("The value of \"%s\" cannot be used: %s.", entry.key(), detail), errhint("%s", hint)));
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
        ereport(ERROR,
                (errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("settings must be a JSON object"),
                 errhint("Write them as in '{\"chunk_time\": \"500ms\"}'; the view stride.settings lists all.")));
    const Entry *entry = nullptr;
    while ((token = JsonbIteratorNext(&iterator, &value, true)) != WJB_DONE) {
        if (token == WJB_KEY) {
            entry = find_entry(string_of(value));
            if (entry == nullptr) refuse_key(string_of(value));
            if (alters && entry->at_submit) refuse_change(*entry);
        } else if (token == WJB_VALUE && value.type != jbvNull) {
            Value parsed = {};
            const Verdict verdict = parse_value(*entry, value, &parsed);
            if (verdict != Verdict::good) refuse_value(*entry, value, verdict);
        }
    }
}

void check_count(const char *argument, int value, int most, const char *of_zero) {
    if (value >= 0 && value <= most) return;
    ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("invalid value for %s: %d", argument, value),
                    errdetail("%s must be from 0 to %d.", argument, most), errhint("%s", of_zero)));
}

} // namespace

Verdict parse_value(const Entry &entry, const JsonbValue &value, Value *result) {
    if (entry.type == Type::integer) return parse_number(entry, value, &result->number);
    if (entry.type == Type::real) return parse_fraction(entry, value, &result->real);
    if (entry.type == Type::text) return parse_text(entry, value, &result->text);
    if (entry.type == Type::boolean) {
        bool flag_value = false;
        if (value.type == jbvBool)
            flag_value = value.val.boolean;
        else if (value.type != jbvString ||
                 !parse_bool_with_len(value.val.string.val, static_cast<size_t>(value.val.string.len), &flag_value))
            return Verdict::wrong_type;
        result->number = flag_value ? 1 : 0;
        return Verdict::good;
    }
    if (value.type != jbvString) return Verdict::wrong_type;
    const std::string_view text = string_of(value);
    for (const config_enum_entry *choice = entry.choices; choice->name != nullptr; choice++) {
        if (text.size() == strlen(choice->name) && pg_strncasecmp(text.data(), choice->name, text.size()) == 0) {
            result->number = choice->val;
            return Verdict::good;
        }
    }
    return Verdict::out_of_range;
}

JsonbValue *value_of(Jsonb *object, const char *key) {
    if (object == nullptr || !JB_ROOT_IS_OBJECT(object)) return nullptr;
    return getKeyJsonValueFromContainer(&object->root, key, static_cast<int>(strlen(key)), nullptr);
}

Jsonb *check_settings(Jsonb *given, Jsonb *base) {
    if (given != nullptr) check_given(given, base != nullptr);
    JsonObject checked;
    for (const Entry &entry : settings_table()) {
        if (!entry.of_job) continue;
        JsonbValue *value = value_of(given, entry.key());
        if (value == nullptr) value = value_of(base, entry.key());
        if (value != nullptr && value->type != jbvNull) checked.put(entry.key(), value);
    }
    return checked.finish();
}

void check_workers(int workers) {
    check_count("workers", workers, most_workers,
                "Give 0 to let the job choose, or leave it out to take stride.workers.");
}

void check_chunk_rows(int chunk_rows) {
    check_count("chunk_rows", chunk_rows, most_chunk_rows, "Give 0, or leave it out, to adapt to stride.chunk_time.");
}

void check_reject_limit(int64 limit) {
    if (limit < 0)
        ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("reject_limit must not be negative"),
                        errhint("Give the most rows that may be kept aside, or leave it out.")));
}

void check_reject_percent(double percent) {
    if (!(percent >= 0 && percent <= 100))
        ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("reject_percent must be between 0 and 100"),
                        errhint("Give the percentage of rows that may be kept aside, or leave it out.")));
}

} // namespace stride::settings
