/* Procedural surfaces. Each returns a colour between the material's two, and a height (metres) for bumps. */
#include "scene.h"

INLINE float lattice(int x, int y, int z) { return to_unit(hash((uint32_t)x * 73856093u ^ (uint32_t)y * 19349663u ^ (uint32_t)z * 83492791u)); }
INLINE int below(float x) { int i = (int)x; return (float)i > x ? i - 1 : i; }

/* Value noise in [0, 1). */
float noise(v3 p) {
  int x = below(p.x), y = below(p.y), z = below(p.z);
  float fx = p.x - (float)x, fy = p.y - (float)y, fz = p.z - (float)z;
  fx = fx * fx * (3 - 2 * fx); fy = fy * fy * (3 - 2 * fy); fz = fz * fz * (3 - 2 * fz);
  float a = mixf(mixf(lattice(x, y, z), lattice(x + 1, y, z), fx), mixf(lattice(x, y + 1, z), lattice(x + 1, y + 1, z), fx), fy);
  float b = mixf(mixf(lattice(x, y, z + 1), lattice(x + 1, y, z + 1), fx), mixf(lattice(x, y + 1, z + 1), lattice(x + 1, y + 1, z + 1), fx), fy);
  return mixf(a, b, fz);
}

float fbm(v3 p, int octaves) {
  float sum = 0, weight = 0.5f, total = 0;
  for (int i = 0; i < octaves; i++) {
    sum += noise(p) * weight; total += weight; weight *= 0.5f;
    p = add(scale(p, 2.03f), vec(17.1f, 5.3f, 11.7f));
  }
  return sum / total;
}

/* Unpolarised reflectance of a dielectric boundary; `ior` is that of the far side against the near side. */
float fresnel(float cosine, float ior) {
  float s2 = (1 - cosine * cosine) / (ior * ior);
  if (s2 >= 1) return 1;
  float inner = sqrtf(1 - s2);
  float parallel = (ior * cosine - inner) / (ior * cosine + inner), across = (cosine - ior * inner) / (cosine + ior * inner);
  return 0.5f * (parallel * parallel + across * across);
}

/* Distance to the border of the nearest two cells of a jittered grid, and that cell's identity. */
static float cells(v3 p, uint32_t *id) {
  int cx = below(p.x), cy = below(p.y), cz = below(p.z);
  float first = 1e30f, second = 1e30f;
  for (int z = cz - 1; z <= cz + 1; z++) for (int y = cy - 1; y <= cy + 1; y++) for (int x = cx - 1; x <= cx + 1; x++) {
    uint32_t h = hash((uint32_t)x * 73856093u ^ (uint32_t)y * 19349663u ^ (uint32_t)z * 83492791u);
    v3 d = vec((float)x + 0.1f + 0.8f * (float)(h & 1023) / 1023.0f - p.x, (float)y + 0.1f + 0.8f * (float)(h >> 10 & 1023) / 1023.0f - p.y,
               (float)z + 0.1f + 0.8f * (float)(h >> 20 & 1023) / 1023.0f - p.z);
    float q = dot(d, d);
    if (q < first) { second = first; first = q; *id = h; } else if (q < second) second = q;
  }
  return sqrtf(second) - sqrtf(first);
}

static v3 grain(const material_t *m, v3 p, float *height) {
  /* long in x, with rings that bend: wood is noise stretched twelve times */
  float bend = fbm(vec(p.x * 0.9f, p.y * 3, p.z * 3), 3) * 6;
  float ring = noise(vec(p.x * 0.7f, p.y * 14 + bend, p.z * 14 + bend));
  float fibre = noise(vec(p.x * 6, p.y * 160, p.z * 160));
  *height = 0.0004f * fibre;
  return scale(mix(m->colour, m->colour2, ring), 0.82f + 0.3f * fibre);
}

