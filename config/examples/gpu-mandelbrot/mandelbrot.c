/*
 * One frame of a way into the Mandelbrot set, on a graphics card or on the processor: the bytes are the same.
 *
 *   mandelbrot [--gpu | --cpu] --frame N --width N --height N --out FILE.bmp
 *
 * The card is reached by NVIDIA's driver library, which the host's engine puts into the container together with the card; it is
 * looked for at run time, so that the same program runs where there is none. --gpu insists on a card, --cpu wants none.
 */
#include <dlfcn.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { FAILED = 1, USAGE = 2, MOST_STEPS = 2000, BLOCK_THREADS = 128, BITS = 28, MAX_SIDE = 16384 };

/* Where a frame looks, in fixed point. */
struct view { int32_t left, top, step; uint32_t width, height; };

/* ---- the processor */

/* The same sums as in mandelbrot.ptx. */
static uint32_t escape(int32_t cx, int32_t cy) {
  int32_t x = 0, y = 0;
  uint32_t count = 0;
  for (; count < MOST_STEPS; count++) {
    int64_t xx = (int64_t)x * x, yy = (int64_t)y * y, xy = (int64_t)x * y;
    if (xx + yy > (int64_t)4 << 2 * BITS) break;
    x = (int32_t)((xx - yy) >> BITS) + cx;
    y = (int32_t)(xy >> (BITS - 1)) + cy;
  }
  return count;
}

static void count_on_cpu(const struct view *v, uint32_t *counts) {
  for (uint32_t row = 0; row < v->height; row++) {
    for (uint32_t column = 0; column < v->width; column++) counts[row * v->width + column] = escape(v->left + (int32_t)column * v->step, v->top + (int32_t)row * v->step);
  }
}

/* ---- the card */

/* PTX is text that the driver compiles for the card it finds. */
__asm__(".section .rodata\n.global ptx\nptx: .incbin \"mandelbrot.ptx\"\n.byte 0\n.text\n");
extern const char ptx[];

typedef int result;
typedef uint64_t pointer;
/* Of the driver's interface what is needed here; all have been the same since 2011. */
static struct {
  result (*init)(unsigned flags);
  result (*device)(int *device, int ordinal);
  result (*retain)(void **context, int device);
  result (*current)(void *context);
  result (*load)(void **module, const void *image);
  result (*function)(void **function, void *module, const char *name);
  result (*allocate)(pointer *at, size_t bytes);
  result (*launch)(void *function, unsigned gx, unsigned gy, unsigned gz, unsigned bx, unsigned by, unsigned bz, unsigned shared, void *stream, void **parameters, void **extra);
  result (*copy)(void *to, pointer from, size_t bytes);
  result (*error_name)(result code, const char **name);
} cuda;

static bool load_driver(void) {
  static const struct { const char *name; void *slot; } symbols[] = {
    {"cuInit", &cuda.init}, {"cuDeviceGet", &cuda.device}, {"cuDevicePrimaryCtxRetain", &cuda.retain}, {"cuCtxSetCurrent", &cuda.current}, {"cuModuleLoadData", &cuda.load},
    {"cuModuleGetFunction", &cuda.function}, {"cuMemAlloc_v2", &cuda.allocate}, {"cuLaunchKernel", &cuda.launch}, {"cuMemcpyDtoH_v2", &cuda.copy}, {"cuGetErrorName", &cuda.error_name},
  };
  void *library = dlopen("libcuda.so.1", RTLD_NOW);
  if (library == NULL) return false;
  for (size_t i = 0; i < sizeof symbols / sizeof *symbols; i++) {
    void *found = dlsym(library, symbols[i].name);
    if (found == NULL) return false;
    memcpy(symbols[i].slot, &found, sizeof found);
  }
  return true;
}

/* NULL, or what did not work. `is_there` says whether there is a card at all. */
static const char *count_on_card(const struct view *v, uint32_t *counts, bool *is_there) {
  static char words[128];
  int device = 0;
  void *context, *module, *function;
  pointer at = 0;
  uint32_t pixels = v->width * v->height, most = MOST_STEPS;
  struct view view = *v;
  void *parameters[] = {&at, &view.width, &pixels, &view.left, &view.top, &view.step, &most};
  *is_there = false;
  if (!load_driver()) return "there is no NVIDIA driver here";
  if (cuda.init(0) != 0 || cuda.device(&device, 0) != 0) return "there is no card here";
  *is_there = true;
  const char *step = "context";
  result code = cuda.retain(&context, device);
  if (code == 0) code = cuda.current(context);
  if (code == 0) { step = "compile"; code = cuda.load(&module, ptx); }
  if (code == 0) code = cuda.function(&function, module, "mandelbrot");
  if (code == 0) { step = "memory"; code = cuda.allocate(&at, pixels * sizeof *counts); }
  if (code == 0) { step = "launch"; code = cuda.launch(function, (pixels + BLOCK_THREADS - 1) / BLOCK_THREADS, 1, 1, BLOCK_THREADS, 1, 1, 0, NULL, parameters, NULL); }
  // the copy waits for the card to finish
  if (code == 0) { step = "run"; code = cuda.copy(counts, at, pixels * sizeof *counts); }
  if (code == 0) return NULL;
  const char *name = NULL;
  cuda.error_name(code, &name);
  snprintf(words, sizeof words, "the card failed at %s: %s (%d)", step, name == NULL ? "unknown" : name, code);
  return words;
}

