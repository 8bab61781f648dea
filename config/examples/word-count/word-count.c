/* Counts the words of one text. usage: word-count FILE; writes /out/counts.tsv: count, tab, word; the commonest first.
 * A word is a run of letters and digits, with single apostrophes and hyphens inside; ASCII letters are lowered, and all
 * bytes above 127 count as letters, so that UTF-8 words stay whole. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { WORD_MAX_BYTES = 255, SLOTS_FIRST = 4096 };

typedef struct { char *word; uint32_t count; } entry_t;
static entry_t *slots;
static size_t slot_count = SLOTS_FIRST, different;

static _Noreturn void fail(const char *what, const char *name) { fprintf(stderr, "word-count: %s %s\n", what, name); exit(3); }

/* FNV-1a */
static uint32_t hash_of(const char *word) {
  uint32_t h = 2166136261u;
  for (; *word; word++) h = (h ^ (uint8_t)*word) * 16777619u;
  return h;
}

static entry_t *slot_of(entry_t *table, size_t count, const char *word) {
  size_t i = hash_of(word) & (count - 1);
  while (table[i].word && strcmp(table[i].word, word) != 0) i = (i + 1) & (count - 1);
  return &table[i];
}

static void grow(void) {
  entry_t *wider = calloc(slot_count * 2, sizeof(entry_t));
  if (!wider) fail("out of memory", "");
  for (size_t i = 0; i < slot_count; i++) if (slots[i].word) *slot_of(wider, slot_count * 2, slots[i].word) = slots[i];
  free(slots);
  slots = wider; slot_count *= 2;
}

static void count_word(const char *word) {
  entry_t *slot = slot_of(slots, slot_count, word);
  slot->count++;
  if (slot->word) return;
  slot->word = strdup(word);
  if (!slot->word) fail("out of memory", "");
  if (++different * 2 > slot_count) grow();
}

static int letter(int c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c >= 128; }
static int joiner(int c) { return c == '\'' || c == '-'; }

/* Returns how many words there are. Longer words than WORD_MAX_BYTES are counted by their beginning. */
static unsigned long count_file(FILE *file) {
  char word[WORD_MAX_BYTES + 1];
  size_t length = 0;
  unsigned long words = 0;
  int c, pending = 0;
  do {
    c = getc(file);
    if (c != EOF && letter(c)) {
      if (pending && length < WORD_MAX_BYTES) word[length++] = (char)pending;
      pending = 0;
      if (length < WORD_MAX_BYTES) word[length++] = (char)(c >= 'A' && c <= 'Z' ? c + 32 : c);
    } else if (c != EOF && joiner(c) && length && !pending) pending = c;
    else if (length) { word[length] = 0; count_word(word); words++; length = 0; pending = 0; }
  } while (c != EOF);
  return words;
}

static int commonest_first(const void *a, const void *b) {
  const entry_t *x = a, *y = b;
  return x->count != y->count ? (x->count < y->count ? 1 : -1) : strcmp(x->word, y->word);
}

int main(int argc, char **argv) {
  if (argc != 2) { fprintf(stderr, "usage: word-count FILE\n"); return 2; }
  FILE *file = fopen(argv[1], "rb");
  if (!file) { fprintf(stderr, "word-count: %s cannot be opened\n", argv[1]); return 2; }
  slots = calloc(slot_count, sizeof(entry_t));
  if (!slots) fail("out of memory", "");
  unsigned long words = count_file(file);
  if (ferror(file)) fail("cannot read", argv[1]);
  size_t n = 0;
  for (size_t i = 0; i < slot_count; i++) if (slots[i].word) slots[n++] = slots[i];
  qsort(slots, n, sizeof(entry_t), commonest_first);
  FILE *out = fopen("/out/counts.tsv", "wb");
  if (!out) fail("cannot write", "/out/counts.tsv");
  for (size_t i = 0; i < n; i++) fprintf(out, "%u\t%s\n", (unsigned)slots[i].count, slots[i].word);
  if (fclose(out)) fail("cannot write", "/out/counts.tsv");
  const char *name = strrchr(argv[1], '/');
  printf("%s: %lu words, %zu different\n", name ? name + 1 : argv[1], words, n);
  return 0;
}
