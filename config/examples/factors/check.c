/* Whether what /in/result/out/factors.txt holds are the prime factors of a number, in order. Microseconds, where finding them takes
 * seconds: so one host's result is enough.
 *
 * usage: check NUMBER; ends with 0 when they are, with 1 when they are not. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

/* a * b and a ^ e modulo m < 2^63, without wider numbers */
static uint64_t times(uint64_t a, uint64_t b, uint64_t m) {
  uint64_t sum = 0;
  for (a %= m; b; b >>= 1, a = a * 2 % m) if (b & 1) sum = (sum + a) % m;
  return sum;
}
static uint64_t power(uint64_t a, uint64_t e, uint64_t m) {
  uint64_t product = 1;
  for (; e; e >>= 1, a = times(a, a, m)) if (e & 1) product = times(product, a, m);
  return product;
}

/* Miller-Rabin; the first twelve primes as bases are enough below 2^64 (Sorenson and Webster 2015) */
static int is_prime(uint64_t n) {
  static const uint64_t bases[] = {2, 3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37};
  if (n < 2) return 0;
  uint64_t odd = n - 1;
  int twos = 0;
  for (; odd % 2 == 0 && odd; odd /= 2) twos++;
  for (size_t i = 0; i < sizeof bases / sizeof *bases; i++) {
    if (n % bases[i] == 0) return n == bases[i];
    uint64_t x = power(bases[i], odd, n);
    int passes = x == 1 || x == n - 1;
    for (int k = 1; k < twos && !passes; k++) { x = times(x, x, n); passes = x == n - 1; }
    if (!passes) return 0;
  }
  return 1;
}

int main(int argc, char **argv) {
  char *end = NULL;
  uint64_t n = argc == 2 ? strtoull(argv[1], &end, 10) : 0;
  if (n < 2 || n > INT64_MAX || *end) { fputs("usage: check NUMBER\n", stderr); return 2; }
  FILE *in = fopen("/in/result/out/factors.txt", "r");
  if (!in) return 1;
  char line[32];
  for (uint64_t before = 2, factor; fgets(line, sizeof line, in); before = factor) {
    factor = strtoull(line, &end, 10);
    if (end == line || *end != '\n' || factor < before || factor > INT64_MAX || n % factor || !is_prime(factor)) return 1;
    n /= factor;
  }
  return n == 1 ? 0 : 1;
}
