/*
 * Process 1 of every job's container: `init COMMAND [ARGUMENT...]`.
 *
 * Reads its orders from standard input (a mark nobody else knows, the working directory, secrets), runs COMMAND as its
 * child, ends whatever the child left running, and then, after the mark on both streams, sends what lies below /out and
 * what the container used. It runs in any image, so it uses no libc: only the system calls listed below.
 *
 * It has the job's user and no privilege. As process 1 it takes no signal from inside, and it is not dumpable, so the job
 * can neither end it, nor read the mark, nor write to its memory. Whatever it sends is still a stranger's word to the node.
 * The layout of orders and frames is documented in ../init-protocol.ts.
 */
typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32;
typedef unsigned long u64;

#define MARK_BYTES 32
#define MAX_NAME_BYTES 256
#define MAX_CWD_BYTES 4096
#define MAX_PATH_BYTES 4096
/* The tree below /out; a deeper directory is reported as an odd entry (MAX_OUT_DEPTH in node/sandbox/limits.ts). */
#define MAX_DEPTH 33
#define COPY_BYTES 65536
#define DENTS_BYTES 4096
#define USAGE_BYTES 4096

/* As a shell gives them for a command it cannot run, and 125 for orders that did not come. */
#define EXIT_NO_ORDERS 125
#define EXIT_CANNOT_RUN 126
#define EXIT_NOT_FOUND 127

#define EINTR 4
#define ENOENT 2
#define EAGAIN 11
#define EACCES 13
#define ENOTDIR 20
#define SIGKILL 9
#define SIGCHLD 17
#define POLLOUT 4
#define PR_SET_DUMPABLE 4
#define CLOCK_MONOTONIC 1
#define AT_FDCWD -100
#define AT_SYMLINK_NOFOLLOW 0x100
#define STATX_BASIC_STATS 0x7ff
#define S_IFMT 0170000
#define S_IFREG 0100000
#define S_IFDIR 0040000
#define O_RDONLY 0
#define O_WRONLY 1
#define O_CREAT 0100
#define O_EXCL 0200
#define O_CLOEXEC 02000000
#define O_NONBLOCK 04000

#if defined(__x86_64__)
#define O_DIRECTORY 0200000
#define O_NOFOLLOW 0400000
enum { READ = 0, WRITE = 1, CLOSE = 3, GETPID = 39, CLONE = 56, EXECVE = 59, WAIT4 = 61, KILL = 62, CHDIR = 80, SETSID = 112, PRCTL = 157,
  GETDENTS64 = 217, CLOCK_GETTIME = 228, EXIT_GROUP = 231, OPENAT = 257, FCHMODAT = 268, PPOLL = 271, DUP3 = 292, STATX = 332, CLOSE_RANGE = 436 };

__asm__(".globl _start\n_start:\n xor %ebp, %ebp\n mov %rsp, %rdi\n and $-16, %rsp\n call start\n");

static long call(long number, long a, long b, long c, long d, long e) {
  long result;
  register long r10 __asm__("r10") = d;
  register long r8 __asm__("r8") = e;
  __asm__ volatile("syscall" : "=a"(result) : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8) : "rcx", "r11", "memory");
  return result;
}
#elif defined(__aarch64__)
#define O_DIRECTORY 040000
#define O_NOFOLLOW 0100000
enum { READ = 63, WRITE = 64, CLOSE = 57, GETPID = 172, CLONE = 220, EXECVE = 221, WAIT4 = 260, KILL = 129, CHDIR = 49, SETSID = 157, PRCTL = 167,
  GETDENTS64 = 61, CLOCK_GETTIME = 113, EXIT_GROUP = 94, OPENAT = 56, FCHMODAT = 53, PPOLL = 73, DUP3 = 24, STATX = 291, CLOSE_RANGE = 436 };

__asm__(".globl _start\n_start:\n mov x29, #0\n mov x0, sp\n bl start\n");

static long call(long number, long a, long b, long c, long d, long e) {
  register long x8 __asm__("x8") = number;
  register long x0 __asm__("x0") = a;
  register long x1 __asm__("x1") = b;
  register long x2 __asm__("x2") = c;
  register long x3 __asm__("x3") = d;
  register long x4 __asm__("x4") = e;
  __asm__ volatile("svc 0" : "+r"(x0) : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4) : "memory");
  return x0;
}
#else
#error "no system calls for this processor"
#endif

