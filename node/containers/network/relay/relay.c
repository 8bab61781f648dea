/*
 * The door of a container without a network: `relay COMMAND [ARGUMENT...]`.
 *
 * Listens on 127.0.0.1:3128, starts a process that pipes every connection to the unix socket /run/hearth/proxy.sock, and
 * becomes COMMAND: the job keeps its process id, standard streams, signals and exit code. It runs in any image, so it uses
 * no libc: only the system calls listed below. It trusts nobody and guards nothing: the proxy behind the socket does.
 *
 * The piping process is a grandchild in a session of its own. A child would never let a job end that waits for all its
 * children, and a member of the job's session would get the signals that the job sends to its group.
 */
typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32;
typedef unsigned long u64;

#ifndef SOCKET_PATH
#define SOCKET_PATH "/run/hearth/proxy.sock"
#endif
#ifndef LISTEN_PORT
#define LISTEN_PORT 3128
#endif

/* As many as the proxy takes (MAX_CONNECTIONS in ../limits.ts); more wait in the listener's queue, beyond which some are reset. */
#define MAX_PAIRS 128
#define BACKLOG 2048
/* Each way of each pair; touched only when used, so an idle relay holds few pages. */
#define BUFFER_BYTES 16384
/* Longest path that is tried for COMMAND; Linux allows no longer one. */
#define MAX_PATH_BYTES 4096

/* As a shell gives them for a command it cannot run, and 125 for a relay that could not start. */
#define EXIT_NO_RELAY 125
#define EXIT_CANNOT_RUN 126
#define EXIT_NOT_FOUND 127

#define EINTR 4
#define ENOENT 2
#define ENOEXEC 8
#define EAGAIN 11
#define EACCES 13
#define ENOTDIR 20
#define AF_UNIX 1
#define AF_INET 2
#define SOCK_STREAM 1
#define SOCK_NONBLOCK 04000
#define SOCK_CLOEXEC 02000000
#define SHUT_WR 1
#define SIGCHLD 17
#define SIG_BLOCK 0
#define POLLIN 1
#define POLLOUT 4

#if defined(__x86_64__)
enum { READ = 0, WRITE = 1, CLOSE = 3, RT_SIGPROCMASK = 14, SOCKET = 41, CONNECT = 42, SHUTDOWN = 48, BIND = 49, LISTEN = 50,
  CLONE = 56, EXECVE = 59, WAIT4 = 61, SETSID = 112, EXIT_GROUP = 231, PPOLL = 271, ACCEPT4 = 288 };

__asm__(".globl _start\n_start:\n xor %ebp, %ebp\n mov %rsp, %rdi\n and $-16, %rsp\n call start\n");

static long call(long number, long a, long b, long c, long d, long e) {
  long result;
  register long r10 __asm__("r10") = d;
  register long r8 __asm__("r8") = e;
  __asm__ volatile("syscall" : "=a"(result) : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8) : "rcx", "r11", "memory");
  return result;
}
#elif defined(__aarch64__)
enum { CLOSE = 57, READ = 63, WRITE = 64, PPOLL = 73, EXIT_GROUP = 94, RT_SIGPROCMASK = 135, SETSID = 157, SOCKET = 198, BIND = 200,
  LISTEN = 201, CONNECT = 203, SHUTDOWN = 210, CLONE = 220, EXECVE = 221, ACCEPT4 = 242, WAIT4 = 260 };

__asm__(".globl _start\n_start:\n mov x29, #0\n mov x30, #0\n mov x0, sp\n bl start\n");

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
#error "no system calls known for this processor"
#endif

#define CALL1(n, a) call(n, (long)(a), 0, 0, 0, 0)
#define CALL2(n, a, b) call(n, (long)(a), (long)(b), 0, 0, 0)
#define CALL3(n, a, b, c) call(n, (long)(a), (long)(b), (long)(c), 0, 0)
#define CALL4(n, a, b, c, d) call(n, (long)(a), (long)(b), (long)(c), (long)(d), 0)

struct sockaddr_in { u16 family; u16 port; u32 address; u8 zero[8]; };
struct sockaddr_un { u16 family; char path[108]; };
struct pollfd { int fd; short events; short revents; };

/* One way of a pair: what was read from one end and not yet written to the other. Deaf: the other end takes no more. */
struct way { u32 start, end; u8 is_ended, is_deaf, is_shut; };
/* fds[0] is the job's end, fds[1] the proxy's; ways[n] leads from fds[n] to fds[1 - n]. fds[0] is -1 for a free place. */
struct pair { int fds[2]; struct way ways[2]; };

static struct pair pairs[MAX_PAIRS];
static u8 buffers[MAX_PAIRS][2][BUFFER_BYTES];
static struct pollfd polled[1 + 2 * MAX_PAIRS];
static char path[MAX_PATH_BYTES];

