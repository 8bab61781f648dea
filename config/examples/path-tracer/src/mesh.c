/* Shapes turned into triangles with smooth normals. All take coordinates of the current group. */
#include <stdio.h>
#include <stdlib.h>
#include "scene.h"

v3 place_direction(const placed_t *at, v3 d) {
  return add(add(scale(at->x, d.x), scale(at->y, d.y)), scale(at->z, d.z));
}
v3 place_point(const placed_t *at, v3 p) { return add(at->origin, place_direction(at, p)); }

static int room_for_one(scene_t *s) {
  if (s->primitive_count >= MAX_PRIMITIVES) { fprintf(stderr, "scene has more than %d triangles\n", MAX_PRIMITIVES); exit(2); }
  if (s->primitive_count == s->primitive_room) {
    s->primitive_room = s->primitive_room ? s->primitive_room * 2 : 1024;
    s->primitives = realloc(s->primitives, sizeof(primitive_t) * (size_t)s->primitive_room);
    s->normals = realloc(s->normals, sizeof(normals_t) * (size_t)s->primitive_room);
    if (!s->primitives || !s->normals) { fprintf(stderr, "out of memory\n"); exit(3); }
  }
  return s->primitive_count++;
}

void mesh_triangle(builder_t *b, v3 p, v3 q, v3 r, v3 np, v3 nq, v3 nr) {
  v3 a = place_point(&b->at, p), ab = sub(place_point(&b->at, q), a), ac = sub(place_point(&b->at, r), a);
  if (length(cross(ab, ac)) < 1e-12f) return;
  int i = room_for_one(b->scene);
  b->scene->primitives[i] = (primitive_t){a, ab, ac, b->material, b->frame, 0};
  b->scene->normals[i] = (normals_t){unit(place_direction(&b->at, np)), unit(place_direction(&b->at, nq)), unit(place_direction(&b->at, nr))};
}

void mesh_sphere(builder_t *b, v3 centre, float radius) {
  int i = room_for_one(b->scene);
  v3 r = vec(radius * length(b->at.x), 0, 0);
  b->scene->primitives[i] = (primitive_t){place_point(&b->at, centre), r, r, b->material, b->frame, 1};
  b->scene->normals[i] = (normals_t){r, r, r};
}

void mesh_quad(builder_t *b, v3 corner, v3 u, v3 v) {
  v3 n = unit(cross(u, v)), far = add(add(corner, u), v);
  mesh_triangle(b, corner, add(corner, u), far, n, n, n);
  mesh_triangle(b, corner, far, add(corner, v), n, n, n);
}

void mesh_box(builder_t *b, v3 lo, v3 hi) {
  v3 d = sub(hi, lo), x = vec(d.x, 0, 0), y = vec(0, d.y, 0), z = vec(0, 0, d.z);
  mesh_quad(b, lo, y, x); mesh_quad(b, add(lo, z), x, y);
  mesh_quad(b, lo, z, y); mesh_quad(b, add(lo, x), y, z);
  mesh_quad(b, lo, x, z); mesh_quad(b, add(lo, y), z, x);
}

/* |x/a|^n + |y/b|^n + |z/c|^n = 1: an ellipsoid for n = 2, ever more a rounded box above. A subdivided cube is pushed onto it. */
static void cushion_point(v3 dir, v3 half, float n, v3 *p, v3 *normal) {
  float sum = powf(fabsf(dir.x), n) + powf(fabsf(dir.y), n) + powf(fabsf(dir.z), n);
  v3 q = scale(dir, powf(sum, -1 / n));
  *p = mul(q, half);
  *normal = unit(vec(copysignf(powf(fabsf(q.x), n - 1), q.x) / half.x, copysignf(powf(fabsf(q.y), n - 1), q.y) / half.y,
                     copysignf(powf(fabsf(q.z), n - 1), q.z) / half.z));
}