struct statx {
  u32 mask, blksize; u64 attributes; u32 nlink, uid, gid; u16 mode, spare; u64 ino, size, blocks, attributes_mask;
  u64 rest[26];
};
struct dirent { u64 ino; u64 off; u16 length; u8 type; char name[]; };
struct pollfd { int fd; short events, revents; };

static u8 mark[MARK_BYTES];
static u8 buffer[COPY_BYTES];
static char cwd[MAX_CWD_BYTES + 1];
static char path[MAX_PATH_BYTES + 1];

static u64 now_ms(void) {
  u64 time[2] = { 0, 0 };
  call(CLOCK_GETTIME, CLOCK_MONOTONIC, (long)time, 0, 0, 0);
  return time[0] * 1000 + time[1] / 1000000;
}

static u64 length(const char *text) { u64 n = 0; while (text[n]) n++; return n; }

static void copy(void *to, const void *from, u64 bytes) { u8 *t = to; const u8 *f = from; while (bytes--) *t++ = *f++; }

static void end(int code) { for (;;) call(EXIT_GROUP, code, 0, 0, 0, 0); }

/* The job may have made the pipe non-blocking: it is shared with it. */
static int send(int fd, const void *from, u64 bytes) {
  const u8 *at = from;
  while (bytes > 0) {
    long n = call(WRITE, fd, (long)at, bytes, 0, 0);
    if (n == -EAGAIN) {
      struct pollfd poll = { fd, POLLOUT, 0 };
      call(PPOLL, (long)&poll, 1, 0, 0, 8);
      continue;
    }
    if (n == -EINTR) continue;
    if (n <= 0) return 0;
    at += n;
    bytes -= n;
  }
  return 1;
}

static void must_send(const void *from, u64 bytes) { if (!send(1, from, bytes)) end(EXIT_NO_ORDERS); }

static void say(const char *text) { send(2, text, length(text)); }

static void fail(const char *why) { say("hearth: "); say(why); say("\n"); end(EXIT_NO_ORDERS); }

/* Exactly as many bytes as were promised. */
static void receive(void *to, u64 bytes) {
  u8 *at = to;
  while (bytes > 0) {
    long n = call(READ, 0, (long)at, bytes, 0, 0);
    if (n == -EINTR) continue;
    if (n <= 0) fail("no orders came");
    at += n;
    bytes -= n;
  }
}

static u32 receive_u32(void) { u32 value; receive(&value, 4); return value; }

static void take_secret(void) {
  static const char dir[] = "/run/secrets/";
  char name[sizeof dir + MAX_NAME_BYTES];
  u32 name_bytes = receive_u32();
  if (name_bytes == 0 || name_bytes >= MAX_NAME_BYTES) fail("a secret's name is too long");
  copy(name, dir, sizeof dir - 1);
  receive(name + sizeof dir - 1, name_bytes);
  name[sizeof dir - 1 + name_bytes] = 0;
  long fd = call(OPENAT, AT_FDCWD, (long)name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0400, 0);
  if (fd < 0) fail("a secret cannot be stored");
  for (u32 left = receive_u32(); left > 0;) {
    u32 part = left < COPY_BYTES ? left : COPY_BYTES;
    receive(buffer, part);
    if (!send(fd, buffer, part)) fail("a secret cannot be stored");
    left -= part;
  }
  call(CLOSE, fd, 0, 0, 0, 0);
}

static void take_orders(void) {
  char magic[4];
  receive(magic, 4);
  if (magic[0] != 'H' || magic[1] != 'R' || magic[2] != 'T' || magic[3] != '1') fail("the orders are not mine");
  receive(mark, MARK_BYTES);
  u32 cwd_bytes = receive_u32();
  if (cwd_bytes > MAX_CWD_BYTES) fail("the working directory's name is too long");
  receive(cwd, cwd_bytes);
  for (u32 secrets = receive_u32(); secrets > 0; secrets--) take_secret();
  for (u32 n = 0; n < COPY_BYTES; n++) buffer[n] = 0;
}

static void cannot_run(const char *name, long result) {
  say("hearth: cannot run ");
  say(name);
  say(result == -ENOENT || result == -ENOTDIR ? ": no such program\n" : result == -EACCES ? ": permission denied\n" : ": not a program for this machine\n");
  end(result == -ENOENT || result == -ENOTDIR ? EXIT_NOT_FOUND : EXIT_CANNOT_RUN);
}

