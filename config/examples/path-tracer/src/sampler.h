/* Random numbers for one sample of one pixel: shuffled, Owen-scrambled Sobol pairs (Burley 2020), which converge
 * faster than chance and depend on nothing but the pixel, the sample's number and the count of draws so far. */
#ifndef SAMPLER_H
#define SAMPLER_H
#include "vec.h"

typedef struct { uint32_t seed, index, draw; } sampler_t;
typedef struct { float u, v; } pair_t;

INLINE uint32_t reverse_bits(uint32_t x) {
  x = (x >> 1 & 0x55555555u) | (x & 0x55555555u) << 1;
  x = (x >> 2 & 0x33333333u) | (x & 0x33333333u) << 2;
  x = (x >> 4 & 0x0f0f0f0fu) | (x & 0x0f0f0f0fu) << 4;
  x = (x >> 8 & 0x00ff00ffu) | (x & 0x00ff00ffu) << 8;
  return x >> 16 | x << 16;
}
/* Laine and Karras: an Owen scramble, on reversed bits. */
INLINE uint32_t scramble(uint32_t x, uint32_t seed) {
  x += seed; x ^= x * 0x6c50b47cu; x ^= x * 0xb82f1e52u; x ^= x * 0xc7afe638u; x ^= x * 0x8d22f6e6u;
  return x;
}
/* Second Sobol dimension with its bits reversed: as polynomials over GF(2), n(1 + x), whose matrix is Pascal's triangle. */
INLINE uint32_t pascal(uint32_t n) {
  n ^= (n & 0xaaaaaaaau) >> 1; n ^= (n & 0xccccccccu) >> 2; n ^= (n & 0xf0f0f0f0u) >> 4; n ^= (n & 0xff00ff00u) >> 8;
  return n ^ n >> 16;
}

INLINE pair_t draw_pair(sampler_t *s) {
  uint32_t seed = hash2(s->seed, ++s->draw);
  uint32_t n = reverse_bits(scramble(reverse_bits(s->index), seed));
  uint32_t x = reverse_bits(scramble(n, hash(seed ^ 0xa511e9b3u)));
  uint32_t y = reverse_bits(scramble(pascal(n), hash(seed ^ 0x63d83595u)));
  return (pair_t){to_unit(x), to_unit(y)};
}
INLINE float draw_one(sampler_t *s) { return to_unit(hash2(s->seed ^ s->index * 0x9e3779b9u, 0x51ed270bu + ++s->draw)); }

#endif
