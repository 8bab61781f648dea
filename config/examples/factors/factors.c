/* The prime factors of a number, by trial division: slow to find, quick to check.
 *
 * usage: factors NUMBER; writes them to /out/factors.txt, in order. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

int main(int argc, char **argv) {
  char *end = NULL;
  uint64_t n = argc == 2 ? strtoull(argv[1], &end, 10) : 0;
  if (n < 2 || n > INT64_MAX || *end) { fputs("usage: factors NUMBER\n", stderr); return 2; }
  FILE *out = fopen("/out/factors.txt", "w");
  if (!out) { perror("/out/factors.txt"); return 3; }
  for (uint64_t d = 2; d <= n / d; d += d == 2 ? 1 : 2) for (; n % d == 0; n /= d) fprintf(out, "%" PRIu64 "\n", d);
  if (n > 1) fprintf(out, "%" PRIu64 "\n", n);
  return fclose(out) ? 3 : 0;
}
