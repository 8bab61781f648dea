#ifndef FILM_H
#define FILM_H
#include <stdio.h>
#include "trace.h"

/* Pixels beyond the tile that the filter looks at: its window, the patch around each pixel in it, a spark's neighbours. */
enum { FILTER_WINDOW = 4, FILTER_PATCH = 1, FILTER_MARGIN = FILTER_WINDOW + FILTER_PATCH + 1 };

typedef struct { int x0, y0, x1, y1; } area_t;

/* Means over a pixel's samples; `variance` is that of the mean of the demodulated light, a channel. */
typedef struct { v3 light, albedo, normal, variance; float depth; } pixel_t;
typedef struct { area_t area; int width; pixel_t *pixels; } film_t;

film_t film_expose(const scene_t *scene, area_t tile, int width, int height, int samples, int margin);
void film_filter(film_t *film);
void film_print(const film_t *film, area_t tile, int width, int height, float exposure, FILE *file);

#endif
