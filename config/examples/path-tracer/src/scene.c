/* Reads the scene text: one statement a line, `#` starts a comment, a trailing `\` continues the line. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "scene.h"

enum { LINE_MAX_BYTES = 8192, WORDS_MAX = 512, GROUPS_MAX = 8, POINTS_MAX = 96 };

typedef struct {
  scene_t *scene;
  const char *path;
  char text[LINE_MAX_BYTES];
  char *words[WORDS_MAX];
  int count, at, line;
  placed_t stack[GROUPS_MAX];
  uint16_t frames[GROUPS_MAX];
  int depth;
} reader_t;

static _Noreturn void fail(const reader_t *r, const char *what, const char *word) {
  fprintf(stderr, "%s:%d: %s%s%s\n", r->path, r->line, what, word ? ": " : "", word ? word : "");
  exit(2);
}

static const char *next(reader_t *r, const char *expected) {
  if (r->at >= r->count) fail(r, "the line ends where this was expected", expected);
  return r->words[r->at++];
}
static int more(const reader_t *r) { return r->at < r->count; }
static int take(reader_t *r, const char *word) { return more(r) && strcmp(r->words[r->at], word) == 0 ? ++r->at : 0; }

static float number(reader_t *r) {
  const char *word = next(r, "a number");
  char *end;
  float value = strtof(word, &end);
  if (end == word || *end || !(fabsf(value) < 1e6f)) fail(r, "not a number below a million", word);
  return value;
}
static v3 triple(reader_t *r) { float x = number(r), y = number(r), z = number(r); return vec(x, y, z); }
static int whole(reader_t *r, int lo, int hi) {
  float f = number(r);
  if (f < (float)lo || f > (float)hi) fail(r, "count out of range", r->words[r->at - 1]);
  return (int)f;
}

static int choice(reader_t *r, const char *const *names, int count) {
  const char *word = next(r, "a name");
  for (int i = 0; i < count; i++) if (strcmp(names[i], word) == 0) return i;
  fail(r, "unknown name", word);
}

static const char *const KINDS[] = {"diffuse", "coated", "metal", "glass", "pane", "glow"};
static const char *const TEXTURES[] = {"plain", "planks", "grain", "stone", "plaster", "rug", "weave", "bark", "ember", "dusk", "stripes", "fur"};
#define COUNT(a) ((int)(sizeof(a) / sizeof(a[0])))

static void read_material(reader_t *r) {
  scene_t *s = r->scene;
  if (s->material_count == MAX_MATERIALS) fail(r, "too many materials", 0);
  material_t *m = &s->materials[s->material_count++];
  const char *name = next(r, "a name for the material");
  if (strlen(name) >= sizeof m->name) fail(r, "name longer than 23 letters", name);
  strcpy(m->name, name);
  m->kind = (kind_t)choice(r, KINDS, COUNT(KINDS));
  m->rough = m->kind == METAL ? 0.2f : 0.3f; m->ior = 1.5f; m->size = 1;
  m->colour = triple(r); m->colour2 = m->colour;
  while (more(r)) {
    if (take(r, "to")) m->colour2 = triple(r);
    else if (take(r, "rough")) m->rough = clamp(number(r), 0, 1);
    else if (take(r, "ior")) m->ior = clamp(number(r), 1.01f, 3);
    else if (take(r, "bump")) m->bump = number(r);
    else if (take(r, "texture")) { m->texture = (texture_t)choice(r, TEXTURES, COUNT(TEXTURES)); m->size = max(number(r), 1e-4f); }
    else fail(r, "unknown material property", r->words[r->at]);
  }
}

static uint16_t find_material(reader_t *r) {
  const char *name = next(r, "a material");
  for (int i = 0; i < r->scene->material_count; i++) if (strcmp(r->scene->materials[i].name, name) == 0) return (uint16_t)i;
  fail(r, "no such material (define it above)", name);
}

static v3 turned(v3 p, float yaw, float tilt, float roll) {
  v3 a = vec(p.x * cosf(roll) - p.y * sinf(roll), p.x * sinf(roll) + p.y * cosf(roll), p.z);
  v3 b = vec(a.x, a.y * cosf(tilt) - a.z * sinf(tilt), a.y * sinf(tilt) + a.z * cosf(tilt));
  return vec(b.x * cosf(yaw) + b.z * sinf(yaw), b.y, -b.x * sinf(yaw) + b.z * cosf(yaw));
}

static void open_group(reader_t *r) {
  scene_t *s = r->scene;
  if (r->depth + 1 == GROUPS_MAX) fail(r, "groups nest too deep", 0);
  if (s->frame_count == MAX_FRAMES) fail(r, "too many groups", 0);
  v3 at = vec(0, 0, 0);
  float yaw = 0, tilt = 0, roll = 0, size = 1;
  const float degree = PI / 180;
  while (more(r)) {
    if (take(r, "at")) at = triple(r);
    else if (take(r, "turn")) yaw = number(r) * degree;
    else if (take(r, "tilt")) tilt = number(r) * degree;
    else if (take(r, "roll")) roll = number(r) * degree;
    else if (take(r, "scale")) size = max(number(r), 1e-4f);
    else fail(r, "unknown group property", r->words[r->at]);
  }
  const placed_t *outer = &r->stack[r->depth];
  placed_t inner = {
    place_direction(outer, scale(turned(vec(1, 0, 0), yaw, tilt, roll), size)),
    place_direction(outer, scale(turned(vec(0, 1, 0), yaw, tilt, roll), size)),
    place_direction(outer, scale(turned(vec(0, 0, 1), yaw, tilt, roll), size)), place_point(outer, at)};
  float inverse = 1 / dot(inner.x, inner.x);
  s->frames[s->frame_count] = (frame_t){inner.origin, scale(inner.x, inverse), scale(inner.y, inverse), scale(inner.z, inverse)};
  r->stack[++r->depth] = inner;
  r->frames[r->depth] = (uint16_t)s->frame_count++;
}

static void read_light(reader_t *r) {
  scene_t *s = r->scene;
  if (s->light_count == MAX_LIGHTS) fail(r, "too many lights", 0);
  const placed_t *p = &r->stack[r->depth];
  light_t *l = &s->lights[s->light_count++];
  if (take(r, "quad")) {
    l->quad = 1;
    l->at = place_point(p, triple(r)); l->u = place_direction(p, triple(r)); l->v = place_direction(p, triple(r));
    v3 n = cross(l->u, l->v);
    l->area = length(n); l->normal = unit(n);
  } else if (take(r, "sphere")) {
    l->at = place_point(p, triple(r)); l->radius = number(r) * length(p->x);
    l->area = 4 * PI * l->radius * l->radius;
  } else fail(r, "a light is a quad or a sphere", 0);
  if (!(l->area > 1e-8f)) fail(r, "this light has no surface", 0);
  l->radiance = triple(r);
  while (more(r)) {
    if (take(r, "hidden")) l->hidden = 1;
    else if (take(r, "texture")) l->texture = (texture_t)choice(r, TEXTURES, COUNT(TEXTURES));
    else fail(r, "unknown light property", r->words[r->at]);
  }
}

static void read_camera(reader_t *r, float aspect) {
  camera_t *c = &r->scene->camera;
  v3 at = vec(0, 0, 0);
  float fov = 45;
  c->from = vec(0, 0, 1); c->focus = 0;
  while (more(r)) {
    if (take(r, "from")) c->from = triple(r);
    else if (take(r, "at")) at = triple(r);
    else if (take(r, "fov")) fov = clamp(number(r), 1, 150);
    else if (take(r, "aperture")) c->aperture = number(r);
    else if (take(r, "focus")) c->focus = number(r);
    else fail(r, "unknown camera property", r->words[r->at]);
  }
  v3 forward = sub(at, c->from);
  if (c->focus <= 0) c->focus = length(forward);
  c->forward = unit(forward);
  c->right = unit(cross(c->forward, vec(0, 1, 0)));
  c->up = cross(c->right, c->forward);
  c->width = 2 * tanf(fov * PI / 360); /* fov is the horizontal angle */
  c->height = c->width / aspect;
}

