// A JSON object, made key by key: settings, the arguments of a request, those of a pipeline.
// Regime: pg.  Locks: none.
#pragma once

#include "pg/pg.hpp"

namespace stride::settings {

class JsonObject {
public:
    JsonObject() { (void)pushJsonbValue(&state, WJB_BEGIN_OBJECT, nullptr); }

    void put(const char *key, JsonbValue *value) {
        JsonbValue name = string(key);
        (void)pushJsonbValue(&state, WJB_KEY, &name);
        (void)pushJsonbValue(&state, WJB_VALUE, value);
    }

    // Leaves the key out where the text is nullptr.
    void put_text(const char *key, const char *text) {
        if (text == nullptr) return;
        JsonbValue value = string(text);
        put(key, &value);
    }

    void put_number(const char *key, Numeric number) {
        JsonbValue value = {};
        value.type = jbvNumeric;
        value.val.numeric = number;
        put(key, &value);
    }

    void put_json(const char *key, Jsonb *json) {
        JsonbValue value = {};
        JsonbToJsonbValue(json, &value);
        put(key, &value);
    }

    Jsonb *finish() { return JsonbValueToJsonb(pushJsonbValue(&state, WJB_END_OBJECT, nullptr)); }

private:
    static JsonbValue string(const char *text) {
        JsonbValue value = {};
        value.type = jbvString;
        value.val.string.val = const_cast<char *>(text);
        value.val.string.len = static_cast<int>(strlen(text));
        return value;
    }

    JsonbParseState *state = nullptr;
};

} // namespace stride::settings