static v3 planks(const material_t *m, v3 p, float *height) {
  int row = below(p.z / m->size);
  float shift = to_unit(hash((uint32_t)row * 7919u)) * 2.2f;
  int board = below((p.x + shift) / 1.7f);
  uint32_t id = hash2((uint32_t)row, (uint32_t)board + 77u);
  float across = p.z / m->size - (float)row, end = (p.x + shift) / 1.7f - (float)board;
  float gap = min(min(across, 1 - across) * m->size, min(end, 1 - end) * 1.7f);
  v3 c = grain(m, add(p, vec(to_unit(id) * 31, 0, to_unit(hash(id)) * 17)), height);
  c = scale(c, 0.72f + 0.5f * to_unit(hash(id ^ 99u)));
  float edge = smooth(0.0008f, 0.004f, gap);
  *height = *height * 0.6f + 0.003f * edge;
  return scale(c, 0.25f + 0.75f * edge);
}

static v3 stone(const material_t *m, v3 p, float *height) {
  v3 q = vec(p.x / m->size + 0.25f * noise(scale(p, 9)), p.y / (m->size * 0.68f) + 0.25f * noise(scale(p, 8.3f)), p.z / m->size);
  uint32_t id = 0;
  float border = cells(q, &id), rough = fbm(scale(p, 38), 3);
  float face = smooth(0.03f, 0.2f, border);
  *height = 0.022f * face + 0.010f * rough;
  v3 rock = mix(m->colour, m->colour2, to_unit(hash(id)));
  rock = scale(rock, (0.7f + 0.55f * to_unit(hash(id + 5))) * (0.72f + 0.5f * rough));
  return mix(vec(0.20f, 0.175f, 0.15f), rock, face);
}

/* Bands around a field of diamonds; the rug is 2 x 2 in local x and z, centred. */
static v3 rug(const material_t *m, v3 p, float *height) {
  float x = fabsf(p.x), z = fabsf(p.z), edge = max(x, z);
  float fibre = noise(vec(p.x * 130, 0, p.z * 130));
  *height = 0.004f * fibre;
  v3 c = m->colour, cream = vec(0.62f, 0.50f, 0.34f), ink = vec(0.035f, 0.05f, 0.11f);
  if (edge > 0.93f) c = cream;
  else if (edge > 0.89f) c = ink;
  else if (edge > 0.72f) {
    float run = (x > z ? p.z : p.x) * 6.5f, tooth = fabsf(run - floorf(run) - 0.5f) * 2, band = (edge - 0.72f) / 0.17f;
    c = fabsf(band - 0.5f) < 0.42f * tooth ? m->colour2 : ink;
    if (fabsf(band - 0.5f) < 0.16f * tooth) c = cream;
  } else if (edge > 0.69f) c = cream;
  else {
    float u = p.x * 3.2f, v = p.z * 3.2f, fu = fabsf(u - floorf(u) - 0.5f), fv = fabsf(v - floorf(v) - 0.5f), d = fu + fv;
    if (d < 0.12f) c = cream; else if (d < 0.22f) c = ink; else if (d < 0.31f) c = m->colour2;
    float centre = x + z;
    if (centre < 0.46f) c = centre < 0.12f ? cream : centre < 0.2f ? m->colour : centre < 0.3f ? ink : centre < 0.4f ? m->colour2 : cream;
  }
  return scale(c, 0.66f + 0.5f * fibre);
}

static v3 weave(const material_t *m, v3 p, v3 n, float *height) {
  float s = 2 * PI / m->size, u = fabsf(n.x) > 0.7f ? p.z : p.x, v = fabsf(n.y) > 0.7f ? p.z : p.y;
  float thread = 0.5f + 0.25f * (sinf(u * s) + sinf(v * s));
  float worn = fbm(scale(p, 5), 3);
  *height = m->size * 0.09f * thread;
  return mix(scale(m->colour, 0.75f + 0.35f * thread), m->colour2, worn * 0.8f);
}

static v3 bark(const material_t *m, v3 p, float *height) {
  float crack = fbm(vec(p.x * 9, p.y * 55, p.z * 55), 4);
  *height = 0.012f * crack;
  return mix(m->colour2, m->colour, smooth(0.3f, 0.65f, crack));
}

