/*
 * Whether two results show the same pictures: a comparator for renderers, whose last digits depend on the processor.
 *
 *   compare: { with: similar.wasm, args: ["50", "30"] }
 *
 * finds both results below /in/a and /in/b, and answers with exit code 0 when they agree and 1 when they differ. PNGs agree when the
 * difference of the whole picture is at most what the first number says (a peak signal-to-noise ratio in decibels, more is
 * stricter), and that of each square of 16 x 16 pixels what the second does: else a small lie in a large picture would pass.
 * Everything else below out/ must be equal to the byte, and the same files must be there. Logs are not looked at.
 */
#include <dirent.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "png.h"

enum { AGREE = 0, DIFFER = 1, USAGE = 2, BLOCK = 16, MAX_PATH = 4096, MAX_FILES = 100000, MAX_DEPTH = 32 };
static const size_t MAX_FILE_BYTES = 256u << 20;

static double whole_decibels, block_decibels;

struct file { uint8_t *bytes; size_t size; };

static int differ(const char *path, const char *why) {
  fprintf(stderr, "%s: %s\n", path, why);
  return DIFFER;
}

static bool load(const char *side, const char *path, struct file *file) {
  char full[MAX_PATH];
  if (snprintf(full, sizeof full, "/in/%s/out%s", side, path) >= (int)sizeof full) return false;
  struct stat info;
  FILE *in = fopen(full, "rb");
  if (in == NULL || fstat(fileno(in), &info) != 0 || (uint64_t)info.st_size > MAX_FILE_BYTES) return false;
  file->size = (size_t)info.st_size;
  file->bytes = malloc(file->size + 1);
  bool is_read = file->bytes != NULL && fread(file->bytes, 1, file->size, in) == file->size;
  fclose(in);
  return is_read;
}

/* Decibels of a sum of squared differences over so many values; infinite when there is none. */
static double decibels(double squares, double values) { return 10 * log10(255.0 * 255.0 * values / squares); }

static int compare_pictures(const char *path, const struct picture *a, const struct picture *b) {
  if (a->width != b->width || a->height != b->height || a->channels != b->channels) return differ(path, "the pictures have different sizes");
  if (a->rest_size != b->rest_size || memcmp(a->rest, b->rest, a->rest_size) != 0) return differ(path, "the pictures are to be shown in different ways");
  size_t row_size = (size_t)a->channels * a->width;
  double whole = 0;
  for (uint32_t top = 0; top < a->height; top += BLOCK) {
    for (uint32_t left = 0; left < a->width; left += BLOCK) {
      uint32_t bottom = top + BLOCK < a->height ? top + BLOCK : a->height, right = left + BLOCK < a->width ? left + BLOCK : a->width;
      double squares = 0;
      for (uint32_t y = top; y < bottom; y++) {
        size_t end = y * row_size + (size_t)right * (size_t)a->channels;
        for (size_t i = y * row_size + (size_t)left * (size_t)a->channels; i < end; i++) {
          int difference = a->pixels[i] - b->pixels[i];
          squares += difference * difference;
        }
      }
      // a square at the border counts as a whole one, or a single pixel there would decide
      if (decibels(squares, (double)BLOCK * BLOCK * a->channels) < block_decibels) {
        fprintf(stderr, "%s: the pictures differ around %u, %u\n", path, left, top);
        return DIFFER;
      }
      whole += squares;
    }
  }
  double found = decibels(whole, (double)row_size * a->height);
  fprintf(stderr, "%s: %.1f dB\n", path, found);
  return found < whole_decibels ? DIFFER : AGREE;
}

static int compare_files(const char *path) {
  struct file a, b;
  if (!load("a", path, &a) || !load("b", path, &b)) return differ(path, "one result lacks it, or it is too large");
  int answer = AGREE;
  if (a.size != b.size || memcmp(a.bytes, b.bytes, a.size) != 0) {
    struct picture first, second;
    size_t length = strlen(path);
    const char *fault = length < 4 || strcmp(path + length - 4, ".png") != 0 ? "the files differ" : read_png(a.bytes, a.size, &first);
    if (fault == NULL) fault = read_png(b.bytes, b.size, &second);
    if (fault != NULL) return differ(path, fault);
    answer = compare_pictures(path, &first, &second);
    free(first.pixels), free(first.rest), free(second.pixels), free(second.rest);
  }
  free(a.bytes), free(b.bytes);
  return answer;
}

/* Walks one side; `compare` looks at each file, otherwise only whether the other side has it too. */
static int walk(const char *side, const char *other, const char *path, int depth, bool compare) {
  static int seen;
  char full[MAX_PATH], child[MAX_PATH];
  struct stat info;
  snprintf(full, sizeof full, "/in/%s/out%s", side, path);
  DIR *dir = opendir(full);
  // a program that wrote nothing has no folder
  if (dir == NULL) return depth == 0 ? AGREE : differ(path, "cannot be read");
  int answer = AGREE;
  for (struct dirent *entry; answer == AGREE && (entry = readdir(dir)) != NULL;) {
    if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0) continue;
    if (++seen > MAX_FILES || depth == MAX_DEPTH || snprintf(child, sizeof child, "%s/%s", path, entry->d_name) >= (int)sizeof child - 16) {
      answer = differ(path, "there are too many files");
      break;
    }
    snprintf(full, sizeof full, "/in/%s/out%s", side, child);
    if (stat(full, &info) != 0) answer = differ(child, "cannot be read");
    else if (S_ISDIR(info.st_mode)) answer = walk(side, other, child, depth + 1, compare);
    else if (compare) answer = compare_files(child);
    else {
      snprintf(full, sizeof full, "/in/%s/out%s", other, child);
      if (stat(full, &info) != 0 || S_ISDIR(info.st_mode)) answer = differ(child, "one result lacks it");
    }
  }
  closedir(dir);
  return answer;
}

static bool read_number(const char *text, double *number) {
  char *end;
  *number = strtod(text, &end);
  return end != text && *end == '\0' && *number >= 0 && *number <= 200;
}

int main(int count, char **words) {
  if (count != 3 || !read_number(words[1], &whole_decibels) || !read_number(words[2], &block_decibels)) {
    fputs("usage: similar WHOLE BLOCK, both in decibels, such as 50 30\n", stderr);
    return USAGE;
  }
  int answer = walk("b", "a", "", 0, false);
  return answer == AGREE ? walk("a", "b", "", 0, true) : answer;
}