void mesh_cushion(builder_t *b, v3 centre, v3 half, float exponent, int steps) {
  for (int face = 0; face < 6; face++) {
    float s = face & 1 ? -1.0f : 1.0f;
    for (int i = 0; i < steps; i++) for (int j = 0; j < steps; j++) {
      v3 p[4], n[4];
      for (int k = 0; k < 4; k++) {
        /* tan spreads the rows evenly over the angle, as on a cube map */
        float u = tanf(((float)(i + (k == 1 || k == 2)) / (float)steps * 2 - 1) * PI / 4);
        float v = tanf(((float)(j + (k >= 2)) / (float)steps * 2 - 1) * PI / 4);
        v3 d = face < 2 ? vec(s, u * s, v) : face < 4 ? vec(v, s, u * s) : vec(u * s, v, s);
        cushion_point(d, half, exponent, &p[k], &n[k]);
        p[k] = add(p[k], centre);
      }
      mesh_triangle(b, p[0], p[1], p[2], n[0], n[1], n[2]);
      mesh_triangle(b, p[0], p[2], p[3], n[0], n[2], n[3]);
    }
  }
}

/* Catmull-Rom between p1 and p2, and its derivative. */
static float spline(float p0, float p1, float p2, float p3, float t) {
  return p1 + 0.5f * t * (p2 - p0 + t * (2 * p0 - 5 * p1 + 4 * p2 - p3 + t * (3 * (p1 - p2) + p3 - p0)));
}
static float slope(float p0, float p1, float p2, float p3, float t) {
  return 0.5f * (p2 - p0) + t * (2 * p0 - 5 * p1 + 4 * p2 - p3) + 1.5f * t * t * (3 * (p1 - p2) + p3 - p0);
}

typedef struct { float r, y, nr, ny; } rim_t;

static void lathe_band(builder_t *b, int segments, rim_t lo, rim_t hi) {
  for (int i = 0; i < segments; i++) {
    float a0 = 2 * PI * (float)i / (float)segments, a1 = 2 * PI * (float)(i + 1) / (float)segments;
    float c0 = cosf(a0), s0 = sinf(a0), c1 = cosf(a1), s1 = sinf(a1);
    v3 p0 = vec(lo.r * c0, lo.y, lo.r * s0), p1 = vec(lo.r * c1, lo.y, lo.r * s1);
    v3 q0 = vec(hi.r * c0, hi.y, hi.r * s0), q1 = vec(hi.r * c1, hi.y, hi.r * s1);
    v3 m0 = vec(lo.nr * c0, lo.ny, lo.nr * s0), m1 = vec(lo.nr * c1, lo.ny, lo.nr * s1);
    v3 k0 = vec(hi.nr * c0, hi.ny, hi.nr * s0), k1 = vec(hi.nr * c1, hi.ny, hi.nr * s1);
    mesh_triangle(b, p0, q0, q1, m0, k0, k1);
    mesh_triangle(b, p0, q1, p1, m0, k1, m1);
  }
}

/* Turns a profile of (radius, height) about y. The curve is smooth except at points whose `corner` is set. */
void mesh_lathe(builder_t *b, int segments, const float (*profile)[2], const int *corner, int count) {
  for (int i = 0; i + 1 < count; i++) {
    int before = i > 0 && !corner[i], after = i + 2 < count && !corner[i + 1];
    const float *p1 = profile[i], *p2 = profile[i + 1];
    float p0[2], p3[2];
    for (int k = 0; k < 2; k++) {
      p0[k] = before ? profile[i - 1][k] : 2 * p1[k] - p2[k];
      p3[k] = after ? profile[i + 2][k] : 2 * p2[k] - p1[k];
    }
    int steps = before || after ? 3 : 1;
    rim_t last = {0, 0, 0, 0};
    for (int s = 0; s <= steps; s++) {
      float t = (float)s / (float)steps;
      float dr = slope(p0[0], p1[0], p2[0], p3[0], t), dy = slope(p0[1], p1[1], p2[1], p3[1], t);
      rim_t rim = {max(0, spline(p0[0], p1[0], p2[0], p3[0], t)), spline(p0[1], p1[1], p2[1], p3[1], t), dy, -dr};
      if (s > 0) lathe_band(b, segments, last, rim);
      last = rim;
    }
  }
}

