#ifndef PNG_H
#define PNG_H
#include <stddef.h>
#include <stdint.h>

struct picture {
  uint32_t width, height;
  int channels;     /* 1 grey, 2 grey and alpha, 3 colours, 4 colours and alpha */
  uint8_t *pixels;  /* row by row, a byte a channel */
  uint8_t *rest;    /* chunks that change how it is shown, one after the other: palette-free PNG has gamma, profiles and the like */
  size_t rest_size;
};

/* Reads a PNG of 8 bits a channel, not interlaced. NULL, or what is wrong with it. Nothing that a viewer would refuse passes. */
const char *read_png(const uint8_t *bytes, size_t size, struct picture *picture);

#endif
