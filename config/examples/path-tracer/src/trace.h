#ifndef TRACE_H
#define TRACE_H
#include "sampler.h"
#include "scene.h"

/* What the first surface that is neither mirror nor glass looked like: guides the filter in denoise.c. */
typedef struct { v3 radiance, albedo, normal; float depth; } sample_t;

/* Light that arrives along one camera path through the picture plane at (x, y), both in [0, 1), y downwards. */
sample_t trace_sample(const scene_t *scene, float x, float y, sampler_t *sampler);

/* lights.c */
typedef struct { float chance[MAX_LIGHTS]; } choice_t;
void lights_weigh(const scene_t *scene, v3 at, v3 normal, choice_t *choice);
/* A direction towards a point of light `l`, its distance, radiance, and density over solid angle; 0 when it cannot be seen. */
int lights_aim(const light_t *l, v3 at, pair_t u, v3 *to, float *distance, v3 *radiance, float *density);
/* Where a ray meets light `l` before `limit`; gives the same radiance and density as lights_aim would. */
int lights_meet(const light_t *l, v3 from, v3 to, float limit, float *distance, v3 *radiance, float *density);

/* surface.c */
typedef struct { v3 diffuse, f0; float alpha; int specular; } surface_t;
surface_t surface_of(const material_t *m, v3 colour, float roughest);
/* Reflectance times cosine, and the density with which surface_bounce would pick `to`. */
v3 surface_reflects(const surface_t *s, v3 n, v3 eye, v3 to, float *density);
/* Picks a direction; returns the weight (reflectance * cosine / density). `mirrored` tells the lobe. */
v3 surface_bounce(const surface_t *s, v3 n, v3 eye, pair_t u, v3 *to, float *density, int *mirrored);

#endif
