/* Choosing a light, a point on it, and the density of that choice. */
#include "trace.h"

/* Chance in proportion to an estimate of what each light could give at this point. */
void lights_weigh(const scene_t *scene, v3 at, v3 normal, choice_t *choice) {
  float total = 0;
  for (int i = 0; i < scene->light_count; i++) {
    const light_t *l = &scene->lights[i];
    v3 centre = l->quad ? add(l->at, scale(add(l->u, l->v), 0.5f)) : l->at;
    v3 d = sub(centre, at);
    float d2 = dot(d, d), distance = sqrtf(d2), size = l->quad ? 0.5f * sqrtf(l->area) : l->radius;
    float w = luminance(l->radiance) * l->area / (d2 + size * size);
    if (l->quad) {
      float side = -dot(l->normal, d);
      w = side <= -2 * size ? 0 : w * clamp(side / distance + 0.15f, 0.05f, 1) * 2;
    }
    float facing = dot(normal, d) + size;
    w = facing <= 0 ? 0 : w * clamp(facing / (distance + size), 0.08f, 1);
    choice->chance[i] = w; total += w;
  }
  for (int i = 0; i < scene->light_count; i++) choice->chance[i] = total > 0 ? choice->chance[i] / total : 0;
}

static v3 shine(const light_t *l, float u, float v) { return l->texture == DUSK ? mul(l->radiance, texture_dusk(u, v)) : l->radiance; }

int lights_aim(const light_t *l, v3 at, pair_t u, v3 *to, float *distance, v3 *radiance, float *density) {
  if (l->quad) {
    v3 d = sub(along(along(l->at, l->u, u.u), l->v, u.v), at);
    float d2 = dot(d, d);
    *distance = sqrtf(d2); *to = scale(d, 1 / *distance);
    float cosine = -dot(l->normal, *to);
    if (cosine < 1e-4f) return 0;
    *radiance = shine(l, u.u, u.v); *density = d2 / (cosine * l->area);
    return 1;
  }
  v3 d = sub(l->at, at);
  float d2 = dot(d, d), r2 = l->radius * l->radius;
  if (d2 <= r2 * 1.0001f) return 0;
  /* uniform within the cone that the ball fills */
  float sin2 = r2 / d2, cos_max = sqrtf(1 - sin2), span = sin2 / (1 + cos_max);
  float less = u.u * span, cosine = 1 - less, sine = sqrtf(less * (2 - less)), phi = 2 * PI * u.v;
  v3 axis = scale(d, 1 / sqrtf(d2)), t, b;
  basis(axis, &t, &b);
  *to = unit(add(scale(axis, cosine), add(scale(t, sine * cosf(phi)), scale(b, sine * sinf(phi)))));
  float near = dot(d, *to), inside = r2 - (d2 - near * near);
  *distance = near - sqrtf(max(inside, 0));
  *radiance = l->radiance; *density = 1 / (2 * PI * span);
  return 1;
}

int lights_meet(const light_t *l, v3 from, v3 to, float limit, float *distance, v3 *radiance, float *density) {
  if (l->quad) {
    float cosine = -dot(l->normal, to);
    if (cosine < 1e-4f) return 0;
    float t = dot(sub(from, l->at), l->normal) / cosine;
    if (t <= 1e-4f || t >= limit) return 0;
    v3 p = sub(along(from, to, t), l->at);
    float u = dot(p, l->u) / dot(l->u, l->u), v = dot(p, l->v) / dot(l->v, l->v);
    if (u < 0 || u > 1 || v < 0 || v > 1) return 0;
    *distance = t; *radiance = shine(l, u, v); *density = t * t / (cosine * l->area);
    return 1;
  }
  v3 d = sub(l->at, from);
  float near = dot(d, to), d2 = dot(d, d), r2 = l->radius * l->radius, inside = r2 - (d2 - near * near);
  if (near <= 0 || inside <= 0 || d2 <= r2) return 0;
  float t = near - sqrtf(inside);
  if (t <= 1e-4f || t >= limit) return 0;
  float sin2 = r2 / d2;
  *distance = t; *radiance = l->radiance; *density = 1 / (2 * PI * (sin2 / (1 + sqrtf(1 - sin2))));
  return 1;
}
