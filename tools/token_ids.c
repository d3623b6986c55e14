#include "tools/token_ids.h"

#include <string.h>

bool token_ids_read(struct token_list *out, const char *text, size_t length, struct err *err)
{
    for (size_t i = 0; i < length;) {
        const size_t start = i;
        uint64_t id = 0;
        while (i < length && text[i] >= '0' && text[i] <= '9' && id <= UINT32_MAX)
            id = id * 10 + (uint64_t)(text[i++] - '0');
        if (id > UINT32_MAX)
            return err_set(err, ERR_FORMAT, "byte %zu: a number beyond 32 bits is no token", start);
        if (i > start) {
            if (!token_list_add(out, (uint32_t)id, err))
                return false;
        } else if (text[i] != '\0' && strchr(" \t\r\n,[]", text[i])) {
            i++;
        } else {
            return err_set(err, ERR_FORMAT, "byte %zu is 0x%02x: no token's number", i,
                           (unsigned)(unsigned char)text[i]);
        }
    }
    return true;
}
