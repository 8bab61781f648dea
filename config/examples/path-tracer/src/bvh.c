/* A bounding volume hierarchy over all primitives: binned surface-area heuristic, two children a node. */
#include <stdlib.h>
#include "scene.h"

enum { BINS = 16, LEAF_MAX = 4, STACK_MAX = 64 };

typedef struct { v3 lo, hi; } bounds_t;
typedef struct { bounds_t box; v3 centre; int primitive; } item_t;

static bounds_t empty(void) { return (bounds_t){vec(1e30f, 1e30f, 1e30f), vec(-1e30f, -1e30f, -1e30f)}; }
static void grow(bounds_t *b, v3 p) {
  b->lo = vec(min(b->lo.x, p.x), min(b->lo.y, p.y), min(b->lo.z, p.z));
  b->hi = vec(max(b->hi.x, p.x), max(b->hi.y, p.y), max(b->hi.z, p.z));
}
static void join(bounds_t *b, const bounds_t *o) { grow(b, o->lo); grow(b, o->hi); }
static float half_area(const bounds_t *b) {
  v3 d = sub(b->hi, b->lo);
  return d.x < 0 ? 0 : d.x * d.y + d.y * d.z + d.z * d.x;
}
static float axis_of(v3 p, int axis) { return axis == 0 ? p.x : axis == 1 ? p.y : p.z; }

static bounds_t bounds_of(const primitive_t *p) {
  bounds_t b = empty();
  if (p->sphere) {
    v3 r = vec(p->ab.x, p->ab.x, p->ab.x);
    grow(&b, sub(p->a, r)); grow(&b, add(p->a, r));
  } else {
    grow(&b, p->a); grow(&b, add(p->a, p->ab)); grow(&b, add(p->a, p->ac));
  }
  return b;
}

static int bin_of(float c, float lo, float hi) {
  int bin = (int)((c - lo) / (hi - lo) * BINS);
  return bin < 0 ? 0 : bin >= BINS ? BINS - 1 : bin;
}

/* The cheapest of BINS - 1 planes on each axis; returns the cost, infinite when the centres coincide. */
static float best_split(const item_t *items, int count, const bounds_t *centres, int *axis_out, int *bin_out) {
  float best = 1e30f;
  for (int axis = 0; axis < 3; axis++) {
    float lo = axis_of(centres->lo, axis), hi = axis_of(centres->hi, axis);
    if (hi - lo < 1e-6f) continue;
    bounds_t box[BINS]; int n[BINS];
    for (int i = 0; i < BINS; i++) { box[i] = empty(); n[i] = 0; }
    for (int i = 0; i < count; i++) {
      int bin = bin_of(axis_of(items[i].centre, axis), lo, hi);
      n[bin]++; join(&box[bin], &items[i].box);
    }
    float right[BINS]; bounds_t acc = empty(); int seen = 0;
    for (int i = BINS - 1; i > 0; i--) {
      if (n[i]) join(&acc, &box[i]);
      seen += n[i]; right[i] = seen ? half_area(&acc) * (float)seen : 0;
    }
    acc = empty(); seen = 0;
    for (int i = 0; i < BINS - 1; i++) {
      if (n[i]) join(&acc, &box[i]);
      seen += n[i];
      if (seen == 0 || seen == count) continue;
      float cost = half_area(&acc) * (float)seen + right[i + 1];
      if (cost < best) { best = cost; *axis_out = axis; *bin_out = i; }
    }
  }
  return best;
}

