#include "formats/hf_config.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

enum { NAME_MAX_LENGTH = 64 };

static const char *kind_of(const json_t *value)
{
    switch (json_typeof(value)) {
    case JSON_OBJECT:
        return "an object";
    case JSON_ARRAY:
        return "a list";
    case JSON_STRING:
        return "a text";
    case JSON_INTEGER:
    case JSON_REAL:
        return "a number";
    case JSON_TRUE:
    case JSON_FALSE:
        return "true or false";
    default:
        return "null";
    }
}

static const json_t *member(const json_t *object, const char *name, size_t length)
{
    const json_t *value = json_object_getn(object, name, length);
    return value && !json_is_null(value) ? value : NULL;
}

/* The first of the names that is there, in the config or in its text model's.  `name`: which. */
static const json_t *find(const json_t *config, const char *names, char name[NAME_MAX_LENGTH])
{
    const json_t *text = json_object_get(config, "text_config"), *value = NULL;
    for (const char *at = names; !value && *at;) {
        const size_t length = strcspn(at, "|");
        if (!(value = member(config, at, length)))
            value = member(text, at, length);
        if (length < NAME_MAX_LENGTH) {
            memcpy(name, at, length);
            name[length] = '\0';
        }
        at += length + (at[length] == '|');
    }
    return value;
}

const json_t *hf_config_find(const json_t *config, const char *names)
{
    char name[NAME_MAX_LENGTH];
    return find(config, names, name);
}

static bool wrong_kind(const char *name, const json_t *value, const char *expected, struct err *err)
{
    return err_set(err, ERR_FORMAT, "config.json: '%s' is %s, %s was expected", name,
                   kind_of(value), expected);
}

bool hf_config_u64(const json_t *config, const char *names, uint64_t *v, struct err *err)
{
    char name[NAME_MAX_LENGTH] = "";
    const json_t *value = find(config, names, name);
    if (!value)
        return true;
    if (!json_is_number(value))
        return wrong_kind(name, value, "a number", err);
    if (json_is_integer(value) && json_integer_value(value) >= 0) {
        *v = (uint64_t)json_integer_value(value);
        return true;
    }
    const double real = json_number_value(value);
    if (!(real >= 0 && real <= 0x1p53 && real == floor(real)))
        return err_set(err, ERR_FORMAT,
                       "config.json: '%s' is %.17g, a whole number from 0 to 2^53 "
                       "was expected",
                       name, real);
    *v = (uint64_t)real;
    return true;
}

bool hf_config_f64(const json_t *config, const char *names, double *v, struct err *err)
{
    char name[NAME_MAX_LENGTH] = "";
    const json_t *value = find(config, names, name);
    if (!value)
        return true;
    if (!json_is_number(value))
        return wrong_kind(name, value, "a number", err);
    *v = json_number_value(value);
    return true;
}

bool hf_config_bool(const json_t *config, const char *names, bool *v, struct err *err)
{
    char name[NAME_MAX_LENGTH] = "";
    const json_t *value = find(config, names, name);
    if (!value)
        return true;
    if (!json_is_boolean(value))
        return wrong_kind(name, value, "true or false", err);
    *v = json_is_true(value);
    return true;
}

bool hf_config_text(const json_t *config, const char *names, const char **v, struct err *err)
{
    char name[NAME_MAX_LENGTH] = "";
    const json_t *value = find(config, names, name);
    if (!value)
        return true;
    if (!json_is_string(value))
        return wrong_kind(name, value, "a text", err);
    if (strlen(json_string_value(value)) != json_string_length(value))
        return err_set(err, ERR_FORMAT, "config.json: '%s' holds a NUL", name);
    *v = json_string_value(value);
    return true;
}
