/* The picture plane: exposing pixels, filtering what noise is left, and developing to eight bits. */
#include <stdlib.h>
#include "film.h"

static pixel_t *pixel_at(const film_t *f, int x, int y) { return &f->pixels[(y - f->area.y0) * f->width + x - f->area.x0]; }

/* A tent two pixels wide, by importance: neighbours blend, and yet no pixel writes into another. */
static float tent(float u) { return u < 0.5f ? sqrtf(2 * u) - 1 : 1 - sqrtf(2 - 2 * u); }

static v3 divided(v3 a, v3 b) { return vec(a.x / b.x, a.y / b.y, a.z / b.z); }
static v3 at_least(v3 a, float lo) { return vec(max(a.x, lo), max(a.y, lo), max(a.z, lo)); }

CALLED static void expose_pixel(const scene_t *scene, int x, int y, int width, int height, int samples, sample_t *taken, pixel_t *out) {
  v3 albedo = vec(0, 0, 0), normal = albedo, light = albedo, spread = albedo;
  float depth = 0, per = 1 / (float)samples;
  uint32_t seed = hash2((uint32_t)x, (uint32_t)y + 0x10000u);
  for (int i = 0; i < samples; i++) {
    sampler_t sampler = {seed, (uint32_t)i, 0};
    pair_t jitter = draw_pair(&sampler);
    float u = ((float)x + 0.5f + tent(jitter.u)) / (float)width, v = ((float)y + 0.5f + tent(jitter.v)) / (float)height;
    taken[i] = trace_sample(scene, u, v, &sampler);
    albedo = along(albedo, taken[i].albedo, per);
    normal = along(normal, taken[i].normal, per);
    depth += taken[i].depth * per;
  }
  /* The light is kept apart from the colour of the surface it fell on, so that the filter cannot wash textures out. */
  albedo = at_least(albedo, 0.01f);
  for (int i = 0; i < samples; i++) light = along(light, divided(taken[i].radiance, albedo), per);
  for (int i = 0; i < samples; i++) { v3 d = sub(divided(taken[i].radiance, albedo), light); spread = along(spread, mul(d, d), per); }
  *out = (pixel_t){light, albedo, normal, scale(spread, samples > 1 ? 1 / (float)(samples - 1) : 1), depth};
}

film_t film_expose(const scene_t *scene, area_t tile, int width, int height, int samples, int margin) {
  film_t film;
  film.area.x0 = tile.x0 < margin ? 0 : tile.x0 - margin; film.area.x1 = tile.x1 + margin > width ? width : tile.x1 + margin;
  film.area.y0 = tile.y0 < margin ? 0 : tile.y0 - margin; film.area.y1 = tile.y1 + margin > height ? height : tile.y1 + margin;
  film.width = film.area.x1 - film.area.x0;
  int rows = film.area.y1 - film.area.y0, quarter = (rows + 3) / 4;
  film.pixels = malloc(sizeof(pixel_t) * (size_t)film.width * (size_t)rows);
  sample_t *taken = malloc(sizeof(sample_t) * (size_t)samples);
  if (!film.pixels || !taken) { fprintf(stderr, "out of memory\n"); exit(3); }
  for (int y = film.area.y0; y < film.area.y1; y++) {
    for (int x = film.area.x0; x < film.area.x1; x++) expose_pixel(scene, x, y, width, height, samples, taken, pixel_at(&film, x, y));
    int done = y - film.area.y0 + 1;
    if (done % quarter == 0 && done < rows) { printf("%d %%\n", 100 * done / rows); fflush(stdout); }
  }
  free(taken);
  return film;
}

static int within(const area_t *a, int x, int y) { return x >= a->x0 && x < a->x1 && y >= a->y0 && y < a->y1; }

/* Squared difference of two pixels in units of what their noise explains: near 0 when they may show the same light. */
static float apart(const pixel_t *p, const pixel_t *q) {
  float sum = 0;
  const float *a = &p->light.x, *b = &q->light.x, *va = &p->variance.x, *vb = &q->variance.x;
  for (int k = 0; k < 3; k++) {
    float d = a[k] - b[k], least = min(va[k], vb[k]), noise = va[k] + vb[k];
    sum += (d * d - (va[k] + least)) / (1e-5f + 0.6f * noise);
  }
  return sum;
}

/* Weights of all pixels for the neighbour at offset (dx, dy): non-local means (Buades; Rousselle's variance form) on 3 x 3
 * patches, times a bilateral weight on albedo, normal and depth. Adds what the neighbour gives to `sum` and `total`. */
