#include "png.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "inflate.h"

/* 64 million pixels of 4 channels: a quarter of what a comparator may hold. */
enum { MAX_PIXELS = 64 * 1024 * 1024, MAX_SIDE = 65535 };

static uint32_t big_endian(const uint8_t *at) {
  return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

static uint32_t crc32(const uint8_t *bytes, size_t size) {
  static uint32_t table[256];
  if (table[1] == 0) {
    for (uint32_t i = 0; i < 256; i++) {
      uint32_t c = i;
      for (int k = 0; k < 8; k++) c = c & 1 ? 0xedb88320u ^ c >> 1 : c >> 1;
      table[i] = c;
    }
  }
  uint32_t crc = 0xffffffffu;
  for (size_t i = 0; i < size; i++) crc = table[(crc ^ bytes[i]) & 255] ^ crc >> 8;
  return ~crc;
}

static bool is(const uint8_t *type, const char *name) { return memcmp(type, name, 4) == 0; }

/* What says when, by what and how quickly it was made, and nothing of how it looks. */
static bool is_talk(const uint8_t *type) { return is(type, "tEXt") || is(type, "zTXt") || is(type, "iTXt") || is(type, "tIME"); }

static uint8_t paeth(int left, int up, int corner) {
  int guess = left + up - corner, a = abs(guess - left), b = abs(guess - up), c = abs(guess - corner);
  return (uint8_t)(a <= b && a <= c ? left : b <= c ? up : corner);
}

/* Takes the filters back: `raw` has a byte for the filter before each row. */
static const char *unfilter(const uint8_t *raw, struct picture *p) {
  size_t step = (size_t)p->channels, row_size = step * p->width;
  for (uint32_t y = 0; y < p->height; y++) {
    const uint8_t *from = raw + y * (row_size + 1);
    uint8_t *row = p->pixels + y * row_size;
    const uint8_t *above = y == 0 ? NULL : row - row_size;
    uint8_t filter = *from++;
    if (filter > 4) return "a row has an unknown filter";
    for (size_t x = 0; x < row_size; x++) {
      int left = x < step ? 0 : row[x - step], up = above ? above[x] : 0, corner = above && x >= step ? above[x - step] : 0;
      int guess = filter == 0 ? 0 : filter == 1 ? left : filter == 2 ? up : filter == 3 ? (left + up) / 2 : paeth(left, up, corner);
      row[x] = (uint8_t)(from[x] + guess);
    }
  }
  return NULL;
}

static const char *read_head(const uint8_t *at, uint32_t length, struct picture *p) {
  static const int channels[] = {1, 0, 3, 0, 2, 0, 4};
  if (length != 13) return "its head has a wrong length";
  p->width = big_endian(at);
  p->height = big_endian(at + 4);
  if (p->width == 0 || p->height == 0 || p->width > MAX_SIDE || p->height > MAX_SIDE || (uint64_t)p->width * p->height > MAX_PIXELS) return "it is empty or too large";
  if (at[8] != 8 || at[9] > 6 || channels[at[9]] == 0 || at[10] != 0 || at[11] != 0 || at[12] != 0) return "only plain PNG of 8 bits a channel is read here";
  p->channels = channels[at[9]];
  return NULL;
}

const char *read_png(const uint8_t *bytes, size_t size, struct picture *p) {
  memset(p, 0, sizeof *p);
  if (size < 8 || memcmp(bytes, "\x89PNG\r\n\x1a\n", 8) != 0) return "it is no PNG";
  uint8_t *packed = malloc(size);
  p->rest = malloc(size);
  if (packed == NULL || p->rest == NULL) return "there is no memory for it";
  size_t packed_size = 0;
  bool is_over = false, is_after = false;
  for (size_t at = 8; !is_over;) {
    if (size - at < 12) return "it ends in the middle";
    uint32_t length = big_endian(bytes + at);
    const uint8_t *type = bytes + at + 4, *content = type + 4;
    if (length > size - at - 12) return "it ends in the middle";
    if (crc32(type, length + 4) != big_endian(content + length)) return "the sum over a part is wrong";
    if (is(type, "IHDR") != (at == 8)) return "its head is not where it belongs";
    if (at == 8) {
      const char *fault = read_head(content, length, p);
      if (fault) return fault;
    } else if (is(type, "IDAT")) {
      if (is_after) return "its pixels are scattered";
      memcpy(packed + packed_size, content, length);
      packed_size += length;
    } else {
      is_after = packed_size > 0;
      is_over = is(type, "IEND");
      if (!is_over && (type[0] & 32) == 0) return "it has a part that is not known here";
      if (!is_over && !is_talk(type)) {
        memcpy(p->rest + p->rest_size, type, length + 4);
        p->rest_size += length + 4;
      }
    }
    at += (size_t)length + 12;
    if (is_over && at != size) return "something follows its end";
  }
  size_t row_size = (size_t)p->channels * p->width;
  uint8_t *raw = malloc((row_size + 1) * p->height);
  p->pixels = malloc(row_size * p->height);
  if (raw == NULL || p->pixels == NULL) return "there is no memory for it";
  const char *fault = inflate_zlib(packed, packed_size, raw, (row_size + 1) * p->height);
  if (fault == NULL) fault = unfilter(raw, p);
  free(raw);
  free(packed);
  return fault;
}
