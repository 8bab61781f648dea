/* What a scene is once it is read: materials, triangles and spheres under a tree, lights, flames, halos, a camera. */
#ifndef SCENE_H
#define SCENE_H
#include "vec.h"

enum { MAX_MATERIALS = 96, MAX_FRAMES = 1024, MAX_LIGHTS = 12, MAX_FLAMES = 48, MAX_HALOS = 16, MAX_PRIMITIVES = 200000 };

typedef enum { DIFFUSE, COATED, METAL, GLASS, PANE, GLOW } kind_t;
typedef enum { PLAIN, PLANKS, GRAIN, STONE, PLASTER, RUG, WEAVE, BARK, EMBER, DUSK, STRIPES, FUR } texture_t;

typedef struct {
  char name[24];
  kind_t kind;
  texture_t texture;
  v3 colour, colour2; /* reflectance; for GLASS the absorption per metre; for GLOW the radiance */
  float rough, ior, size, bump;
} material_t;

/* A triangle (corner and two edges) or, when `sphere` is set, a ball (centre, and its radius in ab.x). */
typedef struct { v3 a, ab, ac; uint16_t material, frame; uint32_t sphere; } primitive_t;
typedef struct { v3 a, b, c; } normals_t;

/* Rows of the world-to-local matrix: textures are fixed to the group they were written in. */
typedef struct { v3 origin, rx, ry, rz; } frame_t;

/* A sphere, or a quad (corner, two edges) that shines on the side of u x v. `hidden` lights illuminate, but cameras and mirrors do not see them. */
typedef struct { int quad, hidden; v3 at, u, v, normal; float radius, area; v3 radiance; texture_t texture; } light_t;

typedef struct { v3 base; float radius, height, turbulence, power; uint32_t seed; } flame_t;
typedef struct { v3 at; float radius; v3 colour; } halo_t;
typedef struct { v3 from, right, up, forward; float width, height, aperture, focus; } camera_t;

/* side[0] is the low corner of its box, side[1] the high one; a leaf has a count, else its children are first and first + 1. */
typedef struct { float side[2][3]; uint32_t first, count; } node_t;

typedef struct {
  material_t materials[MAX_MATERIALS]; int material_count;
  frame_t frames[MAX_FRAMES]; int frame_count;
  light_t lights[MAX_LIGHTS]; int light_count;
  flame_t flames[MAX_FLAMES]; int flame_count;
  halo_t halos[MAX_HALOS]; int halo_count;
  primitive_t *primitives; normals_t *normals; int primitive_count, primitive_room;
  node_t *nodes; int node_count;
  camera_t camera;
  float exposure;
} scene_t;

typedef struct { float t, u, v; int primitive; } hit_t;

/* scene.c: reads the text format (see README.md); on an error it says the line and exits 2. */
void scene_read(scene_t *scene, const char *path, float aspect);

/* mesh.c: append shapes in the current group's coordinates. `placed` maps them to the world. */
typedef struct { v3 x, y, z, origin; } placed_t;
typedef struct { scene_t *scene; placed_t at; uint16_t material, frame; } builder_t;
void mesh_triangle(builder_t *b, v3 a, v3 bb, v3 c, v3 na, v3 nb, v3 nc);
void mesh_quad(builder_t *b, v3 corner, v3 u, v3 v);
void mesh_box(builder_t *b, v3 lo, v3 hi);
void mesh_sphere(builder_t *b, v3 centre, float radius);
void mesh_cushion(builder_t *b, v3 centre, v3 half, float exponent, int steps);
void mesh_lathe(builder_t *b, int segments, const float (*profile)[2], const int *corner, int count);
void mesh_tube(builder_t *b, int segments, const float (*points)[4], int count);
void mesh_curtain(builder_t *b, float width, float height, int folds, float depth);
v3 place_point(const placed_t *at, v3 p);
v3 place_direction(const placed_t *at, v3 d);

/* bvh.c */
void bvh_build(scene_t *scene);
int bvh_nearest(const scene_t *scene, v3 from, v3 to, float limit, hit_t *hit);
/* How much light passes from `from` along `to` up to `limit`: 0 behind anything opaque; glass tints. */
v3 bvh_passes(const scene_t *scene, v3 from, v3 to, float limit);

/* texture.c */
v3 texture_colour(const material_t *m, v3 p, v3 n, float *height);
v3 texture_dusk(float u, float v);
float noise(v3 p);
float fbm(v3 p, int octaves);
float fresnel(float cosine, float ior);

/* air.c: what glows without a surface, between the eye and a hit at distance t. */
v3 air_light(const scene_t *scene, v3 from, v3 to, float t, float jitter);

#endif