CALLED static void gather_offset(const film_t *film, int dx, int dy, float *difference, v3 *sum, float *total) {
  const int w = film->width, h = film->area.y1 - film->area.y0;
  const int x0 = dx < 0 ? -dx : 0, x1 = dx > 0 ? w - dx : w, y0 = dy < 0 ? -dy : 0, y1 = dy > 0 ? h - dy : h;
  for (int y = y0; y < y1; y++) for (int x = x0; x < x1; x++) {
    difference[y * w + x] = apart(&film->pixels[y * w + x], &film->pixels[(y + dy) * w + x + dx]);
  }
  for (int y = y0; y < y1; y++) for (int x = x0; x < x1; x++) {
    const pixel_t *p = &film->pixels[y * w + x], *q = &film->pixels[(y + dy) * w + x + dx];
    v3 dn = sub(p->normal, q->normal), da = sub(p->albedo, q->albedo);
    float dz = (p->depth - q->depth) / (0.02f * (p->depth + q->depth) + 1e-3f);
    float guide = dot(dn, dn) * 12 + dot(da, da) * 60 + dz * dz * 0.5f;
    if (guide > 6) continue;
    const int left = x > x0 ? x - 1 : x, right = x < x1 - 1 ? x + 1 : x, top = y > y0 ? y - 1 : y, bottom = y < y1 - 1 ? y + 1 : y;
    float patch = 0;
    for (int j = top; j <= bottom; j++) for (int i = left; i <= right; i++) patch += difference[j * w + i];
    patch /= (float)(3 * (right - left + 1) * (bottom - top + 1));
    float weight = expf(-guide - max(0, patch));
    sum[y * w + x] = along(sum[y * w + x], q->light, weight);
    total[y * w + x] += weight;
  }
}

/* A pixel brighter than all its neighbours by chance (its samples disagree widely) is lowered to the brightest of them. */
CALLED static float spark_cut(const film_t *film, int x, int y) {
  const pixel_t *p = pixel_at(film, x, y);
  float mine = luminance(p->light), most = 0;
  if (luminance(p->variance) < 0.04f * mine * mine) return 1;
  for (int v = y - 1; v <= y + 1; v++) for (int u = x - 1; u <= x + 1; u++) {
    if ((u != x || v != y) && within(&film->area, u, v)) most = max(most, luminance(pixel_at(film, u, v)->light));
  }
  return mine > most ? most / mine : 1;
}

void film_filter(film_t *film) {
  size_t count = (size_t)film->width * (size_t)(film->area.y1 - film->area.y0);
  float *one = calloc(count, sizeof(float)), *total = calloc(count, sizeof(float));
  v3 *sum = calloc(count, sizeof(v3));
  if (!one || !total || !sum) { fprintf(stderr, "out of memory\n"); exit(3); }
  for (size_t i = 0; i < count; i++) one[i] = spark_cut(film, film->area.x0 + (int)i % film->width, film->area.y0 + (int)i / film->width);
  for (size_t i = 0; i < count; i++) {
    film->pixels[i].light = scale(film->pixels[i].light, one[i]);
    film->pixels[i].variance = scale(film->pixels[i].variance, one[i] * one[i]);
  }
  for (int dy = -FILTER_WINDOW; dy <= FILTER_WINDOW; dy++) for (int dx = -FILTER_WINDOW; dx <= FILTER_WINDOW; dx++) gather_offset(film, dx, dy, one, sum, total);
  for (size_t i = 0; i < count; i++) film->pixels[i].light = scale(sum[i], 1 / total[i]);
  free(one); free(total); free(sum);
}

/* Hill's fit of the ACES film curve, then the sRGB transfer function. */
static v3 developed(v3 c) {
  v3 i = vec(0.59719f * c.x + 0.35458f * c.y + 0.04823f * c.z, 0.07600f * c.x + 0.90834f * c.y + 0.01566f * c.z, 0.02840f * c.x + 0.13383f * c.y + 0.83777f * c.z);
  float *k = &i.x;
  for (int n = 0; n < 3; n++) k[n] = (k[n] * (k[n] + 0.0245786f) - 0.000090537f) / (k[n] * (0.983729f * k[n] + 0.4329510f) + 0.238081f);
  v3 o = vec(1.60475f * i.x - 0.53108f * i.y - 0.07367f * i.z, -0.10208f * i.x + 1.10813f * i.y - 0.00605f * i.z, -0.00327f * i.x - 0.07276f * i.y + 1.07602f * i.z);
  float *s = &o.x;
  for (int n = 0; n < 3; n++) { float v = clamp(s[n], 0, 1); s[n] = v <= 0.0031308f ? 12.92f * v : 1.055f * powf(v, 1 / 2.4f) - 0.055f; }
  return o;
}

void film_print(const film_t *film, area_t tile, int width, int height, float exposure, FILE *file) {
  for (int y = tile.y0; y < tile.y1; y++) for (int x = tile.x0; x < tile.x1; x++) {
    const pixel_t *p = pixel_at(film, x, y);
    float dx = ((float)x + 0.5f) / (float)width - 0.5f, dy = (((float)y + 0.5f) / (float)height - 0.5f) * 0.8f;
    float vignette = 1 - 0.75f * (dx * dx + dy * dy);
    v3 c = developed(scale(mul(p->light, p->albedo), exposure * vignette));
    float dither = to_unit(hash2((uint32_t)x * 9781u, (uint32_t)y));
    unsigned char bytes[3] = {(unsigned char)(c.x * 254.99f + dither), (unsigned char)(c.y * 254.99f + dither), (unsigned char)(c.z * 254.99f + dither)};
    fwrite(bytes, 1, 3, file);
  }
}
