// The table behind settings/settings.hpp: one entry a GUC, and how a value of it is read and shown.
// Regime: pg.  Locks: none.  For the files settings.cpp and check.cpp only.
#pragma once

#include <span>
#include <string_view>

#include "settings/settings.hpp"

namespace stride::settings {

enum class Type : unsigned char { boolean, integer, real, choice, text };

// Says in one clause what is wrong with a text, nullptr if nothing is, and in *hint what to write.  Static or palloc'd;
// raises nothing.
using TextCheck = const char *(*)(const char *text, const char **hint);

// One GUC, and with `of_job` one key of `settings`.  A choice has two values, of which the second makes the field true.
struct Entry {
    const char *guc = nullptr;
    Type type = Type::integer;
    bool of_job = false;
    bool at_submit = false; // decides what analysis makes of the statement: alter may not change it
    GucContext context = PGC_USERSET;
    int initial = 0;
    int least = 0;
    int most = 0;
    int flags = 0; // GUC_UNIT_MS, _S, _MIN, _BYTE, _MB or 0
    const config_enum_entry *choices = nullptr;
    bool *flag = nullptr;
    int *number = nullptr;
    double *real = nullptr;
    char **string = nullptr;
    const char *initial_text = "";
    TextCheck check = nullptr;
    bool Settings::*flag_field = nullptr;
    int Settings::*number_field = nullptr;
    double Settings::*real_field = nullptr;
    char *Settings::*text_field = nullptr;
    const char *description = nullptr;

    constexpr const char *key() const { return guc + std::string_view("stride.").size(); }
};

// Every GUC, alphabetical.
std::span<const Entry> settings_table();

// The unit of a bare number, such as "ms", or nullptr.
const char *base_unit(const Entry &entry);

// A value as SHOW writes it: in the largest unit that divides it.  Static or palloc'd.
const char *show(const Entry &entry, int value);

enum class Verdict : unsigned char { good, wrong_type, out_of_range };

// One value, in the member of the entry's type: number also for booleans and choices.  The text is palloc'd.
struct Value {
    int number;
    double real;
    char *text;
};

// Reads one value of `settings` jsonb; *result is set when it is good.  Raises nothing.
Verdict parse_value(const Entry &entry, const JsonbValue &value, Value *result);

// The value of a key in an object, nullptr if there is none.
JsonbValue *value_of(Jsonb *object, const char *key);

} // namespace stride::settings
