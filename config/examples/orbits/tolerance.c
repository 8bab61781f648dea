/* Whether two results agree but for small differences of their numbers: the same files, and in each the same text, where a number
 * may stand for another that is nearly as large. What was printed to standard error is no part of it.
 *
 * usage: tolerance SHARE, such as 1e-9: of the larger number, or of 1 where both are smaller. The results lie in /in/a and /in/b.
 * Ends with 0 when they agree, with 1 when they differ, and says where. */
#include <ctype.h>
#include <dirent.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { PATH_MAX_BYTES = 4096, DEPTH_MAX = 32 };
static double share;

static void fail(const char *what) { perror(what); exit(2); }

static char *contents(const char *path, size_t *size) {
  FILE *in = fopen(path, "rb");
  if (!in || fseek(in, 0, SEEK_END)) fail(path);
  long length = ftell(in);
  char *bytes = malloc((size_t)length + 1);
  if (length < 0 || !bytes) fail(path);
  rewind(in);
  if (fread(bytes, 1, (size_t)length, in) != (size_t)length || fclose(in)) fail(path);
  bytes[length] = 0;
  *size = (size_t)length;
  return bytes;
}

static int begins_number(const char *at) {
  if (*at == '-' || *at == '+') at++;
  return isdigit((unsigned char)*at) || (*at == '.' && isdigit((unsigned char)at[1]));
}

static int near(double x, double y) {
  return fabs(x - y) <= share * fmax(1, fmax(fabs(x), fabs(y)));
}

static int same_text(const char *name, const char *a, size_t a_size, const char *b, size_t b_size) {
  size_t i = 0, j = 0;
  while (i < a_size && j < b_size) {
    if (begins_number(a + i) && begins_number(b + j)) {
      char *a_end, *b_end;
      double x = strtod(a + i, &a_end), y = strtod(b + j, &b_end);
      if (!near(x, y)) { fprintf(stderr, "%s: %.17g and %.17g\n", name, x, y); return 0; }
      i = (size_t)(a_end - a); j = (size_t)(b_end - b);
    } else if (a[i++] != b[j++]) {
      fprintf(stderr, "%s: byte %zu\n", name, i - 1);
      return 0;
    }
  }
  if (i == a_size && j == b_size) return 1;
  fprintf(stderr, "%s: one is longer\n", name);
  return 0;
}

/* Every file below the first folder against that of the second; with only_names, whether the second lacks one. */
static int same_folder(const char *a, const char *b, int depth, int only_names) {
  if (depth > DEPTH_MAX) { fputs("too deep\n", stderr); exit(2); }
  DIR *dir = opendir(a);
  if (!dir) fail(a);
  int same = 1;
  for (struct dirent *entry; same && (entry = readdir(dir));) {
    const char *name = entry->d_name;
    if (!strcmp(name, ".") || !strcmp(name, "..") || (depth == 0 && !strcmp(name, "stderr"))) continue;
    char in_a[PATH_MAX_BYTES], in_b[PATH_MAX_BYTES];
    if (snprintf(in_a, sizeof in_a, "%s/%s", a, name) >= PATH_MAX_BYTES || snprintf(in_b, sizeof in_b, "%s/%s", b, name) >= PATH_MAX_BYTES) { fputs("a name is too long\n", stderr); exit(2); }
    struct stat of_a, of_b;
    if (stat(in_a, &of_a)) fail(in_a);
    if (stat(in_b, &of_b) || S_ISDIR(of_a.st_mode) != S_ISDIR(of_b.st_mode)) { fprintf(stderr, "%s: only in one\n", name); same = 0; }
    else if (S_ISDIR(of_a.st_mode)) same = same_folder(in_a, in_b, depth + 1, only_names);
    else if (!only_names) {
      size_t a_size, b_size;
      char *a_text = contents(in_a, &a_size), *b_text = contents(in_b, &b_size);
      same = same_text(name, a_text, a_size, b_text, b_size);
      free(a_text); free(b_text);
    }
  }
  closedir(dir);
  return same;
}

int main(int argc, char **argv) {
  char *end = NULL;
  if (argc == 2) share = strtod(argv[1], &end);
  if (!end || *end || end == argv[1] || !(share >= 0)) { fputs("usage: tolerance SHARE\n", stderr); return 2; }
  return same_folder("/in/a", "/in/b", 0, 0) && same_folder("/in/b", "/in/a", 0, 1) ? 0 : 1;
}