/* A round tube through points (x, y, z, radius), smooth, with flat ends; its ring is carried along without twist. */
void mesh_tube(builder_t *b, int segments, const float (*points)[4], int count) {
  const int steps = count > 2 ? 4 : 1;
  v3 side = vec(0, 0, 0), last_at = vec(0, 0, 0), last_x = side, last_y = side;
  float last_r = 0;
  int rings = (count - 1) * steps;
  for (int ring = 0; ring <= rings; ring++) {
    int i = ring == rings ? count - 2 : ring / steps;
    float t = (float)(ring - i * steps) / (float)steps, p[4], d[4];
    for (int k = 0; k < 4; k++) {
      float p1 = points[i][k], p2 = points[i + 1][k];
      float p0 = i > 0 ? points[i - 1][k] : 2 * p1 - p2, p3 = i + 2 < count ? points[i + 2][k] : 2 * p2 - p1;
      p[k] = spline(p0, p1, p2, p3, t); d[k] = slope(p0, p1, p2, p3, t);
    }
    v3 at = vec(p[0], p[1], p[2]), axis = unit(vec(d[0], d[1], d[2]));
    float r = max(p[3], 0);
    if (ring == 0) { v3 unused; basis(axis, &side, &unused); }
    v3 x = unit(sub(side, scale(axis, dot(side, axis)))), y = cross(axis, x);
    side = x;
    for (int s = 0; s < segments; s++) {
      float a0 = 2 * PI * (float)s / (float)segments, a1 = 2 * PI * (float)(s + 1) / (float)segments;
      v3 n0 = add(scale(x, cosf(a0)), scale(y, sinf(a0))), n1 = add(scale(x, cosf(a1)), scale(y, sinf(a1)));
      if (ring > 0) {
        v3 m0 = add(scale(last_x, cosf(a0)), scale(last_y, sinf(a0))), m1 = add(scale(last_x, cosf(a1)), scale(last_y, sinf(a1)));
        v3 p0 = along(last_at, m0, last_r), p1 = along(last_at, m1, last_r), q0 = along(at, n0, r), q1 = along(at, n1, r);
        mesh_triangle(b, p0, p1, q1, m0, m1, n1);
        mesh_triangle(b, p0, q1, q0, m0, n1, n0);
      }
      if (ring == 0) { v3 n = scale(axis, -1); mesh_triangle(b, at, along(at, n1, r), along(at, n0, r), n, n, n); }
      if (ring == rings) mesh_triangle(b, at, along(at, n0, r), along(at, n1, r), axis, axis, axis);
    }
    last_at = at; last_x = x; last_y = y; last_r = r;
  }
}

/* Hanging cloth in the plane z = 0 from the origin, `width` to the right and `height` up, in sine folds that open towards the hem. */
void mesh_curtain(builder_t *b, float width, float height, int folds, float depth) {
  enum { ROWS = 8 };
  int columns = folds * 10;
  for (int j = 0; j < ROWS; j++) for (int i = 0; i < columns; i++) {
    v3 p[4], n[4];
    for (int k = 0; k < 4; k++) {
      float u = (float)(i + (k == 1 || k == 2)) / (float)columns, v = (float)(j + (k >= 2)) / ROWS;
      float phase = u * 2 * PI * (float)folds + 0.7f * sinf(v * 2.1f + u * 9), deep = depth * (1 - 0.45f * v);
      p[k] = vec(u * width, v * height, deep * sinf(phase));
      n[k] = unit(vec(-deep * cosf(phase) * 2 * PI * (float)folds / width, 0, 1));
    }
    mesh_triangle(b, p[0], p[1], p[2], n[0], n[1], n[2]);
    mesh_triangle(b, p[0], p[2], p[3], n[0], n[2], n[3]);
  }
}
