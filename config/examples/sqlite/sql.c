/* Runs SQL over CSV files. usage: sql QUERY.sql TABLE.csv... ; writes /out/result.csv.
 * Each CSV becomes a table named after its file, its first line the columns. The last statement that returns rows is the
 * result. Everything is in memory: the file layer below, which SQLite demands, opens nothing. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include "sqlite3.h"

enum { FIELD_MAX_BYTES = 1 << 20, COLUMNS_MAX = 256, QUERY_MAX_BYTES = 1 << 20, NAME_MAX_BYTES = 63, DIGITS_MAX = 15 };

static _Noreturn void fail(int code, const char *what, const char *detail) {
  fprintf(stderr, "sql: %s: %s\n", what, detail);
  exit(code);
}

/* --- the file layer ------------------------------------------------------------------------------------------------ */

static int no_open(sqlite3_vfs *v, const char *name, sqlite3_file *f, int flags, int *out) { (void)v; (void)name; (void)flags; (void)out; f->pMethods = 0; return SQLITE_CANTOPEN; }
static int no_delete(sqlite3_vfs *v, const char *name, int sync) { (void)v; (void)name; (void)sync; return SQLITE_IOERR_DELETE_NOENT; }
static int no_access(sqlite3_vfs *v, const char *name, int flags, int *out) { (void)v; (void)name; (void)flags; *out = 0; return SQLITE_OK; }
static int same_name(sqlite3_vfs *v, const char *name, int size, char *out) { (void)v; sqlite3_snprintf(size, out, "%s", name); return SQLITE_OK; }
static int randomness(sqlite3_vfs *v, int size, char *out) { (void)v; return size <= 256 && getentropy(out, (size_t)size) == 0 ? size : 0; }
static int no_sleep(sqlite3_vfs *v, int us) { (void)v; return us; }
static int no_error(sqlite3_vfs *v, int size, char *out) { (void)v; (void)size; (void)out; return 0; }
/* milliseconds since noon of Julian day 0 */
static int julian_ms(sqlite3_vfs *v, sqlite3_int64 *out) { (void)v; *out = 210866760000000LL + (sqlite3_int64)time(0) * 1000; return SQLITE_OK; }
static int julian_days(sqlite3_vfs *v, double *out) { sqlite3_int64 ms; julian_ms(v, &ms); *out = (double)ms / 86400000.0; return SQLITE_OK; }

int sqlite3_os_init(void) {
  static sqlite3_vfs vfs = {
    .iVersion = 2, .szOsFile = sizeof(sqlite3_file), .mxPathname = 255, .zName = "nothing", .xOpen = no_open, .xDelete = no_delete,
    .xAccess = no_access, .xFullPathname = same_name, .xRandomness = randomness, .xSleep = no_sleep, .xCurrentTime = julian_days,
    .xGetLastError = no_error, .xCurrentTimeInt64 = julian_ms};
  return sqlite3_vfs_register(&vfs, 1);
}
int sqlite3_os_end(void) { return SQLITE_OK; }

/* --- CSV (RFC 4180) -------------------------------------------------------------------------------------------------- */

typedef struct { FILE *file; const char *path; char *field; size_t size; } csv_t;
typedef enum { FIELD, LAST_FIELD, NOTHING } read_t;

static void put(csv_t *c, int byte) {
  if (c->size == FIELD_MAX_BYTES) fail(2, c->path, "a field is longer than 1 MiB");
  c->field[c->size++] = (char)byte;
}

/* Reads one field into c->field; tells whether more follow on its line. */
static read_t read_field(csv_t *c) {
  int byte = getc(c->file), quoted = byte == '"';
  c->size = 0;
  if (byte == EOF) return NOTHING;
  if (quoted) byte = getc(c->file);
  for (;; byte = getc(c->file)) {
    if (quoted && byte == '"') {
      byte = getc(c->file);
      if (byte != '"') quoted = 0;
    } else if (quoted && byte == EOF) fail(2, c->path, "the file ends inside quotes");
    if (!quoted && byte == '\r') continue;
    if (!quoted && (byte == ',' || byte == '\n' || byte == EOF)) break;
    put(c, byte);
  }
  c->field[c->size] = 0;
  return byte == ',' ? FIELD : LAST_FIELD;
}

/* 1: a whole number, 2: a decimal, 0: text, such as 007, which must not lose its noughts. */
static int number_kind(const char *s) {
  const char *p = s + (*s == '-');
  int digits = 0, kind = 1;
  if (*p == '0' && p[1] >= '0' && p[1] <= '9') return 0;
  for (; *p; p++) {
    if (*p >= '0' && *p <= '9') digits++;
    else if (*p == '.' && kind == 1 && digits) kind = 2;
    else return 0;
  }
  return digits > 0 && digits <= DIGITS_MAX && p[-1] != '.' ? kind : 0;
}

static void check(sqlite3 *db, int code, const char *what) {
  if (code != SQLITE_OK && code != SQLITE_DONE && code != SQLITE_ROW) fail(2, what, sqlite3_errmsg(db));
}

static void bind_field(sqlite3_stmt *insert, int column, const csv_t *c) {
  int kind = number_kind(c->field);
  if (c->size == 0) sqlite3_bind_null(insert, column);
  else if (kind == 1) sqlite3_bind_int64(insert, column, atoll(c->field));
  else if (kind == 2) sqlite3_bind_double(insert, column, strtod(c->field, 0));
  else sqlite3_bind_text(insert, column, c->field, (int)c->size, SQLITE_TRANSIENT);
}