v3 texture_colour(const material_t *m, v3 p, v3 n, float *height) {
  *height = 0;
  switch (m->texture) {
    case PLANKS: return planks(m, p, height);
    case GRAIN: return grain(m, scale(p, 1 / m->size), height);
    case STONE: return stone(m, p, height);
    case PLASTER: {
      float f = fbm(scale(p, 1 / m->size), 4);
      *height = 0.006f * f;
      return mix(m->colour, m->colour2, smooth(0.3f, 0.7f, fbm(scale(p, 1.3f), 3)));
    }
    case RUG: return rug(m, scale(p, 1 / m->size), height);
    case WEAVE: return weave(m, p, n, height);
    case BARK: return bark(m, p, height);
    case STRIPES: { float s = p.y / m->size; return s - floorf(s) < 0.5f ? m->colour : m->colour2; }
    case FUR: {
      float f = noise(vec(p.x * 90, p.y * 260, p.z * 90)), s = sinf((p.x + p.z) * 6.2832f / m->size + 5 * fbm(scale(p, 7), 2));
      *height = 0.004f * f;
      return scale(mix(m->colour, m->colour2, smooth(0.1f, 0.8f, s)), 0.65f + 0.6f * f);
    }
    case EMBER: {
      float heat = smooth(0.56f, 0.72f, fbm(scale(p, 1 / m->size), 4));
      return mix(scale(m->colour2, 0.06f), m->colour, heat);
    }
    default: return m->colour;
  }
}

/* The view from the window, u to the right and v up: afterglow, two ranges of snowy hills, firs, stars and a moon. */
v3 texture_dusk(float u, float v) {
  v3 sky = mix(vec(0.95f, 0.50f, 0.30f), vec(0.26f, 0.36f, 0.72f), smooth(0.24f, 0.50f, v));
  sky = mix(sky, vec(0.045f, 0.10f, 0.34f), smooth(0.42f, 1.0f, v));
  float cloud = fbm(vec(u * 3, v * 16, 4.2f), 4);
  sky = mix(sky, vec(0.75f, 0.42f, 0.42f), 0.5f * smooth(0.5f, 0.75f, cloud) * (1 - smooth(0.3f, 0.75f, v)));
  float sx = u * 46, sy = v * 52;
  uint32_t h = hash2((uint32_t)below(sx), (uint32_t)below(sy) + 1000u);
  if (h % 19 == 0 && v > 0.5f) {
    float dx = sx - floorf(sx) - 0.5f, dy = sy - floorf(sy) - 0.5f, star = 1 - smooth(0.04f, 0.16f, sqrtf(dx * dx + dy * dy));
    sky = add(sky, scale(vec(0.9f, 0.95f, 1.0f), 1.6f * star * smooth(0.5f, 0.8f, v)));
  }
  float mx = (u - 0.71f) * 0.92f, my = v - 0.80f, moon = sqrtf(mx * mx + my * my);
  sky = add(sky, scale(vec(0.5f, 0.55f, 0.7f), 0.25f / (1 + 260 * moon * moon)));
  if (moon < 0.052f) sky = scale(vec(1.0f, 0.96f, 0.84f), 5.5f * (0.75f + 0.35f * fbm(vec(u * 60, v * 60, 0), 3)));
  float far = 0.30f + 0.17f * fbm(vec(u * 4.5f, 3.1f, 0), 5) + 0.05f * sinf(u * 7 + 1);
  if (v < far) {
    float lit = smooth(0.35f, 0.65f, fbm(vec(u * 22, v * 30, 2), 4));
    sky = mix(vec(0.13f, 0.17f, 0.34f), vec(0.42f, 0.40f, 0.55f), lit);
  }
  float near = 0.15f + 0.12f * fbm(vec(u * 3.1f + 9, 7.7f, 0), 3);
  float fir = fabsf(u * 34 - floorf(u * 34) - 0.5f) * 2, tall = to_unit(hash((uint32_t)below(u * 34) + 31u));
  if (v < near + 0.085f * tall * (1 - fir) + 0.01f) sky = v < near - 0.02f + 0.012f * noise(vec(u * 40, 0, 0)) ? vec(0.20f, 0.25f, 0.42f) : vec(0.012f, 0.022f, 0.04f);
  return sky;
}
