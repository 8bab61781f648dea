/* Inflate (RFC 1951), read from strangers' files: each index is checked before it is used. */
#include "inflate.h"

#include <stdbool.h>
#include <string.h>

enum { MAX_BITS = 15, LITERALS = 288, DISTANCES = 30, LENGTHS = 19, END_OF_BLOCK = 256 };

struct stream {
  const uint8_t *in;
  size_t in_size, in_at;
  uint8_t *out;
  size_t out_size, out_at;
  uint32_t bits;
  int bit_count;
  const char *fault;
};

/* How many codes there are of each length, and the symbols in the order of their codes. */
struct codes {
  uint16_t count[MAX_BITS + 1];
  uint16_t symbol[LITERALS];
};

static uint32_t take(struct stream *s, int count) {
  while (s->bit_count < count) {
    if (s->in_at == s->in_size) {
      s->fault = "the packed pixels end in the middle";
      return 0;
    }
    s->bits |= (uint32_t)s->in[s->in_at++] << s->bit_count;
    s->bit_count += 8;
  }
  uint32_t value = s->bits & ((1u << count) - 1);
  s->bits >>= count;
  s->bit_count -= count;
  return value;
}

static bool put(struct stream *s, uint8_t byte) {
  if (s->out_at == s->out_size) {
    s->fault = "it has more pixels than it says";
    return false;
  }
  s->out[s->out_at++] = byte;
  return true;
}

/* False for lengths that no code has: too many codes, or too few (but for a single one). */
static bool build(struct codes *codes, const uint8_t *lengths, int count) {
  memset(codes->count, 0, sizeof codes->count);
  for (int i = 0; i < count; i++) codes->count[lengths[i]]++;
  int used = count - codes->count[0], left = 1;
  for (int length = 1; length <= MAX_BITS; length++) {
    left = (left << 1) - codes->count[length];
    if (left < 0) return false;
  }
  if (left > 0 && used > 1) return false;
  uint16_t offset[MAX_BITS + 2] = {0};
  for (int length = 1; length <= MAX_BITS; length++) offset[length + 1] = offset[length] + codes->count[length];
  for (int i = 0; i < count; i++) {
    if (lengths[i] != 0) codes->symbol[offset[lengths[i]]++] = (uint16_t)i;
  }
  return true;
}

static int decode(struct stream *s, const struct codes *codes) {
  int code = 0, first = 0, index = 0;
  for (int length = 1; length <= MAX_BITS; length++) {
    code |= (int)take(s, 1);
    if (s->fault) return -1;
    int count = codes->count[length];
    if (code - count < first) return codes->symbol[index + code - first];
    index += count;
    first = (first + count) << 1;
    code <<= 1;
  }
  s->fault = "its packing holds a code that means nothing";
  return -1;
}

static void copy(struct stream *s, size_t length, size_t distance) {
  if (distance > s->out_at) {
    s->fault = "its packing points before its begin";
    return;
  }
  while (length-- > 0 && put(s, s->out[s->out_at - distance])) {}
}

static void coded_block(struct stream *s, const struct codes *literals, const struct codes *distances) {
  static const uint16_t length_base[] = {3, 4, 5, 6, 7, 8, 9, 10, 11, 13, 15, 17, 19, 23, 27, 31, 35, 43, 51, 59, 67, 83, 99, 115, 131, 163, 195, 227, 258};
  static const uint8_t length_extra[] = {0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3, 4, 4, 4, 4, 5, 5, 5, 5, 0};
  static const uint16_t distance_base[] = {1, 2, 3, 4, 5, 7, 9, 13, 17, 25, 33, 49, 65, 97, 129, 193, 257, 385, 513, 769, 1025, 1537, 2049, 3073, 4097, 6145, 8193, 12289, 16385, 24577};
  static const uint8_t distance_extra[] = {0, 0, 0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6, 7, 7, 8, 8, 9, 9, 10, 10, 11, 11, 12, 12, 13, 13};
  while (!s->fault) {
    int symbol = decode(s, literals);
    if (symbol < 0 || symbol == END_OF_BLOCK) return;
    if (symbol < END_OF_BLOCK) {
      put(s, (uint8_t)symbol);
      continue;
    }
    symbol -= END_OF_BLOCK + 1;
    if (symbol >= (int)sizeof length_extra) {
      s->fault = "its packing holds a length that means nothing";
      return;
    }
    size_t length = length_base[symbol] + take(s, length_extra[symbol]);
    int far = decode(s, distances);
    if (far < 0) return;
    if (far >= DISTANCES) {
      s->fault = "its packing holds a distance that means nothing";
      return;
    }
    size_t distance = distance_base[far] + take(s, distance_extra[far]);
    if (!s->fault) copy(s, length, distance);
  }
}

