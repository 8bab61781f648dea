/* One camera path: glass and mirrors are followed exactly as far as the eye sees them; from the first dull surface on,
 * light is gathered by aiming at lights and by bouncing, both weighed by the power heuristic (Veach). */
#include "trace.h"

enum { BOUNCES_MAX = 7, CLEAR_MAX = 12, ROULETTE_FROM = 2 };

/* Brightest light that a path may bring after a dull surface: trades rare sparks for a trace of darkness. */
static const float SPARK_MAX = 7;
/* Once light is diffuse, sharp metal is treated as if brushed: no sparks from its reflections. */
static const float BRUSHED = 0.35f;

typedef struct {
  const scene_t *scene;
  sampler_t *sampler;
  v3 from, to, weight, radiance;
  int seen;      /* still what the eye sees directly, through glass or by mirrors */
  int bounces;
  float density; /* of the bounce that made this ray; 0 after a mirror */
  choice_t choice;
  sample_t out;
} path_t;

static float heuristic(float a, float b) { return a * a / (a * a + b * b + 1e-20f); }

static void receive(path_t *p, v3 light, float weight) {
  v3 c = scale(mul(p->weight, light), weight);
  float top = largest(c);
  if (!p->seen && p->bounces > 1 && top > SPARK_MAX) c = scale(c, SPARK_MAX / top);
  p->radiance = add(p->radiance, c);
}

typedef struct { v3 point, flat, normal; const material_t *material; const frame_t *frame; } contact_t;

static contact_t contact_of(const scene_t *s, const path_t *p, const hit_t *hit) {
  const primitive_t *q = &s->primitives[hit->primitive];
  contact_t c;
  c.point = along(p->from, p->to, hit->t);
  c.material = &s->materials[q->material]; c.frame = &s->frames[q->frame];
  if (q->sphere) { c.flat = c.normal = scale(sub(c.point, q->a), 1 / q->ab.x); return c; }
  const normals_t *n = &s->normals[hit->primitive];
  c.flat = unit(cross(q->ab, q->ac));
  c.normal = unit(add(add(scale(n->a, 1 - hit->u - hit->v), scale(n->b, hit->u)), scale(n->c, hit->v)));
  if (dot(c.flat, c.normal) < 0) c.flat = scale(c.flat, -1);
  return c;
}

static v3 local_point(const frame_t *f, v3 p) { v3 d = sub(p, f->origin); return vec(dot(f->rx, d), dot(f->ry, d), dot(f->rz, d)); }
static v3 local_direction(const frame_t *f, v3 d) { return vec(dot(f->rx, d), dot(f->ry, d), dot(f->rz, d)); }

/* Tilts the normal by the texture's height, measured by finite differences. */
static v3 bumped(const contact_t *c, v3 n, float height) {
  const float step = 0.0012f;
  v3 t, b, local_n = local_direction(c->frame, n);
  float ht, hb;
  basis(n, &t, &b);
  texture_colour(c->material, local_point(c->frame, along(c->point, t, step)), local_n, &ht);
  texture_colour(c->material, local_point(c->frame, along(c->point, b, step)), local_n, &hb);
  float k = c->material->bump / step;
  return unit(sub(n, add(scale(t, clamp((ht - height) * k, -0.8f, 0.8f)), scale(b, clamp((hb - height) * k, -0.8f, 0.8f)))));
}

/* Glass: reflected or refracted at random for the eye, straight through (tinted) for light that was scattered. */
static void through_glass(path_t *p, const contact_t *c, float t, int inside) {
  const material_t *m = c->material;
  v3 n = inside ? scale(c->normal, -1) : c->normal;
  float cosine = clamp(-dot(n, p->to), 0.001f, 1);
  if (m->kind == GLASS && inside) p->weight = mul(p->weight, vec(expf(-m->colour.x * t), expf(-m->colour.y * t), expf(-m->colour.z * t)));
  float ior = inside && m->kind == GLASS ? 1 / m->ior : m->ior, reflects = fresnel(cosine, ior);
  if (!p->seen) {
    float pass = m->kind == PANE ? 1 - reflects : (1 - fresnel(cosine, m->ior)) * (0.35f + 0.75f * cosine * cosine * cosine);
    p->weight = scale(m->kind == PANE ? mul(p->weight, m->colour) : p->weight, pass);
    p->from = along(c->point, p->to, 2e-4f);
    return;
  }
  float chance = clamp(reflects, 0.12f, 0.88f);
  if (reflects >= 1) chance = 1;
  if (draw_pair(p->sampler).u < chance) {
    p->weight = scale(p->weight, reflects / chance);
    p->to = unit(add(p->to, scale(n, 2 * cosine)));
    p->from = along(c->point, c->flat, (inside ? -1 : 1) * 2e-4f);
    return;
  }
  p->weight = scale(p->weight, (1 - reflects) / (1 - chance));
  if (m->kind == PANE) p->weight = mul(p->weight, m->colour);
  else {
    float eta = 1 / ior, k = 1 - eta * eta * (1 - cosine * cosine);
    p->to = unit(add(scale(p->to, eta), scale(n, eta * cosine - sqrtf(max(0, k)))));
  }
  p->from = along(c->point, p->to, 2e-4f);
}

