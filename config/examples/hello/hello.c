/* The smallest whole job: greets its arguments on standard output and in /out/hello.txt. No C library, so that it stays
 * under two kilobytes: the calls below are all that WASI preview 1 needs for arguments, a directory and a file. */
#include <stddef.h>
#include <stdint.h>

#define WASI(name) __attribute__((import_module("wasi_snapshot_preview1"), import_name(#name)))
typedef struct { const char *bytes; size_t size; } slice_t;
typedef struct { uint8_t tag; size_t name_size; } prestat_t;

WASI(args_sizes_get) int args_sizes_get(size_t *count, size_t *bytes);
WASI(args_get) int args_get(char **argv, char *bytes);
WASI(fd_write) int fd_write(int fd, const slice_t *slices, size_t count, size_t *written);
WASI(fd_close) int fd_close(int fd);
WASI(fd_prestat_get) int fd_prestat_get(int fd, prestat_t *prestat);
WASI(fd_prestat_dir_name) int fd_prestat_dir_name(int fd, char *path, size_t size);
WASI(path_open) int path_open(int dir, int lookup, const char *path, size_t size, int create, uint64_t rights, uint64_t inherited, int flags, int *fd);
WASI(proc_exit) _Noreturn void proc_exit(int code);

enum { ARGS_MAX = 64, ARGS_BYTES_MAX = 4096, TEXT_MAX_BYTES = 8192, PREOPENS_MAX = 16, CREATE_AND_TRUNCATE = 1 | 8, RIGHT_TO_WRITE = 1 << 6 };

static char *argv[ARGS_MAX], bytes[ARGS_BYTES_MAX], text[TEXT_MAX_BYTES];
static size_t length;

static void say(const char *words) { while (*words && length < TEXT_MAX_BYTES) text[length++] = *words++; }

static int write_all(int fd) {
  for (size_t done = 0, n; done < length; done += n) {
    slice_t rest = {text + done, length - done};
    if (fd_write(fd, &rest, 1, &n) || n == 0) return 1;
  }
  return 0;
}

static int same(const char *a, const char *b, size_t size) {
  for (size_t i = 0; i < size; i++) if (a[i] != b[i]) return 0;
  return 1;
}

/* The descriptor of the directory that the host calls `/out`. */
static int find_out(void) {
  for (int fd = 3; fd < 3 + PREOPENS_MAX; fd++) {
    prestat_t p; char name[8];
    if (fd_prestat_get(fd, &p)) return -1;
    if (p.name_size == 4 && !fd_prestat_dir_name(fd, name, 4) && same(name, "/out", 4)) return fd;
  }
  return -1;
}

void _start(void) {
  size_t count, size;
  if (args_sizes_get(&count, &size) || count > ARGS_MAX || size > ARGS_BYTES_MAX || args_get(argv, bytes)) proc_exit(2);
  say("Hello");
  for (size_t i = 1; i < count; i++) { say(i == 1 ? ", " : " "); say(argv[i]); }
  say("!\n");
  int dir = find_out(), fd;
  if (write_all(1) || dir < 0 || path_open(dir, 0, "hello.txt", 9, CREATE_AND_TRUNCATE, RIGHT_TO_WRITE, 0, 0, &fd) || write_all(fd) || fd_close(fd)) proc_exit(3);
}