/* As execvp does, except that a file without a header is not given to a shell. */
static void run(char **argv, char **envp) {
  const char *name = argv[0], *dirs = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
  u64 name_bytes = length(name);
  for (u64 n = 0; n < name_bytes; n++) if (name[n] == '/') cannot_run(name, call(EXECVE, (long)name, (long)argv, (long)envp, 0, 0));
  for (char **entry = envp; *entry; entry++) {
    char *text = *entry;
    if (text[0] == 'P' && text[1] == 'A' && text[2] == 'T' && text[3] == 'H' && text[4] == '=') dirs = text + 5;
  }
  long result = -ENOENT;
  while (name_bytes > 0) {
    u64 bytes = 0;
    while (dirs[bytes] && dirs[bytes] != ':') bytes++;
    if (bytes > 0 && bytes + 1 + name_bytes <= MAX_PATH_BYTES) {
      copy(path, dirs, bytes);
      path[bytes] = '/';
      copy(path + bytes + 1, name, name_bytes + 1);
      long tried = call(EXECVE, (long)path, (long)argv, (long)envp, 0, 0);
      if (tried != -ENOENT && tried != -ENOTDIR) result = tried;
    }
    if (!dirs[bytes]) break;
    dirs += bytes + 1;
  }
  cannot_run(name, result);
}