static void stored_block(struct stream *s) {
  s->bits = 0;
  s->bit_count = 0;
  uint32_t length = take(s, 16), inverse = take(s, 16);
  if (!s->fault && length != (inverse ^ 0xffff)) s->fault = "its packing names a wrong length";
  while (!s->fault && length-- > 0) put(s, (uint8_t)take(s, 8));
}

static void fixed_block(struct stream *s) {
  struct codes literals, distances;
  uint8_t lengths[LITERALS];
  for (int i = 0; i < LITERALS; i++) lengths[i] = i < 144 ? 8 : i < 256 ? 9 : i < 280 ? 7 : 8;
  build(&literals, lengths, LITERALS);
  // all 32 codes are there, two of them without meaning
  memset(lengths, 5, 32);
  build(&distances, lengths, 32);
  coded_block(s, &literals, &distances);
}

static void dynamic_block(struct stream *s) {
  static const uint8_t order[LENGTHS] = {16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15};
  int literal_count = (int)take(s, 5) + 257, distance_count = (int)take(s, 5) + 1, length_count = (int)take(s, 4) + 4;
  uint8_t lengths[LITERALS + 32] = {0};
  for (int i = 0; i < length_count; i++) lengths[order[i]] = (uint8_t)take(s, 3);
  struct codes literals, distances;
  if (s->fault || literal_count > 286 || distance_count > DISTANCES || !build(&literals, lengths, LENGTHS)) goto wrong;
  memset(lengths, 0, sizeof lengths);
  for (int at = 0; at < literal_count + distance_count;) {
    int symbol = decode(s, &literals);
    if (symbol < 0) return;
    if (symbol < 16) {
      lengths[at++] = (uint8_t)symbol;
      continue;
    }
    uint8_t again = 0;
    if (symbol == 16) {
      if (at == 0) goto wrong;
      again = lengths[at - 1];
    }
    int times = symbol == 16 ? 3 + (int)take(s, 2) : symbol == 17 ? 3 + (int)take(s, 3) : 11 + (int)take(s, 7);
    if (s->fault || at + times > literal_count + distance_count) goto wrong;
    while (times-- > 0) lengths[at++] = again;
  }
  if (lengths[END_OF_BLOCK] == 0 || !build(&distances, lengths + literal_count, distance_count) || !build(&literals, lengths, literal_count)) goto wrong;
  coded_block(s, &literals, &distances);
  return;
wrong:
  if (!s->fault) s->fault = "its packing describes no code";
}

static uint32_t adler32(const uint8_t *bytes, size_t size) {
  uint32_t a = 1, b = 0;
  for (size_t i = 0; i < size; i++) {
    a = (a + bytes[i]) % 65521;
    b = (b + a) % 65521;
  }
  return b << 16 | a;
}

const char *inflate_zlib(const uint8_t *in, size_t in_size, uint8_t *out, size_t out_size) {
  struct stream s = {.in = in, .in_size = in_size, .out = out, .out_size = out_size};
  uint32_t head = take(&s, 8);
  uint32_t flags = take(&s, 8);
  if (s.fault) return s.fault;
  if ((head & 15) != 8 || (head << 8 | flags) % 31 != 0 || (flags & 32) != 0) return "its pixels are packed in an unknown way";
  for (bool is_last = false; !is_last && !s.fault;) {
    is_last = take(&s, 1) == 1;
    uint32_t kind = take(&s, 2);
    if (s.fault) break;
    if (kind == 0) stored_block(&s);
    else if (kind == 1) fixed_block(&s);
    else if (kind == 2) dynamic_block(&s);
    else s.fault = "its packing has an unknown block";
  }
  if (s.fault) return s.fault;
  if (s.out_at != out_size) return "it has fewer pixels than it says";
  s.bits = 0;
  s.bit_count = 0;
  uint32_t sum = 0;
  for (int i = 0; i < 4; i++) sum = sum << 8 | take(&s, 8);
  if (s.fault) return s.fault;
  if (sum != adler32(out, out_size)) return "the sum over its pixels is wrong";
  return s.in_at == in_size ? NULL : "something follows its pixels";
}