static void read_lathe(reader_t *r, builder_t *b) {
  static float profile[POINTS_MAX][2];
  static int corner[POINTS_MAX];
  int segments = whole(r, 3, 256), count = 0;
  while (more(r)) {
    if (take(r, "|")) { if (count) corner[count - 1] = 1; continue; }
    if (count == POINTS_MAX) fail(r, "profile has too many points", 0);
    profile[count][0] = number(r); profile[count][1] = number(r); corner[count++] = 0;
  }
  if (count < 2) fail(r, "a lathe needs two points", 0);
  mesh_lathe(b, segments, (const float (*)[2])profile, corner, count);
}

static void read_tube(reader_t *r, builder_t *b) {
  static float points[POINTS_MAX][4];
  int segments = whole(r, 3, 128), count = 0;
  while (more(r)) {
    if (count == POINTS_MAX) fail(r, "tube has too many points", 0);
    for (int k = 0; k < 4; k++) points[count][k] = number(r);
    count++;
  }
  if (count < 2) fail(r, "a tube needs two points", 0);
  mesh_tube(b, segments, (const float (*)[4])points, count);
}

static void read_shape(reader_t *r, const char *shape) {
  builder_t b = {r->scene, r->stack[r->depth], 0, r->frames[r->depth]};
  b.material = find_material(r);
  if (!strcmp(shape, "quad")) { v3 c = triple(r), u = triple(r), v = triple(r); mesh_quad(&b, c, u, v); }
  else if (!strcmp(shape, "triangle")) { v3 p = triple(r), q = triple(r), s = triple(r), n = cross(sub(q, p), sub(s, p)); mesh_triangle(&b, p, q, s, n, n, n); }
  else if (!strcmp(shape, "box")) { v3 lo = triple(r), hi = triple(r); mesh_box(&b, lo, hi); }
  else if (!strcmp(shape, "sphere")) { v3 c = triple(r); mesh_sphere(&b, c, number(r)); }
  else if (!strcmp(shape, "cushion")) { v3 c = triple(r), half = triple(r); float n = number(r); mesh_cushion(&b, c, half, clamp(n, 1.2f, 40), more(r) ? whole(r, 1, 64) : 8); }
  else if (!strcmp(shape, "lathe")) read_lathe(r, &b);
  else if (!strcmp(shape, "tube")) read_tube(r, &b);
  else if (!strcmp(shape, "curtain")) { float w = number(r), h = number(r); int folds = whole(r, 1, 64); mesh_curtain(&b, w, h, folds, number(r)); }
  else fail(r, "unknown statement", shape);
}