/* gcc may call these by itself. */
void *memset(void *to, int value, u64 bytes) {
  volatile u8 *at = to;
  while (bytes--) *at++ = (u8)value;
  return to;
}

void *memcpy(void *to, const void *from, u64 bytes) {
  volatile u8 *at = to;
  const u8 *source = from;
  while (bytes--) *at++ = *source++;
  return to;
}

static u64 length(const char *text) {
  u64 n = 0;
  while (text[n]) n++;
  return n;
}

static void say(const char *text) {
  CALL3(WRITE, 2, text, length(text));
}

__attribute__((noreturn)) static void quit(int code) {
  for (;;) CALL1(EXIT_GROUP, code);
}

__attribute__((noreturn)) static void fail(const char *what) {
  say("hearth relay: ");
  say(what);
  say("\n");
  quit(EXIT_NO_RELAY);
}

static void close_pair(struct pair *pair) {
  CALL1(CLOSE, pair->fds[0]);
  CALL1(CLOSE, pair->fds[1]);
  pair->fds[0] = -1;
}

static struct pair *free_pair(void) {
  for (int n = 0; n < MAX_PAIRS; n++) if (pairs[n].fds[0] < 0) return &pairs[n];
  return 0;
}

static void take(int listener) {
  struct pair *pair = free_pair();
  if (!pair) return;
  long job = CALL4(ACCEPT4, listener, 0, 0, SOCK_NONBLOCK | SOCK_CLOEXEC);
  if (job < 0) return;
  long proxy = CALL3(SOCKET, AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  struct sockaddr_un address = { AF_UNIX, SOCKET_PATH };
  if (proxy < 0 || CALL3(CONNECT, proxy, &address, sizeof address) < 0) {
    if (proxy >= 0) CALL1(CLOSE, proxy);
    CALL1(CLOSE, job);
    return;
  }
  memset(pair, 0, sizeof *pair);
  pair->fds[0] = (int)job;
  pair->fds[1] = (int)proxy;
}

static int is_later(long result) {
  return result == -EAGAIN || result == -EINTR;
}

/*
 * Moves what can be moved one way. An end that breaks ends only that way: a proxy that refuses has answered and closed before
 * it read all, and a connection that was closed here with something unread would take that answer from the job.
 */
static void move(struct pair *pair, int n, u8 *buffer, int can_read, int can_write) {
  struct way *way = &pair->ways[n];
  if (can_read && !way->is_ended && way->start == way->end) {
    long got = CALL3(READ, pair->fds[n], buffer, BUFFER_BYTES);
    if (got == 0 || (got < 0 && !is_later(got))) way->is_ended = 1;
    if (got > 0) { way->start = 0; way->end = way->is_deaf ? 0 : (u32)got; can_write = 1; }
  }
  if (can_write && way->start < way->end) {
    long put = CALL3(WRITE, pair->fds[1 - n], buffer + way->start, way->end - way->start);
    if (put > 0) way->start += (u32)put;
    if (put < 0 && !is_later(put)) { way->is_deaf = 1; way->start = way->end; }
  }
  if (way->is_ended && !way->is_shut && way->start == way->end) {
    CALL2(SHUTDOWN, pair->fds[1 - n], SHUT_WR);
    way->is_shut = 1;
  }
}

/* An end of which nothing is wanted is left out: a hang-up on it would wake the poll for ever. */
static void want(struct pollfd *entry, int fd, const struct way *from, const struct way *to) {
  entry->events = 0;
  entry->revents = 0;
  if (!from->is_ended && from->start == from->end) entry->events |= POLLIN;
  if (to->start < to->end) entry->events |= POLLOUT;
  entry->fd = entry->events ? fd : -1;
}

__attribute__((noreturn)) static void serve(int listener) {
  for (int n = 0; n < MAX_PAIRS; n++) pairs[n].fds[0] = -1;
  for (;;) {
    polled[0].fd = free_pair() ? listener : -1;
    polled[0].events = POLLIN;
    polled[0].revents = 0;
    for (int n = 0; n < MAX_PAIRS; n++) {
      struct pair *pair = &pairs[n];
      struct pollfd *ends = &polled[1 + 2 * n];
      if (pair->fds[0] < 0) { ends[0].fd = ends[1].fd = -1; continue; }
      want(&ends[0], pair->fds[0], &pair->ways[0], &pair->ways[1]);
      want(&ends[1], pair->fds[1], &pair->ways[1], &pair->ways[0]);
    }
    if (CALL4(PPOLL, polled, 1 + 2 * MAX_PAIRS, 0, 0) < 0) continue;
    for (int n = 0; n < MAX_PAIRS; n++) {
      struct pair *pair = &pairs[n];
      struct pollfd *ends = &polled[1 + 2 * n];
      if (pair->fds[0] < 0) continue;
      /* a hang-up or an error shows in what read or write then answers */
      int reads[2] = { ends[0].fd >= 0 && (ends[0].revents & ~POLLOUT), ends[1].fd >= 0 && (ends[1].revents & ~POLLOUT) };
      int writes[2] = { ends[1].fd >= 0 && (ends[1].revents & ~POLLIN), ends[0].fd >= 0 && (ends[0].revents & ~POLLIN) };
      move(pair, 0, buffers[n][0], reads[0], writes[0]);
      move(pair, 1, buffers[n][1], reads[1], writes[1]);
      if (pair->ways[0].is_shut && pair->ways[1].is_shut) close_pair(pair);
    }
    if (polled[0].revents) take(listener);
  }
}

static int open_listener(void) {
  long listener = CALL3(SOCKET, AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (listener < 0) fail("no socket");
  struct sockaddr_in address = { AF_INET, (u16)((LISTEN_PORT & 0xff) << 8 | LISTEN_PORT >> 8), 0x0100007f, { 0 } };
  if (CALL3(BIND, listener, &address, sizeof address) < 0) fail("port in use");
  if (CALL2(LISTEN, listener, BACKLOG) < 0) fail("cannot listen");
  return (int)listener;
}

/* Both processors give `clone` without a stack the meaning of fork. */
static void start_relay(int listener) {
  long child = CALL2(CLONE, SIGCHLD, 0);
  if (child < 0) fail("no process left (pids limit)");
  if (child == 0) {
    CALL1(SETSID, 0);
    long relay = CALL2(CLONE, SIGCHLD, 0);
    if (relay != 0) quit(relay < 0);
    u64 all = ~0UL;
    CALL4(RT_SIGPROCMASK, SIG_BLOCK, &all, 0, sizeof all);
    /* the job's streams must end when the job ends */
    for (int fd = 0; fd < 3; fd++) CALL1(CLOSE, fd);
    serve(listener);
  }
  int status = 0;
  while (CALL4(WAIT4, child, &status, 0, 0) == -EINTR);
  if (status) fail("no process left (pids limit)");
  CALL1(CLOSE, listener);
}

static const char *path_of(char **env) {
  for (; *env; env++) {
    const char *at = *env;
    if (at[0] == 'P' && at[1] == 'A' && at[2] == 'T' && at[3] == 'H' && at[4] == '=') return at + 5;
  }
  return "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
}

/* A script without `#!` goes to the shell, as execvp does. `argv` has a place before its first word. */
static long run(char *file, char **argv, char **env) {
  long error = CALL3(EXECVE, file, argv, env);
  if (error != -ENOEXEC) return error;
  char *old[2] = { argv[-1], argv[0] };
  argv[-1] = "/bin/sh";
  argv[0] = file;
  error = CALL3(EXECVE, "/bin/sh", argv - 1, env);
  argv[-1] = old[0];
  argv[0] = old[1];
  return error;
}

static long run_from_path(char **argv, char **env) {
  u64 name = length(argv[0]);
  long error = -ENOENT;
  for (const char *at = path_of(env);; at++) {
    u64 dir = 0;
    while (at[dir] && at[dir] != ':') dir++;
    if (dir + name + 2 <= sizeof path) {
      memcpy(path, at, dir);
      u64 end = dir;
      if (end) path[end++] = '/';
      memcpy(path + end, argv[0], name + 1);
      long result = run(path, argv, env);
      if (result == -EACCES) error = result;
      else if (result != -ENOENT && result != -ENOTDIR) return result;
    }
    at += dir;
    if (!*at) return error;
  }
}

__attribute__((noreturn, used)) void start(u64 *stack) {
  long argc = (long)stack[0];
  char **argv = (char **)(stack + 1);
  char **env = argv + argc + 1;
  if (argc < 2) fail("no command");
  start_relay(open_listener());
  argv++;
  int has_slash = 0;
  for (const char *at = argv[0]; *at; at++) has_slash |= *at == '/';
  long error = argv[0][0] == 0 ? -ENOENT : has_slash ? run(argv[0], argv, env) : run_from_path(argv, env);
  say("hearth relay: cannot run ");
  say(argv[0]);
  say(error == -ENOENT || error == -ENOTDIR ? ": not found\n" : error == -EACCES ? ": not permitted\n" : error == -ENOEXEC ? ": not a program of this processor\n" : ": the system refuses\n");
  quit(error == -ENOENT || error == -ENOTDIR ? EXIT_NOT_FOUND : EXIT_CANNOT_RUN);
}
