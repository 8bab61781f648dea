/* Three-component vectors, and the few scalar helpers that every other file needs. */
#ifndef VEC_H
#define VEC_H
#include <math.h>
#include <stdint.h>

typedef struct { float x, y, z; } v3;

#define INLINE static inline __attribute__((always_inline))
/* An engine that compiles while it runs (V8) swaps in faster code when a function is called again: what runs long must be called often. */
#define CALLED __attribute__((noinline))
#define PI 3.14159265358979f

/* Not fminf and fmaxf: those treat NaN in a way that WebAssembly has no instruction for, and become calls. */
INLINE float min(float a, float b) { return a < b ? a : b; }
INLINE float max(float a, float b) { return a > b ? a : b; }
INLINE v3 vec(float x, float y, float z) { return (v3){x, y, z}; }
INLINE v3 add(v3 a, v3 b) { return vec(a.x + b.x, a.y + b.y, a.z + b.z); }
INLINE v3 sub(v3 a, v3 b) { return vec(a.x - b.x, a.y - b.y, a.z - b.z); }
INLINE v3 mul(v3 a, v3 b) { return vec(a.x * b.x, a.y * b.y, a.z * b.z); }
INLINE v3 scale(v3 a, float s) { return vec(a.x * s, a.y * s, a.z * s); }
INLINE v3 along(v3 o, v3 d, float t) { return vec(o.x + d.x * t, o.y + d.y * t, o.z + d.z * t); }
INLINE float dot(v3 a, v3 b) { return a.x * b.x + a.y * b.y + a.z * b.z; }
INLINE v3 cross(v3 a, v3 b) { return vec(a.y * b.z - a.z * b.y, a.z * b.x - a.x * b.z, a.x * b.y - a.y * b.x); }
INLINE float length(v3 a) { return sqrtf(dot(a, a)); }
INLINE v3 unit(v3 a) { float l = length(a); return l > 0 ? scale(a, 1 / l) : vec(0, 1, 0); }
INLINE float clamp(float x, float lo, float hi) { return x < lo ? lo : x > hi ? hi : x; }
INLINE float mixf(float a, float b, float t) { return a + (b - a) * t; }
INLINE v3 mix(v3 a, v3 b, float t) { return vec(mixf(a.x, b.x, t), mixf(a.y, b.y, t), mixf(a.z, b.z, t)); }
INLINE float smooth(float lo, float hi, float x) { float t = clamp((x - lo) / (hi - lo), 0, 1); return t * t * (3 - 2 * t); }
INLINE float luminance(v3 c) { return 0.2126f * c.x + 0.7152f * c.y + 0.0722f * c.z; }
INLINE float largest(v3 c) { return max(c.x, max(c.y, c.z)); }

/* Two directions that complete n to an orthonormal basis (Duff et al. 2017). */
INLINE void basis(v3 n, v3 *t, v3 *b) {
  float s = n.z < 0 ? -1.0f : 1.0f, a = -1 / (s + n.z), c = n.x * n.y * a;
  *t = vec(1 + s * n.x * n.x * a, s * c, -s * n.x);
  *b = vec(c, s + n.y * n.y * a, -n.y);
}

/* Integer hash with good avalanche (Wellons' lowbias32). */
INLINE uint32_t hash(uint32_t x) {
  x ^= x >> 16; x *= 0x7feb352du; x ^= x >> 15; x *= 0x846ca68bu; x ^= x >> 16;
  return x;
}
INLINE uint32_t hash2(uint32_t a, uint32_t b) { return hash(a ^ (hash(b) + 0x9e3779b9u + (a << 6) + (a >> 2))); }
/* 24 bits to [0, 1): every value is exact in a float. */
INLINE float to_unit(uint32_t x) { return (float)(x >> 8) * (1.0f / 16777216.0f); }

#endif
