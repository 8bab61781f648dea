/* Planets around a sun, each with a rounder or longer orbit, followed by the leapfrog method: sums of many floating point steps,
 * whose last digits another compiler, library or processor may give otherwise.
 *
 * usage: orbits STEPS; one planet is one segment: those from HEARTH_SEGMENT_FIRST to HEARTH_SEGMENT_LAST of HEARTH_SEGMENTS, each
 * written to /out/segment-<number>/orbit.txt as lines of time, x and y. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

enum { LINES = 16, STEPS_MAX = 100000000 };
static const double YEAR = 6.283185307179586;

static long number(const char *text, long fallback) { return text ? strtol(text, NULL, 10) : fallback; }

static int follow(long planet, long planets, long steps) {
  double e = (double)planet / (double)(planets + 1), dt = YEAR / (double)steps;
  double x = 1 - e, y = 0, u = 0, v = sqrt((1 + e) / (1 - e));
  char path[64];
  snprintf(path, sizeof path, "/out/segment-%ld", planet);
  mkdir(path, 0777);
  snprintf(path, sizeof path, "/out/segment-%ld/orbit.txt", planet);
  FILE *out = fopen(path, "w");
  if (!out) return 1;
  for (long i = 1; i <= steps; i++) {
    double r = sqrt(x * x + y * y), a = -1 / (r * r * r);
    u += a * x * dt / 2; v += a * y * dt / 2;
    x += u * dt; y += v * dt;
    r = sqrt(x * x + y * y); a = -1 / (r * r * r);
    u += a * x * dt / 2; v += a * y * dt / 2;
    if (i * LINES / steps != (i - 1) * LINES / steps) fprintf(out, "%.9f %.15f %.15f\n", (double)i * dt, x, y);
  }
  return fclose(out) != 0;
}

int main(int argc, char **argv) {
  long steps = argc > 1 ? number(argv[1], 0) : 100000, planets = number(getenv("HEARTH_SEGMENTS"), 1);
  long first = number(getenv("HEARTH_SEGMENT_FIRST"), 0), last = number(getenv("HEARTH_SEGMENT_LAST"), planets - 1);
  if (steps < LINES || steps > STEPS_MAX || first < 0 || last >= planets) { fputs("usage: orbits STEPS\n", stderr); return 2; }
  for (long planet = first; planet <= last; planet++) if (follow(planet, planets, steps)) { perror("orbits"); return 3; }
  return 0;
}