static void statement(reader_t *r, float aspect) {
  scene_t *s = r->scene;
  const char *word = next(r, "a statement");
  if (!strcmp(word, "material")) read_material(r);
  else if (!strcmp(word, "group")) open_group(r);
  else if (!strcmp(word, "end")) { if (r->depth == 0) fail(r, "end without a group", 0); r->depth--; }
  else if (!strcmp(word, "camera")) read_camera(r, aspect);
  else if (!strcmp(word, "exposure")) s->exposure = number(r);
  else if (!strcmp(word, "light")) read_light(r);
  else if (!strcmp(word, "flame")) {
    if (s->flame_count == MAX_FLAMES) fail(r, "too many flames", 0);
    flame_t *f = &s->flames[s->flame_count++];
    float size = length(r->stack[r->depth].x);
    f->base = place_point(&r->stack[r->depth], triple(r));
    f->radius = max(number(r), 1e-4f) * size; f->height = max(number(r), 1e-4f) * size; f->turbulence = number(r); f->power = number(r);
    f->seed = hash((uint32_t)s->flame_count);
  } else if (!strcmp(word, "halo")) {
    if (s->halo_count == MAX_HALOS) fail(r, "too many halos", 0);
    halo_t *h = &s->halos[s->halo_count++];
    h->at = place_point(&r->stack[r->depth], triple(r)); h->radius = max(number(r), 1e-4f); h->colour = triple(r);
  } else read_shape(r, word);
  if (more(r)) fail(r, "unexpected", r->words[r->at]);
}

void scene_read(scene_t *scene, const char *path, float aspect) {
  static reader_t reader;
  reader_t *r = &reader;
  r->scene = scene; r->path = path;
  r->stack[0] = (placed_t){vec(1, 0, 0), vec(0, 1, 0), vec(0, 0, 1), vec(0, 0, 0)};
  scene->frames[0] = (frame_t){vec(0, 0, 0), vec(1, 0, 0), vec(0, 1, 0), vec(0, 0, 1)};
  scene->frame_count = 1;
  scene->exposure = 1;
  FILE *file = fopen(path, "r");
  if (!file) { fprintf(stderr, "%s: cannot be opened\n", path); exit(2); }
  size_t held = 0;
  while (fgets(r->text + held, (int)(sizeof r->text - held), file)) {
    r->line++;
    char *comment = strchr(r->text + held, '#');
    if (comment) strcpy(comment, "\n");
    size_t size = strlen(r->text);
    if (size + 1 >= sizeof r->text) fail(r, "statement longer than 8 KiB", 0);
    while (size && (r->text[size - 1] == '\n' || r->text[size - 1] == '\r' || r->text[size - 1] == ' ')) size--;
    if (size && r->text[size - 1] == '\\') { r->text[size - 1] = ' '; r->text[size] = 0; held = size; continue; }
    r->text[size] = 0;
    held = 0; r->count = r->at = 0;
    for (char *word = strtok(r->text, " \t"); word; word = strtok(0, " \t")) {
      if (r->count == WORDS_MAX) fail(r, "too many words", 0);
      r->words[r->count++] = word;
    }
    if (r->count) statement(r, aspect);
  }
  fclose(file);
  if (r->depth) fail(r, "a group is still open at the end", 0);
  if (!scene->primitive_count) fail(r, "the scene is empty", 0);
  if (scene->camera.width <= 0) fail(r, "the scene has no camera", 0);
}