static void become_job(char **argv, char **envp) {
  for (int n = 0; n < MARK_BYTES; n++) ((volatile u8 *)mark)[n] = 0;
  /* Should the machine run short, the job goes before this process, which must still tell. Its file is ours only while dumpable. */
  call(PRCTL, PR_SET_DUMPABLE, 1, 0, 0, 0);
  long adj = call(OPENAT, AT_FDCWD, (long)"/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC, 0, 0);
  if (adj >= 0) call(WRITE, adj, (long)"1000", 4, 0, 0);
  long in = call(OPENAT, AT_FDCWD, (long)"/.hearth/run/stdin", O_RDONLY, 0, 0);
  if (in < 0) in = call(OPENAT, AT_FDCWD, (long)"/dev/null", O_RDONLY, 0, 0);
  if (in != 0) call(DUP3, in, 0, 0, 0, 0);
  /* Whatever a faulty runtime left open is none of the job's business. */
  call(CLOSE_RANGE, 3, ~0u, 0, 0, 0);
  call(SETSID, 0, 0, 0, 0, 0);
  if (call(CHDIR, (long)cwd, 0, 0, 0, 0) < 0) {
    say("hearth: there is no working directory ");
    say(cwd);
    say("\n");
    end(EXIT_CANNOT_RUN);
  }
  run(argv, envp);
}

static void send_frame(u8 kind, const char *name, u64 name_bytes, u64 value) {
  u8 head[11];
  head[0] = kind;
  head[1] = name_bytes & 255;
  head[2] = name_bytes >> 8;
  for (int n = 0; n < 8; n++) head[3 + n] = value >> (8 * n);
  must_send(head, sizeof head);
  must_send(name, name_bytes);
}

static void send_file(int dir, const char *name, const char *shown, u64 size) {
  long fd = call(OPENAT, dir, (long)name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK, 0, 0);
  if (fd == -EACCES) {
    call(FCHMODAT, dir, (long)name, 0600, 0, 0);
    fd = call(OPENAT, dir, (long)name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK, 0, 0);
  }
  if (fd < 0) { send_frame('X', shown, length(shown), -fd); return; }
  send_frame('F', shown, length(shown), size);
  while (size > 0) {
    long n = call(READ, fd, (long)buffer, size < COPY_BYTES ? size : COPY_BYTES, 0, 0);
    if (n == -EINTR) continue;
    if (n <= 0) end(EXIT_NO_ORDERS);
    must_send(buffer, n);
    size -= n;
  }
  call(CLOSE, fd, 0, 0, 0, 0);
}

/* `path` holds what is below /out so far, without a leading slash. */
static void send_tree(int dir, u64 path_bytes, int depth) {
  u8 entries[DENTS_BYTES] __attribute__((aligned(8)));
  long got;
  while ((got = call(GETDENTS64, dir, (long)entries, DENTS_BYTES, 0, 0)) > 0) {
    for (long at = 0; at < got;) {
      struct dirent *entry = (struct dirent *)(entries + at);
      at += entry->length;
      const char *name = entry->name;
      u64 bytes = length(name), start = path_bytes;
      if (name[0] == '.' && (bytes == 1 || (bytes == 2 && name[1] == '.'))) continue;
      if (path_bytes + 1 + bytes > MAX_PATH_BYTES) { send_frame('X', name, bytes, 0); continue; }
      if (path_bytes > 0) path[start++] = '/';
      copy(path + start, name, bytes + 1);
      struct statx stat;
      long failed = call(STATX, dir, (long)name, AT_SYMLINK_NOFOLLOW, STATX_BASIC_STATS, (long)&stat);
      u32 kind = failed < 0 ? 0 : stat.mode & S_IFMT;
      if (kind == S_IFREG && stat.nlink == 1) send_file(dir, name, path, stat.size);
      else if (kind == S_IFDIR && depth < MAX_DEPTH) {
        send_frame('D', path, length(path), 0);
        long below = call(OPENAT, dir, (long)name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC, 0, 0);
        if (below == -EACCES || below == -1) {
          call(FCHMODAT, dir, (long)name, 0700, 0, 0);
          below = call(OPENAT, dir, (long)name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC, 0, 0);
        }
        if (below < 0) send_frame('X', path, length(path), -below);
        else {
          send_tree(below, start + bytes, depth + 1);
          call(CLOSE, below, 0, 0, 0, 0);
        }
      } else send_frame('X', path, length(path), failed < 0 ? (u64)-failed : stat.mode);
    }
    path[path_bytes] = 0;
  }
  if (got < 0) send_frame('X', path, path_bytes, -got);
}

/* What the control groups tell, as they tell it: version 1, then version 2. */
static const char *const usage_files[] = {
  "/sys/fs/cgroup/cpuacct/cpuacct.usage", "/sys/fs/cgroup/cpu,cpuacct/cpuacct.usage",
  "/sys/fs/cgroup/memory/memory.max_usage_in_bytes", "/sys/fs/cgroup/memory/memory.oom_control",
  "/sys/fs/cgroup/cpu.stat", "/sys/fs/cgroup/memory.peak", "/sys/fs/cgroup/memory.events"
};

static void send_usage(void) {
  for (u64 n = 0; n < sizeof usage_files / sizeof usage_files[0]; n++) {
    long fd = call(OPENAT, AT_FDCWD, (long)usage_files[n], O_RDONLY | O_CLOEXEC, 0, 0);
    if (fd < 0) continue;
    long got = call(READ, fd, (long)buffer, USAGE_BYTES, 0, 0);
    call(CLOSE, fd, 0, 0, 0, 0);
    if (got < 0) continue;
    send_frame('U', usage_files[n], length(usage_files[n]), got);
    must_send(buffer, got);
  }
}

__attribute__((used)) void start(long *stack) {
  long argc = stack[0];
  char **argv = (char **)(stack + 1), **envp = argv + argc + 1;
  /* What follows ends every process it can see: outside a container that would be everybody's. */
  if (call(GETPID, 0, 0, 0, 0, 0) != 1) fail("this runs only as process 1 of a container");
  call(PRCTL, PR_SET_DUMPABLE, 0, 0, 0, 0);
  if (argc < 2) fail("no command");
  take_orders();
  u64 began_ms = now_ms();
  long job = call(CLONE, SIGCHLD, 0, 0, 0, 0);
  if (job < 0) fail("the job cannot be started");
  if (job == 0) become_job(argv + 1, envp);
  call(CLOSE, 0, 0, 0, 0, 0);
  u32 status = 0, other;
  for (long gone = 0; gone != job;) gone = call(WAIT4, -1, (long)&status, 0, 0, 0);
  u64 took_ms = now_ms() - began_ms;
  /* A fork under way fails with the signal pending, so one pass leaves nobody; more do no harm. */
  do call(KILL, -1, SIGKILL, 0, 0, 0); while (call(WAIT4, -1, (long)&other, 0, 0, 0) > 0);
  if (!send(2, mark, MARK_BYTES)) end(EXIT_NO_ORDERS);
  must_send(mark, MARK_BYTES);
  send_usage();
  long out = call(OPENAT, AT_FDCWD, (long)"/out", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC, 0, 0);
  if (out < 0) {
    call(FCHMODAT, AT_FDCWD, (long)"/out", 0700, 0, 0);
    out = call(OPENAT, AT_FDCWD, (long)"/out", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC, 0, 0);
  }
  path[0] = 0;
  if (out < 0) send_frame('X', "", 0, -out);
  else send_tree(out, 0, 0);
  send_frame('E', "", 0, status | took_ms << 32);
  end(0);
}