static void table_name(const char *path, char *out) {
  const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
  size_t n = strcspn(name, ".");
  if (n == 0 || n > NAME_MAX_BYTES) fail(2, path, "no table name in this file name");
  memcpy(out, name, n); out[n] = 0;
}

/* Returns the table's rows. */
static long load(sqlite3 *db, const char *path) {
  char name[NAME_MAX_BYTES + 1];
  csv_t c = {fopen(path, "rb"), path, malloc(FIELD_MAX_BYTES + 1), 0};
  if (!c.file) fail(2, path, "cannot be opened");
  if (!c.field) fail(3, path, "out of memory");
  table_name(path, name);
  sqlite3_str *create = sqlite3_str_new(db), *insert = sqlite3_str_new(db);
  sqlite3_str_appendf(create, "CREATE TABLE \"%w\"(", name);
  sqlite3_str_appendf(insert, "INSERT INTO \"%w\" VALUES(", name);
  int columns = 0;
  for (read_t r = FIELD; r == FIELD;) {
    r = read_field(&c);
    if (r == NOTHING) fail(2, path, "the file has no line of column names");
    if (++columns > COLUMNS_MAX) fail(2, path, "more than 256 columns");
    sqlite3_str_appendf(create, "%s\"%w\"", columns > 1 ? "," : "", c.field);
    sqlite3_str_appendf(insert, "%s?", columns > 1 ? "," : "");
  }
  sqlite3_str_appendall(create, ")"); sqlite3_str_appendall(insert, ")");
  char *create_sql = sqlite3_str_finish(create), *insert_sql = sqlite3_str_finish(insert);
  sqlite3_stmt *statement;
  check(db, sqlite3_exec(db, create_sql, 0, 0, 0), path);
  check(db, sqlite3_prepare_v2(db, insert_sql, -1, &statement, 0), path);
  check(db, sqlite3_exec(db, "BEGIN", 0, 0, 0), path);
  long rows = 0;
  for (;; rows++) {
    read_t r = FIELD; int column = 0;
    while (r == FIELD && column < columns) {
      r = read_field(&c);
      if (r == NOTHING) break;
      bind_field(statement, ++column, &c);
    }
    if (r == NOTHING && column == 0) break;
    if (column != columns || r != LAST_FIELD) {
      char message[96];
      snprintf(message, sizeof message, "record %ld has another number of fields than line 1", rows + 2);
      fail(2, path, message);
    }
    check(db, sqlite3_step(statement), path);
    sqlite3_reset(statement); sqlite3_clear_bindings(statement);
  }
  check(db, sqlite3_exec(db, "COMMIT", 0, 0, 0), path);
  sqlite3_finalize(statement); sqlite3_free(create_sql); sqlite3_free(insert_sql);
  free(c.field); fclose(c.file);
  return rows;
}

/* --- the result ------------------------------------------------------------------------------------------------------ */

static void write_field(FILE *out, const char *text) {
  if (!text) return;
  if (!strpbrk(text, ",\"\r\n")) { fputs(text, out); return; }
  putc('"', out);
  for (; *text; text++) { if (*text == '"') putc('"', out); putc(*text, out); }
  putc('"', out);
}

static long write_result(sqlite3 *db, sqlite3_stmt *statement) {
  FILE *out = fopen("/out/result.csv", "wb");
  if (!out) fail(3, "/out/result.csv", "cannot be written");
  int columns = sqlite3_column_count(statement), code;
  long rows = 0;
  for (int i = 0; i < columns; i++) { if (i) putc(',', out); write_field(out, sqlite3_column_name(statement, i)); }
  putc('\n', out);
  for (; (code = sqlite3_step(statement)) == SQLITE_ROW; rows++) {
    for (int i = 0; i < columns; i++) { if (i) putc(',', out); write_field(out, (const char *)sqlite3_column_text(statement, i)); }
    putc('\n', out);
  }
  check(db, code, "query");
  if (fclose(out)) fail(3, "/out/result.csv", "could not be written in full");
  return rows;
}

static char *read_query(const char *path) {
  FILE *file = fopen(path, "rb");
  char *text = malloc(QUERY_MAX_BYTES + 1);
  if (!file) fail(2, path, "cannot be opened");
  if (!text) fail(3, path, "out of memory");
  size_t size = fread(text, 1, QUERY_MAX_BYTES + 1, file);
  if (size > QUERY_MAX_BYTES) fail(2, path, "longer than 1 MiB");
  text[size] = 0;
  fclose(file);
  return text;
}

int main(int argc, char **argv) {
  if (argc < 2) { fprintf(stderr, "usage: sql QUERY.sql TABLE.csv...\n"); return 2; }
  sqlite3 *db;
  if (sqlite3_open(":memory:", &db) != SQLITE_OK) fail(3, "sqlite", db ? sqlite3_errmsg(db) : "out of memory");
  for (int i = 2; i < argc; i++) printf("%s: %ld rows\n", argv[i], load(db, argv[i]));
  fflush(stdout);
  char *query = read_query(argv[1]);
  long rows = -1;
  for (const char *rest = query; *rest;) {
    sqlite3_stmt *statement;
    check(db, sqlite3_prepare_v2(db, rest, -1, &statement, &rest), "query");
    if (!statement) continue;
    if (sqlite3_column_count(statement)) rows = write_result(db, statement);
    else check(db, sqlite3_step(statement), "query");
    sqlite3_finalize(statement);
  }
  free(query);
  sqlite3_close(db);
  if (rows < 0) fail(2, argv[1], "no statement returned rows");
  printf("result: %ld rows (SQLite %s)\n", rows, sqlite3_libversion());
  return 0;
}
