/* When does a porous thing begin to leak? Cells of a square grid open one by one at random; at some share of open cells water
 * first finds a way from the top to the bottom. For large grids that share tends to 0.592746 (Newman and Ziff 2000), a number
 * for which no formula is known.
 *
 * usage: percolation SEED TRIALS SIDE; writes /out/estimate.json. The sums are whole numbers, so that they add up exactly. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

enum { TRIALS_MAX = 100000, SIDE_MIN = 2, SIDE_MAX = 2048 };

static uint64_t state[4];

static uint64_t rotated(uint64_t x, int by) { return x << by | x >> (64 - by); }

/* xoshiro256** (Blackman and Vigna), filled by splitmix64 */
static void seed_random(uint64_t seed) {
  for (int i = 0; i < 4; i++) {
    uint64_t z = seed += 0x9e3779b97f4a7c15u;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u; z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    state[i] = z ^ z >> 31;
  }
}
static uint64_t random_bits(void) {
  uint64_t result = rotated(state[1] * 5, 7) * 9, t = state[1] << 17;
  state[2] ^= state[0]; state[3] ^= state[1]; state[1] ^= state[2]; state[0] ^= state[3]; state[2] ^= t; state[3] = rotated(state[3], 45);
  return result;
}
/* Below n, without bias (Lemire): a draw from the short end of the range is thrown away. */
static uint32_t random_below(uint32_t n) {
  uint32_t least = -n % n;
  for (;;) {
    uint64_t wide = (random_bits() >> 32) * n;
    if ((uint32_t)wide >= least) return (uint32_t)(wide >> 32);
  }
}

/* Clusters of open cells: a forest, where parent[i] is a cell nearer to the root, or minus the size at a root. */
static int32_t *parent;
static uint8_t *open_cell;
static int32_t *order;

static int32_t root_of(int32_t i) {
  while (parent[i] >= 0) {
    if (parent[parent[i]] >= 0) parent[i] = parent[parent[i]];
    i = parent[i];
  }
  return i;
}
static void join(int32_t a, int32_t b) {
  a = root_of(a); b = root_of(b);
  if (a == b) return;
  if (parent[a] > parent[b]) { int32_t swap = a; a = b; b = swap; }
  parent[a] += parent[b]; parent[b] = a;
}

/* Opens cells in random order until the top touches the bottom; returns how many were open. */
static int32_t trial(int32_t side) {
  int32_t cells = side * side, top = cells, bottom = cells + 1;
  for (int32_t i = 0; i < cells + 2; i++) parent[i] = -1;
  for (int32_t i = 0; i < cells; i++) { open_cell[i] = 0; order[i] = i; }
  for (int32_t n = 0; n < cells; n++) {
    int32_t pick = n + (int32_t)random_below((uint32_t)(cells - n)), cell = order[pick], x = cell % side;
    order[pick] = order[n];
    open_cell[cell] = 1;
    if (cell < side) join(cell, top); else if (open_cell[cell - side]) join(cell, cell - side);
    if (cell >= cells - side) join(cell, bottom); else if (open_cell[cell + side]) join(cell, cell + side);
    if (x > 0 && open_cell[cell - 1]) join(cell, cell - 1);
    if (x < side - 1 && open_cell[cell + 1]) join(cell, cell + 1);
    if (root_of(top) == root_of(bottom)) return n + 1;
  }
  return cells;
}

static long argument(const char *name, const char *text, long lo, long hi) {
  char *end;
  long value = strtol(text, &end, 10);
  if (end != text && !*end && value >= lo && value <= hi) return value;
  fprintf(stderr, "percolation: %s must be a whole number from %ld to %ld\n", name, lo, hi);
  exit(2);
}

int main(int argc, char **argv) {
  if (argc != 4) { fprintf(stderr, "usage: percolation SEED TRIALS SIDE\n"); return 2; }
  long seed = argument("SEED", argv[1], 0, INT32_MAX), trials = argument("TRIALS", argv[2], 1, TRIALS_MAX);
  int32_t side = (int32_t)argument("SIDE", argv[3], SIDE_MIN, SIDE_MAX);
  size_t cells = (size_t)side * (size_t)side;
  parent = malloc((cells + 2) * sizeof(int32_t)); order = malloc(cells * sizeof(int32_t)); open_cell = malloc(cells);
  if (!parent || !order || !open_cell) { fprintf(stderr, "percolation: out of memory\n"); return 3; }
  seed_random((uint64_t)seed);
  /* below 2^17 trials of 2^22 cells: the squares' sum stays below 2^61 */
  uint64_t sum = 0, squares = 0;
  for (long i = 0; i < trials; i++) { uint64_t opened = (uint64_t)trial(side); sum += opened; squares += opened * opened; }
  double threshold = (double)sum / (double)trials / (double)cells;
  FILE *out = fopen("/out/estimate.json", "wb");
  if (!out) { fprintf(stderr, "percolation: /out/estimate.json cannot be written\n"); return 3; }
  fprintf(out, "{\"seed\":%ld,\"side\":%d,\"trials\":%ld,\"openedSum\":%llu,\"openedSquareSum\":%llu,\"threshold\":%.6f}\n", seed, (int)side, trials,
          (unsigned long long)sum, (unsigned long long)squares, threshold);
  if (fclose(out)) { fprintf(stderr, "percolation: /out/estimate.json could not be written in full\n"); return 3; }
  printf("seed %ld: leaks at %.4f open (%ld trials of %d x %d)\n", seed, threshold, trials, (int)side, (int)side);
  return 0;
}
