/* hash.h - SHA-256 of what comes piece by piece, as text. */
#ifndef CORE_HASH_H
#define CORE_HASH_H

#include <nettle/sha2.h>
#include <stddef.h>
#include <stdint.h>

enum { HASH_TEXT = 2 * SHA256_DIGEST_SIZE + 1 };

struct hash {
    struct sha256_ctx context;
};

void hash_init(struct hash *h);
void hash_add(struct hash *h, const void *data, size_t size);

/* The length first, so that pieces cannot run into each other. */
void hash_add_text(struct hash *h, const char *text, size_t length);
void hash_add_u64(struct hash *h, uint64_t v);

/* 64 digits and a NUL, into text; returns text.  The hash is then as new. */
const char *hash_text(struct hash *h, char text[HASH_TEXT]);

#endif