/* One light, one point on it, one shadow ray. */
CALLED static void gather(path_t *p, const surface_t *s, v3 at, v3 n, v3 eye) {
  const scene_t *scene = p->scene;
  lights_weigh(scene, at, n, &p->choice);
  pair_t u = draw_pair(p->sampler);
  float pick = draw_pair(p->sampler).u;
  int i = 0;
  while (i < scene->light_count && pick >= p->choice.chance[i]) pick -= p->choice.chance[i++];
  if (i == scene->light_count) return;
  v3 to, radiance; float distance, density, back;
  if (!lights_aim(&scene->lights[i], at, u, &to, &distance, &radiance, &density)) return;
  v3 f = surface_reflects(s, n, eye, to, &back);
  if (largest(f) <= 0) return;
  v3 pass = bvh_passes(scene, at, to, distance - 1e-3f);
  if (largest(pass) <= 0) return;
  density *= p->choice.chance[i];
  int seen = p->seen;
  p->seen = 0;
  receive(p, mul(mul(radiance, f), pass), heuristic(density, back) / density);
  p->seen = seen;
}

static void meet_lights(path_t *p, float limit) {
  for (int i = 0; i < p->scene->light_count; i++) {
    const light_t *l = &p->scene->lights[i];
    v3 radiance; float distance, density;
    if (p->seen ? l->hidden : p->choice.chance[i] <= 0) continue;
    if (!lights_meet(l, p->from, p->to, limit, &distance, &radiance, &density)) continue;
    if (p->seen) receive(p, radiance, 1);
    else receive(p, radiance, heuristic(p->density, density * p->choice.chance[i]));
  }
}

static void remember(path_t *p, v3 albedo, v3 normal, float depth) {
  p->out.albedo = albedo; p->out.normal = normal; p->out.depth = depth;
}

/* A dull surface (or a mirror of metal): gathers, then bounces. Returns 0 when the path ends. */
CALLED static int scatter(path_t *p, const contact_t *c, float depth) {
  const material_t *m = c->material;
  v3 eye = scale(p->to, -1), n = c->normal, flat = c->flat;
  if (dot(flat, eye) < 0) { flat = scale(flat, -1); n = scale(n, -1); }
  float height;
  v3 colour = texture_colour(m, local_point(c->frame, c->point), local_direction(c->frame, n), &height);
  if (p->seen && m->bump > 0) n = bumped(c, n, height);
  if (dot(n, eye) < 0.02f) n = unit(add(n, scale(eye, 0.02f - dot(n, eye) + 0.01f)));
  if (m->kind == GLOW) {
    remember(p, vec(1, 1, 1), n, depth);
    if (p->seen) receive(p, colour, 1);
    return 0;
  }
  surface_t s = surface_of(m, colour, p->seen ? 0 : BRUSHED);
  v3 at = along(c->point, flat, 3e-4f);
  int mirror = m->kind == METAL && s.specular;
  if (p->seen && !mirror) remember(p, m->kind == METAL ? colour : add(colour, vec(0.02f, 0.02f, 0.02f)), n, depth);
  p->bounces++;
  if (!mirror) gather(p, &s, at, n, eye);
  int mirrored;
  v3 to, weight = surface_bounce(&s, n, eye, draw_pair(p->sampler), &to, &p->density, &mirrored);
  if (largest(weight) <= 0 || dot(to, flat) <= 0) return 0;
  p->weight = mul(p->weight, weight);
  if (!(mirrored && s.specular)) p->seen = 0;
  p->from = at; p->to = to;
  return 1;
}

static v3 follow(path_t *p) {
  float depth = 0;
  for (int clear = 0; p->bounces < BOUNCES_MAX && clear < CLEAR_MAX; clear++) {
    hit_t hit;
    int found = bvh_nearest(p->scene, p->from, p->to, 1e30f, &hit);
    if (p->seen) p->radiance = add(p->radiance, mul(p->weight, air_light(p->scene, p->from, p->to, hit.t, draw_pair(p->sampler).u)));
    meet_lights(p, hit.t);
    if (!found) break;
    depth += hit.t;
    contact_t c = contact_of(p->scene, p, &hit);
    if (c.material->kind == GLASS || c.material->kind == PANE) {
      int inside = dot(c.flat, p->to) > 0;
      if (dot(c.normal, c.flat) < 0) c.normal = c.flat;
      through_glass(p, &c, hit.t, inside);
      continue;
    }
    clear = 0;
    if (!scatter(p, &c, depth)) break;
    if (p->bounces > ROULETTE_FROM) {
      float survive = min(0.95f, largest(p->weight));
      if (draw_one(p->sampler) >= survive) break;
      p->weight = scale(p->weight, 1 / survive);
    }
  }
  return p->radiance;
}

CALLED sample_t trace_sample(const scene_t *scene, float x, float y, sampler_t *sampler) {
  const camera_t *c = &scene->camera;
  pair_t lens = draw_pair(sampler);
  float r = c->aperture * sqrtf(lens.u), phi = 2 * PI * lens.v;
  v3 through = add(c->forward, add(scale(c->right, (x - 0.5f) * c->width), scale(c->up, (0.5f - y) * c->height)));
  v3 aim = along(c->from, through, c->focus);
  v3 from = add(c->from, add(scale(c->right, r * cosf(phi)), scale(c->up, r * sinf(phi))));
  path_t p = {scene, sampler, from, unit(sub(aim, from)), vec(1, 1, 1), vec(0, 0, 0), 1, 0, 0, {{0}}, {vec(0, 0, 0), vec(1, 1, 1), vec(0, 0, 0), 0}};
  v3 got = follow(&p);
  p.out.radiance = got.x >= 0 && got.y >= 0 && got.z >= 0 && largest(got) < 1e6f ? got : vec(0, 0, 0);
  return p.out;
}
