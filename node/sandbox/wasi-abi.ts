/** Numbers of WASI preview 1 (`wasi_snapshot_preview1.witx`), as programs compiled against wasi-libc know them. */

export const ERRNO = {
  success: 0, again: 6, badf: 8, busy: 10, exist: 20, fault: 21, fbig: 22, ilseq: 25, inval: 28, io: 29, isdir: 31, mfile: 33,
  nametoolong: 37, noent: 44, nospc: 51, notdir: 54, notempty: 55, notsup: 58, overflow: 61, perm: 63, rofs: 69, spipe: 70
} as const

export type Errno = (typeof ERRNO)[keyof typeof ERRNO]

export const FILETYPE = { unknown: 0, characterDevice: 2, directory: 3, regularFile: 4 } as const

export const OPEN_FLAG = { create: 1, directory: 2, exclusive: 4, truncate: 8 } as const

export const FD_FLAG = { append: 1, all: 31 } as const

export const WHENCE = { set: 0, current: 1, end: 2 } as const

export const TIME_FLAG = { accessed: 1, accessedNow: 2, modified: 4, modifiedNow: 8 } as const

export const CLOCK = { realtime: 0, monotonic: 1, processCpu: 2, threadCpu: 3 } as const

export const SUBSCRIPTION = { clock: 0, read: 1, write: 2 } as const
/** The flag of a clock subscription whose time is absolute. */
export const SUBSCRIPTION_ABSOLUTE_TIME = 1

/** Only these rights change what a descriptor may do here; the others are stored and reported. */
export const RIGHT = { read: 1n << 1n, seek: 1n << 2n, tell: 1n << 5n, write: 1n << 6n } as const
export const RIGHTS_ALL = (1n << 29n) - 1n

/** Bytes of the structures that cross the boundary. */
export const SIZE = { iovec: 8, dirent: 24, subscription: 48, event: 32, filestat: 64, fdstat: 24, prestat: 8 } as const

/** The only module a job may import from. */
export const WASI_MODULE = 'wasi_snapshot_preview1'

/**
 * Every function a job may import, with its type: `i` is i32, `I` is i64, results after the colon.
 * The module check compares types, because a JavaScript host function would accept any.
 */
export const WASI_SIGNATURES: ReadonlyMap<string, string> = new Map(Object.entries({
  args_get: 'ii:i', args_sizes_get: 'ii:i', environ_get: 'ii:i', environ_sizes_get: 'ii:i',
  clock_res_get: 'ii:i', clock_time_get: 'iIi:i',
  fd_advise: 'iIIi:i', fd_allocate: 'iII:i', fd_close: 'i:i', fd_datasync: 'i:i', fd_fdstat_get: 'ii:i',
  fd_fdstat_set_flags: 'ii:i', fd_fdstat_set_rights: 'iII:i', fd_filestat_get: 'ii:i', fd_filestat_set_size: 'iI:i',
  fd_filestat_set_times: 'iIIi:i', fd_pread: 'iiiIi:i', fd_prestat_get: 'ii:i', fd_prestat_dir_name: 'iii:i',
  fd_pwrite: 'iiiIi:i', fd_read: 'iiii:i', fd_readdir: 'iiiIi:i', fd_renumber: 'ii:i', fd_seek: 'iIii:i',
  fd_sync: 'i:i', fd_tell: 'ii:i', fd_write: 'iiii:i',
  path_create_directory: 'iii:i', path_filestat_get: 'iiiii:i', path_filestat_set_times: 'iiiiIIi:i', path_link: 'iiiiiii:i',
  path_open: 'iiiiiIIii:i', path_readlink: 'iiiiii:i', path_remove_directory: 'iii:i', path_rename: 'iiiiii:i',
  path_symlink: 'iiiii:i', path_unlink_file: 'iii:i',
  poll_oneoff: 'iiii:i', proc_exit: 'i:', proc_raise: 'i:i', random_get: 'ii:i', sched_yield: ':i',
  sock_accept: 'iii:i', sock_recv: 'iiiiii:i', sock_send: 'iiiii:i', sock_shutdown: 'ii:i'
}))
