#ifndef INFLATE_H
#define INFLATE_H
#include <stddef.h>
#include <stdint.h>

/* Unpacks a zlib stream (RFC 1950, 1951) that must end with `in` and fill `out`, both to the byte. NULL, or what is wrong with it. */
const char *inflate_zlib(const uint8_t *in, size_t in_size, uint8_t *out, size_t out_size);

#endif