/* ---- the picture */

static struct view view_of(uint32_t frame, uint32_t width, uint32_t height) {
  // a spiral in the valley of the seahorses; each frame shows three quarters of the one before
  const int64_t x = -199620612, y = 35386848;
  int64_t span = (int64_t)3 << BITS;
  for (uint32_t i = 0; i < frame; i++) span = span * 3 / 4;
  int64_t step = span / width;
  if (step < 1) step = 1;
  return (struct view){.left = (int32_t)(x - step * (width / 2)), .top = (int32_t)(y - step * (height / 2)), .step = (int32_t)step, .width = width, .height = height};
}

/* 0 to 255 and back, once in 512. */
static uint8_t wave(uint32_t at) {
  at %= 512;
  return (uint8_t)(at < 256 ? at : 511 - at);
}

static void put32(uint8_t *at, uint32_t value) {
  for (int i = 0; i < 4; i++) at[i] = (uint8_t)(value >> 8 * i);
}

/* A BMP of 24 bits a pixel, from the bottom row up. */
static bool write_picture(const char *path, const struct view *v, const uint32_t *counts) {
  size_t row_size = (v->width * 3 + 3) / 4 * 4, size = 54 + row_size * v->height;
  uint8_t *bytes = calloc(size, 1);
  if (bytes == NULL) return false;
  memcpy(bytes, "BM", 2);
  put32(bytes + 2, (uint32_t)size);
  put32(bytes + 10, 54);
  put32(bytes + 14, 40);
  put32(bytes + 18, v->width);
  put32(bytes + 22, v->height);
  bytes[26] = 1;
  bytes[28] = 24;
  for (uint32_t row = 0; row < v->height; row++) {
    uint8_t *to = bytes + 54 + (v->height - 1 - row) * row_size;
    for (uint32_t column = 0; column < v->width; column++, to += 3) {
      uint32_t count = counts[row * v->width + column];
      if (count == MOST_STEPS) continue;
      // from night blue over gold to ivory and back
      uint8_t light = wave(count * 4);
      to[0] = (uint8_t)(60 + light * light / 400);
      to[1] = (uint8_t)(light * 4 / 5 + light * light / 1300);
      to[2] = (uint8_t)(light < 40 ? light / 2 : 20 + (light - 40) * 235 / 215);
    }
  }
  FILE *out = fopen(path, "wb");
  bool is_written = out != NULL && fwrite(bytes, 1, size, out) == size;
  if (out != NULL && fclose(out) != 0) is_written = false;
  free(bytes);
  return is_written;
}

/* ---- */

static bool read_number(const char *text, uint32_t from, uint32_t to, uint32_t *number) {
  char *end;
  unsigned long value = strtoul(text, &end, 10);
  *number = (uint32_t)value;
  return end != text && *end == '\0' && *text != '-' && value >= from && value <= to;
}

int main(int count, char **words) {
  uint32_t frame = 0, width = 640, height = 400;
  const char *out = "mandelbrot.bmp";
  bool wants_card = true, wants_cpu = true, is_right = true;
  for (int i = 1; i < count && is_right; i++) {
    bool has_value = i + 1 < count;
    if (strcmp(words[i], "--gpu") == 0) wants_cpu = false;
    else if (strcmp(words[i], "--cpu") == 0) wants_card = false;
    else if (has_value && strcmp(words[i], "--frame") == 0) is_right = read_number(words[++i], 0, 200, &frame);
    else if (has_value && strcmp(words[i], "--width") == 0) is_right = read_number(words[++i], 1, MAX_SIDE, &width);
    else if (has_value && strcmp(words[i], "--height") == 0) is_right = read_number(words[++i], 1, MAX_SIDE, &height);
    else if (has_value && strcmp(words[i], "--out") == 0) out = words[++i];
    else is_right = false;
  }
  if (!is_right || (!wants_card && !wants_cpu)) {
    fputs("usage: mandelbrot [--gpu | --cpu] --frame N --width N --height N --out FILE.bmp\n", stderr);
    return USAGE;
  }
  struct view view = view_of(frame, width, height);
  uint32_t *counts = malloc((size_t)width * height * sizeof *counts);
  if (counts == NULL) return FAILED;
  bool is_there = false;
  const char *fault = wants_card ? count_on_card(&view, counts, &is_there) : NULL;
  // a card that fails is told, not hidden behind a slower answer
  if (fault != NULL && (is_there || !wants_cpu)) {
    fprintf(stderr, "%s\n", fault);
    return FAILED;
  }
  if (!wants_card || fault != NULL) count_on_cpu(&view, counts);
  if (!write_picture(out, &view, counts)) {
    fprintf(stderr, "%s cannot be written\n", out);
    return FAILED;
  }
  return 0;
}
