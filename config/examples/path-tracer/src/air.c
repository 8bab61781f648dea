/* Light without a surface: flames (marched through a noise field) and halos (soft balls of glowing air, in closed form). */
#include "scene.h"

enum { FLAME_STEPS = 18 };

/* Emission per metre at p. A tongue: wide low down, drawn out to a point, swaying and frayed by noise. */
static v3 flame_at(const flame_t *f, v3 p) {
  float h = (p.y - f->base.y) / f->height;
  if (h <= 0 || h >= 1) return vec(0, 0, 0);
  float seed = (float)(f->seed & 1023) * 1.37f;
  float lean = f->turbulence * f->radius * h * 2.6f;
  float sx = (noise(vec(h * 2.3f + seed, 1, 0)) - 0.5f) * lean, sz = (noise(vec(h * 2.3f + seed, 9, 0)) - 0.5f) * lean;
  float dx = p.x - f->base.x - sx, dz = p.z - f->base.z - sz;
  float width = f->radius * 1.75f * sqrtf(h + 0.02f) * powf(1 - h, 0.85f) + 1e-5f;
  float d = 1 - sqrtf(dx * dx + dz * dz) / width;
  if (d < -0.9f) return vec(0, 0, 0);
  float k = 2.2f / f->radius;
  d += f->turbulence * (fbm(vec(p.x * k + seed, p.y * k * 0.45f, p.z * k), 3) - 0.52f) * (0.5f + 1.6f * h);
  if (d <= 0) return vec(0, 0, 0);
  float heat = smooth(0, 0.75f, d) * (1 - 0.45f * h), thick = smooth(0, 0.25f, d);
  v3 c = mix(vec(1.0f, 0.16f, 0.012f), vec(1.0f, 0.62f, 0.20f), heat);
  c = mix(c, vec(0.10f, 0.16f, 0.55f), 0.6f * (1 - smooth(0, 0.09f, h)));
  return scale(c, f->power * thick * (0.25f + 1.5f * heat) * smooth(0, 0.12f, h) / f->radius);
}

static int box_span(v3 lo, v3 hi, v3 from, v3 to, float *near, float *far) {
  const float *l = &lo.x, *h = &hi.x, *o = &from.x, *d = &to.x;
  for (int i = 0; i < 3; i++) {
    float inverse = 1 / (fabsf(d[i]) < 1e-9f ? 1e-9f : d[i]);
    float a = (l[i] - o[i]) * inverse, b = (h[i] - o[i]) * inverse;
    if (a > b) { float s = a; a = b; b = s; }
    if (a > *near) *near = a;
    if (b < *far) *far = b;
    if (*near >= *far) return 0;
  }
  return 1;
}

v3 air_light(const scene_t *scene, v3 from, v3 to, float t, float jitter) {
  v3 sum = vec(0, 0, 0);
  for (int i = 0; i < scene->flame_count; i++) {
    const flame_t *f = &scene->flames[i];
    float reach = f->radius * (1.3f + 1.5f * f->turbulence), near = 0, far = t;
    if (!box_span(sub(f->base, vec(reach, 0, reach)), add(f->base, vec(reach, f->height, reach)), from, to, &near, &far)) continue;
    float step = (far - near) / FLAME_STEPS;
    v3 got = vec(0, 0, 0);
    for (int s = 0; s < FLAME_STEPS; s++) got = add(got, flame_at(f, along(from, to, near + ((float)s + jitter) * step)));
    sum = add(sum, scale(got, step));
  }
  for (int i = 0; i < scene->halo_count; i++) {
    const halo_t *h = &scene->halos[i];
    v3 o = sub(from, h->at);
    float b = dot(o, to), gap = dot(o, o) - b * b, r2 = h->radius * h->radius;
    if (gap >= r2) continue;
    /* density (1 - r^2/R^2)^2 integrated along the ray: with s from the nearest point, (k - s^2/R^2)^2, k = 1 - gap/R^2 */
    float half = sqrtf(r2 - gap), lo = max(-half, b), hi = min(half, t + b);
    if (lo >= hi) continue;
    float k = 1 - gap / r2, q = 1 / r2;
    float at_hi = hi * (k * k + hi * hi * q * (-2 * k / 3 + hi * hi * q / 5)), at_lo = lo * (k * k + lo * lo * q * (-2 * k / 3 + lo * lo * q / 5));
    sum = add(sum, scale(h->colour, (at_hi - at_lo) / h->radius));
  }
  return sum;
}
