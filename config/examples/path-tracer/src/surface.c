/* Opaque surfaces: a Lambert base under an optional GGX layer (lacquer, glaze), or GGX alone (metal). */
#include "trace.h"

enum { SHARP_PERCENT = 12 };

surface_t surface_of(const material_t *m, v3 colour, float roughest) {
  surface_t s = {colour, vec(0, 0, 0), 1, 0};
  if (m->kind == DIFFUSE || m->kind == GLOW) return s;
  float rough = max(m->rough, roughest);
  s.alpha = max(rough * rough, 0.0004f);
  s.specular = rough * 100 < (float)SHARP_PERCENT;
  if (m->kind == METAL) { s.f0 = colour; s.diffuse = vec(0, 0, 0); }
  else { float r = (m->ior - 1) / (m->ior + 1); r *= r; s.f0 = vec(r, r, r); }
  return s;
}

static v3 schlick(v3 f0, float cosine) {
  float k = 1 - clamp(cosine, 0, 1), k2 = k * k, k5 = k2 * k2 * k;
  return add(scale(f0, 1 - k5), vec(k5, k5, k5));
}
static int layered(const surface_t *s) { return s->f0.x + s->f0.y + s->f0.z > 0; }
static float mirror_chance(const surface_t *s, float cosine) {
  float spec = luminance(schlick(s->f0, cosine)), base = luminance(s->diffuse) * (1 - spec);
  if (base <= 0) return 1;
  return clamp(spec / (spec + base), 0.1f, 0.9f);
}
/* Smith's masking, one side */
static float lambda(float cosine, float alpha) {
  float c2 = cosine * cosine;
  return 0.5f * (sqrtf(1 + alpha * alpha * (1 - c2) / max(c2, 1e-6f)) - 1);
}
static float ggx(float nh, float alpha) { float a2 = alpha * alpha, d = nh * nh * (a2 - 1) + 1; return a2 / (PI * d * d); }

v3 surface_reflects(const surface_t *s, v3 n, v3 eye, v3 to, float *density) {
  float ne = max(dot(n, eye), 1e-4f), nl = dot(n, to);
  *density = 0;
  if (nl <= 0) return vec(0, 0, 0);
  if (!layered(s)) { *density = nl / PI; return scale(s->diffuse, nl / PI); }
  float chance = mirror_chance(s, ne);
  v3 pass = sub(vec(1, 1, 1), schlick(s->f0, ne));
  v3 out = scale(mul(mul(s->diffuse, pass), sub(vec(1, 1, 1), schlick(s->f0, nl))), nl / PI);
  *density = (1 - chance) * nl / PI;
  if (s->specular) return out; /* as good as a mirror: only surface_bounce finds its lobe */
  v3 h = unit(add(eye, to));
  float nh = max(dot(n, h), 0), d = ggx(nh, s->alpha), le = lambda(ne, s->alpha), ll = lambda(nl, s->alpha);
  *density += chance * d / (4 * ne * (1 + le));
  return add(out, scale(schlick(s->f0, dot(eye, h)), d / (4 * ne * (1 + le + ll))));
}

/* Visible normal of GGX (Heitz 2018). */
static v3 facet(v3 eye, float alpha, pair_t u) {
  v3 v = unit(vec(alpha * eye.x, alpha * eye.y, eye.z));
  float l2 = v.x * v.x + v.y * v.y;
  v3 t = l2 > 1e-12f ? scale(vec(-v.y, v.x, 0), 1 / sqrtf(l2)) : vec(1, 0, 0), b = cross(v, t);
  float r = sqrtf(u.u), phi = 2 * PI * u.v, x = r * cosf(phi), y = r * sinf(phi), k = 0.5f * (1 + v.z);
  y = (1 - k) * sqrtf(max(0, 1 - x * x)) + k * y;
  v3 h = add(add(scale(t, x), scale(b, y)), scale(v, sqrtf(max(0, 1 - x * x - y * y))));
  return unit(vec(alpha * h.x, alpha * h.y, max(1e-6f, h.z)));
}

v3 surface_bounce(const surface_t *s, v3 n, v3 eye, pair_t u, v3 *to, float *density, int *mirrored) {
  v3 t, b;
  basis(n, &t, &b);
  float ne = max(dot(n, eye), 1e-4f), chance = layered(s) ? mirror_chance(s, ne) : 0;
  *mirrored = u.u < chance;
  if (*mirrored) {
    u.u /= chance;
    v3 h = facet(vec(dot(eye, t), dot(eye, b), ne), s->alpha, u);
    h = add(add(scale(t, h.x), scale(b, h.y)), scale(n, h.z));
    *to = unit(sub(scale(h, 2 * dot(eye, h)), eye));
    float nl = dot(n, *to);
    if (nl <= 0) return vec(0, 0, 0);
    if (s->specular) {
      *density = 0;
      float le = lambda(ne, s->alpha), ll = lambda(nl, s->alpha);
      return scale(schlick(s->f0, dot(eye, h)), (1 + le) / ((1 + le + ll) * chance));
    }
  } else {
    u.u = chance < 1 ? (u.u - chance) / (1 - chance) : 0;
    float r = sqrtf(u.u), phi = 2 * PI * u.v;
    *to = unit(add(add(scale(t, r * cosf(phi)), scale(b, r * sinf(phi))), scale(n, sqrtf(max(1e-6f, 1 - u.u)))));
  }
  v3 f = surface_reflects(s, n, eye, *to, density);
  return *density > 1e-9f ? scale(f, 1 / *density) : vec(0, 0, 0);
}
