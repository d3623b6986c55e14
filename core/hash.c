#include "core/hash.h"

#include <stdio.h>

void hash_init(struct hash *h) { sha256_init(&h->context); }

void hash_add(struct hash *h, const void *data, size_t size)
{
    if (size > 0)
        sha256_update(&h->context, size, data);
}

void hash_add_u64(struct hash *h, uint64_t v)
{
    uint8_t byte[8];
    for (int i = 0; i < 8; i++)
        byte[i] = (uint8_t)(v >> 8 * i);
    hash_add(h, byte, sizeof byte);
}

void hash_add_text(struct hash *h, const char *text, size_t length)
{
    hash_add_u64(h, length);
    hash_add(h, text, length);
}

const char *hash_text(struct hash *h, char text[HASH_TEXT])
{
    uint8_t digest[SHA256_DIGEST_SIZE];
    sha256_digest(&h->context, sizeof digest, digest);
    for (size_t i = 0; i < sizeof digest; i++)
        snprintf(text + 2 * i, 3, "%02x", digest[i]);
    return text;
}