static void build(scene_t *scene, item_t *items, int first, int count, int node, int depth) {
  bounds_t box = empty(), centres = empty();
  for (int i = first; i < first + count; i++) { join(&box, &items[i].box); grow(&centres, items[i].centre); }
  node_t *out = &scene->nodes[node];
  /* a hair wider, for rounding: a flat box must not be missed */
  v3 lo_side = sub(box.lo, vec(1e-5f, 1e-5f, 1e-5f)), hi_side = add(box.hi, vec(1e-5f, 1e-5f, 1e-5f));
  out->side[0][0] = lo_side.x; out->side[0][1] = lo_side.y; out->side[0][2] = lo_side.z;
  out->side[1][0] = hi_side.x; out->side[1][1] = hi_side.y; out->side[1][2] = hi_side.z;
  int axis = 0, bin = 0;
  float cost = count > 1 && depth < STACK_MAX - 2 ? best_split(items + first, count, &centres, &axis, &bin) : 1e30f;
  if (count <= LEAF_MAX && cost + half_area(&box) >= half_area(&box) * (float)count) cost = 1e30f;
  if (cost >= 1e30f) { out->first = (uint32_t)first; out->count = (uint32_t)count; return; }
  float lo = axis_of(centres.lo, axis), hi = axis_of(centres.hi, axis);
  int left = first, right = first + count - 1;
  while (left <= right) {
    if (bin_of(axis_of(items[left].centre, axis), lo, hi) <= bin) left++;
    else { item_t swap = items[left]; items[left] = items[right]; items[right--] = swap; }
  }
  int child = scene->node_count;
  scene->node_count += 2;
  out->first = (uint32_t)child; out->count = 0;
  build(scene, items, first, left - first, child, depth + 1);
  build(scene, items, left, first + count - left, child + 1, depth + 1);
}

void bvh_build(scene_t *scene) {
  int n = scene->primitive_count;
  item_t *items = malloc(sizeof(item_t) * (size_t)n);
  for (int i = 0; i < n; i++) {
    bounds_t b = bounds_of(&scene->primitives[i]);
    items[i] = (item_t){b, scale(add(b.lo, b.hi), 0.5f), i};
  }
  scene->nodes = malloc(sizeof(node_t) * (size_t)(2 * n));
  scene->node_count = 1;
  build(scene, items, 0, n, 0, 0);
  /* Leaves own neighbouring primitives: in that order they also lie in memory. */
  primitive_t *primitives = malloc(sizeof(primitive_t) * (size_t)n);
  normals_t *normals = malloc(sizeof(normals_t) * (size_t)n);
  for (int i = 0; i < n; i++) { primitives[i] = scene->primitives[items[i].primitive]; normals[i] = scene->normals[items[i].primitive]; }
  free(scene->primitives); free(scene->normals); free(items);
  scene->primitives = primitives; scene->normals = normals;
}

/* A ray as the tree wants it: reciprocal direction, origin times that, and which side of a box it enters by. */
typedef struct { v3 inverse, shift; int x, y, z; } slope_t;

INLINE slope_t slope_of(v3 from, v3 to) {
  v3 inverse = vec(1 / (fabsf(to.x) < 1e-9f ? 1e-9f : to.x), 1 / (fabsf(to.y) < 1e-9f ? 1e-9f : to.y), 1 / (fabsf(to.z) < 1e-9f ? 1e-9f : to.z));
  return (slope_t){inverse, mul(from, inverse), inverse.x < 0, inverse.y < 0, inverse.z < 0};
}

/* Distance at which the ray enters the node's box, or 1e30 when it misses or enters after `limit`. */
INLINE float enters(const node_t *n, const slope_t *s, float limit) {
  float near = n->side[s->x][0] * s->inverse.x - s->shift.x, far = n->side[1 - s->x][0] * s->inverse.x - s->shift.x;
  float y0 = n->side[s->y][1] * s->inverse.y - s->shift.y, y1 = n->side[1 - s->y][1] * s->inverse.y - s->shift.y;
  float z0 = n->side[s->z][2] * s->inverse.z - s->shift.z, z1 = n->side[1 - s->z][2] * s->inverse.z - s->shift.z;
  if (near > y1 || y0 > far) return 1e30f;
  near = max(near, y0); far = min(far, y1);
  if (near > z1 || z0 > far) return 1e30f;
  near = max(near, z0); far = min(far, z1);
  return far > 0 && near < limit ? near : 1e30f;
}

/* Triangle after Moeller and Trumbore; returns the distance or 1e30. */
INLINE float meets(const primitive_t *p, v3 from, v3 to, float limit, float *u_out, float *v_out) {
  if (p->sphere) {
    v3 d = sub(from, p->a);
    float b = dot(d, to), disc = b * b - dot(d, d) + p->ab.x * p->ab.x;
    if (disc < 0) return 1e30f;
    float root = sqrtf(disc), t = -b - root;
    if (t < 1e-4f) t = -b + root;
    return t > 1e-4f && t < limit ? t : 1e30f;
  }
  v3 h = cross(to, p->ac);
  float det = dot(p->ab, h);
  if (det > -1e-12f && det < 1e-12f) return 1e30f;
  float f = 1 / det;
  v3 s = sub(from, p->a);
  float u = f * dot(s, h);
  if (u < 0 || u > 1) return 1e30f;
  v3 q = cross(s, p->ab);
  float v = f * dot(to, q);
  if (v < 0 || u + v > 1) return 1e30f;
  float t = f * dot(p->ac, q);
  if (t <= 1e-5f || t >= limit) return 1e30f;
  *u_out = u; *v_out = v;
  return t;
}

