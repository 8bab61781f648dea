/* Renders one tile of a picture: reads a scene, traces its pixels (and a margin for the filter), writes a PPM.
 * A pixel's value depends on the scene, the picture's size and the samples only: any tiling gives the same picture. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "film.h"

enum { SIDE_MAX = 8192, TILES_MAX = 65536, SAMPLES_MAX = 65536 };

typedef struct { const char *scene, *out; int tile, tiles, width, height, samples, filter; } options_t;

static _Noreturn void usage(const char *what, const char *word) {
  fprintf(stderr, "tracer: %s%s%s\nusage: tracer --tile I --tiles N --width W --height H --samples S [--filter 0|1] [--scene FILE] [--out FILE]\n",
          what, word ? " " : "", word ? word : "");
  exit(2);
}

static int integer(const char *name, const char *text, int lo, int hi) {
  char *end;
  long value = strtol(text, &end, 10);
  if (end == text || *end || value < lo || value > hi) { fprintf(stderr, "tracer: %s must be a whole number from %d to %d\n", name, lo, hi); exit(2); }
  return (int)value;
}

static options_t options_of(int argc, char **argv) {
  options_t o = {"/in/scene.txt", "/out/tile.ppm", 0, 1, 640, 400, 32, 1};
  for (int i = 1; i < argc; i += 2) {
    const char *key = argv[i], *value = i + 1 < argc ? argv[i + 1] : 0;
    if (!value) usage("a value is missing after", key);
    if (!strcmp(key, "--scene")) o.scene = value;
    else if (!strcmp(key, "--out")) o.out = value;
    else if (!strcmp(key, "--tile")) o.tile = integer(key, value, 0, TILES_MAX - 1);
    else if (!strcmp(key, "--tiles")) o.tiles = integer(key, value, 1, TILES_MAX);
    else if (!strcmp(key, "--width")) o.width = integer(key, value, 1, SIDE_MAX);
    else if (!strcmp(key, "--height")) o.height = integer(key, value, 1, SIDE_MAX);
    else if (!strcmp(key, "--samples")) o.samples = integer(key, value, 1, SAMPLES_MAX);
    else if (!strcmp(key, "--filter")) o.filter = integer(key, value, 0, 1);
    else usage("unknown option", key);
  }
  if (o.tile >= o.tiles) usage("--tile must be below --tiles", 0);
  return o;
}

/* The grid of tiles: `tiles` has one split into columns and rows whose tiles are most nearly square. */
static area_t area_of(const options_t *o) {
  int columns = 1; float best = 1e30f;
  for (int c = 1; c <= o->tiles; c++) {
    if (o->tiles % c) continue;
    float shape = (float)o->width / (float)c * (float)(o->tiles / c) / (float)o->height, off = shape < 1 ? 1 / shape : shape;
    if (off < best) { best = off; columns = c; }
  }
  int rows = o->tiles / columns, x = o->tile % columns, y = o->tile / columns;
  if (columns > o->width || rows > o->height) usage("more tiles than pixels", 0);
  area_t a = {o->width * x / columns, o->height * y / rows, o->width * (x + 1) / columns, o->height * (y + 1) / rows};
  return a;
}

int main(int argc, char **argv) {
  static scene_t scene;
  options_t o = options_of(argc, argv);
  area_t tile = area_of(&o);
  scene_read(&scene, o.scene, (float)o.width / (float)o.height);
  bvh_build(&scene);
  printf("tile %d of %d: %d x %d pixels at %d, %d; %d samples; %d triangles\n", o.tile, o.tiles, tile.x1 - tile.x0, tile.y1 - tile.y0, tile.x0, tile.y0,
         o.samples, scene.primitive_count);
  fflush(stdout);
  film_t film = film_expose(&scene, tile, o.width, o.height, o.samples, o.filter ? FILTER_MARGIN : 0);
  if (o.filter) film_filter(&film);
  FILE *file = fopen(o.out, "wb");
  if (!file) { fprintf(stderr, "tracer: %s cannot be written\n", o.out); return 3; }
  fprintf(file, "P6\n# tile %d of %d: x %d y %d of %d x %d\n%d %d\n255\n", o.tile, o.tiles, tile.x0, tile.y0, o.width, o.height, tile.x1 - tile.x0, tile.y1 - tile.y0);
  film_print(&film, tile, o.width, o.height, scene.exposure, file);
  if (fclose(file)) { fprintf(stderr, "tracer: %s could not be written in full\n", o.out); return 3; }
  printf("tile %d done\n", o.tile);
  return 0;
}