CALLED int bvh_nearest(const scene_t *scene, v3 from, v3 to, float limit, hit_t *hit) {
  const node_t *nodes = scene->nodes;
  slope_t slope = slope_of(from, to);
  uint32_t stack[STACK_MAX]; float entry[STACK_MAX]; int top = 0;
  uint32_t at = 0;
  hit->t = limit; hit->primitive = -1;
  if (enters(&nodes[0], &slope, limit) >= 1e30f) return 0;
  for (;;) {
    const node_t *n = &nodes[at];
    if (n->count) {
      for (uint32_t i = n->first; i < n->first + n->count; i++) {
        float u = 0, v = 0, t = meets(&scene->primitives[i], from, to, hit->t, &u, &v);
        if (t < hit->t) { hit->t = t; hit->u = u; hit->v = v; hit->primitive = (int)i; }
      }
    } else {
      float l = enters(&nodes[n->first], &slope, hit->t), r = enters(&nodes[n->first + 1], &slope, hit->t);
      uint32_t nearer = n->first, further = n->first + 1;
      if (r < l) { float s = l; l = r; r = s; nearer = n->first + 1; further = n->first; }
      if (l < 1e30f) {
        if (r < 1e30f) { stack[top] = further; entry[top++] = r; }
        at = nearer;
        continue;
      }
    }
    do { if (top == 0) return hit->primitive >= 0; top--; } while (entry[top] >= hit->t);
    at = stack[top];
  }
}

/* Glass lets straight light through, most in its middle: the look of a focused spot without its noise. */
static v3 glass_passes(const primitive_t *p, const material_t *m, v3 from, v3 to, float t) {
  v3 normal = p->sphere ? unit(sub(along(from, to, t), p->a)) : unit(cross(p->ab, p->ac));
  float cosine = fabsf(dot(normal, to));
  if (m->kind == PANE) { float pass = 1 - fresnel(cosine, m->ior); return scale(m->colour, pass); }
  float pass = (1 - fresnel(cosine, m->ior)) * (0.35f + 0.75f * cosine * cosine * cosine);
  return vec(pass * expf(-m->colour.x * 0.012f), pass * expf(-m->colour.y * 0.012f), pass * expf(-m->colour.z * 0.012f));
}

CALLED v3 bvh_passes(const scene_t *scene, v3 from, v3 to, float limit) {
  const node_t *nodes = scene->nodes;
  slope_t slope = slope_of(from, to);
  v3 pass = vec(1, 1, 1);
  uint32_t stack[STACK_MAX]; int top = 0;
  uint32_t at = 0;
  if (enters(&nodes[0], &slope, limit) >= 1e30f) return pass;
  for (;;) {
    const node_t *n = &nodes[at];
    if (n->count) {
      for (uint32_t i = n->first; i < n->first + n->count; i++) {
        const primitive_t *p = &scene->primitives[i];
        float u, v, t = meets(p, from, to, limit, &u, &v);
        if (t >= limit) continue;
        const material_t *m = &scene->materials[p->material];
        if (m->kind != GLASS && m->kind != PANE) return vec(0, 0, 0);
        pass = mul(pass, glass_passes(p, m, from, to, t));
      }
    } else {
      float l = enters(&nodes[n->first], &slope, limit), r = enters(&nodes[n->first + 1], &slope, limit);
      uint32_t nearer = n->first, further = n->first + 1;
      if (r < l) { float s = l; l = r; r = s; nearer = n->first + 1; further = n->first; }
      if (l < 1e30f) {
        if (r < 1e30f) stack[top++] = further;
        at = nearer;
        continue;
      }
    }
    if (top == 0) return pass;
    at = stack[--top];
  }
}
