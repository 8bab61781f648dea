/** Our WASI preview 1: what a program may expect, and what it gets when it lies about pointers, lengths, paths and numbers. */
import { createHash } from 'node:crypto'
import { readdirSync, truncateSync, unlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { HostFault } from '../../node/sandbox/host-fault.ts'
import { LOG_CUT_MARK, LOG_FRAME_BYTES, MAX_OPEN_FILES, SPILL_FILE_BYTES, SPILL_TOTAL_BYTES } from '../../node/sandbox/limits.ts'
import { LogStream } from '../../node/sandbox/log-stream.ts'
import { InputBody, ScratchBody, ScratchStore } from '../../node/sandbox/file-body.ts'
import { isOutName } from '../../node/sandbox/out-name.ts'
import { WASI_SIGNATURES } from '../../node/sandbox/wasi-abi.ts'
import { ProgramExit } from '../../node/sandbox/wasi.ts'
import { ERRNO, FD, Guest, READ_WRITE, withGuest } from '../fixtures/wasm/guest.ts'
import { seededRandom } from '../helpers/seeded.ts'

test('there is a call for each function that a module may import, and no other', () => {
  withGuest({}, ({ wasi }) => {
    assert.equal(Object.keys(wasi.calls).sort(), [...WASI_SIGNATURES.keys()].sort())
    for (const [name, call] of Object.entries(wasi.calls)) assert.ok(call.length <= WASI_SIGNATURES.get(name)!.split(':')[0]!.length, name)
  })
})

test('arguments and environment are laid out as libc reads them, the environment sorted', () => {
  withGuest({ args: ['p', 'grüße'], env: { Z: '1', A: 'x=y' } }, (guest) => {
    assert.is(guest.call('args_sizes_get', 0, 4), 0)
    assert.equal([guest.bytes.readUInt32LE(0), guest.bytes.readUInt32LE(4)], [2, 10])
    assert.is(guest.call('args_get', 16, 64), 0)
    assert.equal([guest.bytes.readUInt32LE(16), guest.bytes.readUInt32LE(20)], [64, 66])
    assert.is(guest.bytes.toString('utf8', 64, 74), 'p\0grüße\0')
    assert.is(guest.call('environ_get', 16, 64), 0)
    assert.is(guest.bytes.toString('utf8', 64, 74), 'A=x=y\0Z=1\0')
    assert.is(guest.call('args_get', guest.sizeBytes - 4, 64), ERRNO.fault)
    assert.is(guest.call('args_get', 16, guest.sizeBytes - 9), ERRNO.fault)
    assert.is(guest.call('args_sizes_get', -4, 4), ERRNO.fault)
  })
})

test('/out, /in, /tmp and . are open from the start, and . is /out', () => {
  withGuest({}, (guest) => {
    const names = [3, 4, 5, 6].map((fd) => {
      assert.is(guest.call('fd_prestat_get', fd, 0), 0)
      const length = guest.bytes.readUInt32LE(4)
      assert.is(guest.call('fd_prestat_dir_name', fd, 64, length - 1), ERRNO.nametoolong)
      assert.is(guest.call('fd_prestat_dir_name', fd, 64, length), 0)
      return guest.bytes.toString('utf8', 64, 64 + length)
    })
    assert.equal(names, ['/out', '/in', '/tmp', '.'])
    assert.is(guest.call('fd_prestat_get', 7, 0), ERRNO.badf)
    assert.is(guest.call('fd_prestat_get', 1, 0), ERRNO.badf)
    guest.make(FD.dot, 'a')
    assert.equal(guest.list(FD.out), ['.', '..', 'a'])
  })
})

test('what is written is read back: position, seek, append, vectors, pread and pwrite', () => {
  withGuest({}, (guest) => {
    const fd = guest.open(FD.out, 'f', 1)
    assert.is(guest.write(fd, 'hello world'), 11)
    assert.is(guest.write(fd, 'W', 6), 1)
    assert.is(guest.read(fd, 5, 6), 'World')
    assert.is(guest.read(fd, 5), '')
    assert.is(guest.call('fd_seek', fd, -5n, 2, 0), 0)
    assert.is(guest.bytes.readBigUInt64LE(0), 6n)
    assert.is(guest.read(fd, 100), 'World')
    assert.is(guest.call('fd_seek', fd, -12n, 1, 0), ERRNO.inval)
    assert.is(guest.call('fd_seek', fd, 0n, 7, 0), ERRNO.inval)
    assert.is(guest.call('fd_seek', fd, 2n ** 63n - 1n, 0, 0), ERRNO.inval)
    const append = guest.open(FD.out, 'f', 0, READ_WRITE, 1)
    assert.is(guest.write(append, '!'), 1)
    guest.put('abcdef', 0x100)
    assert.is(guest.call('fd_write', append, ...guest.vector([0x100, 2], [0x104, 0], [0x104, 2]), 0x7ff8), 0)
    assert.is(guest.read(fd, 100, 0), 'hello World!abef')
    assert.is(guest.call('fd_tell', append, 0), 0)
    assert.is(guest.bytes.readBigUInt64LE(0), 16n)
  })
})

test('rights decide who may read and write, and can only be given up', () => {
  withGuest({}, (guest) => {
    guest.make(FD.out, 'f', 'text')
    const reader = guest.open(FD.out, 'f', 0, 2n)
    assert.is(guest.write(reader, 'x'), -ERRNO.badf)
    assert.is(guest.call('fd_filestat_set_size', reader, 0n), ERRNO.badf)
    const writer = guest.open(FD.out, 'f', 0, 64n)
    assert.is(guest.read(writer, 4), -ERRNO.badf)
    assert.is(guest.call('fd_fdstat_set_rights', writer, -1n, -1n), 0)
    assert.is(guest.read(writer, 4), -ERRNO.badf)
    assert.is(guest.call('fd_fdstat_set_rights', reader, 0n, 0n), 0)
    assert.is(guest.read(reader, 4), -ERRNO.badf)
    assert.is(guest.read(FD.stdout, 1), -ERRNO.badf)
    assert.is(guest.write(FD.stdin, 'x'), -ERRNO.badf)
    assert.is(guest.write(FD.out, 'x'), -ERRNO.badf)
  })
})

test('vectors that reach outside, overlap or count to 2^31 are errors or harmless, never host memory', () => {
  withGuest({}, (guest) => {
    const fd = guest.open(FD.out, 'f', 1)
    const end = guest.sizeBytes
    assert.is(guest.call('fd_write', fd, ...guest.vector([0, 10], [end - 1, 2]), 0x7ff8), ERRNO.fault)
    assert.is(guest.call('fd_write', fd, ...guest.vector([0, -1 >>> 0]), 0x7ff8), ERRNO.fault)
    assert.is(guest.call('fd_write', fd, ...guest.vector([0xffffffff, 1]), 0x7ff8), ERRNO.fault)
    assert.is(guest.read(fd, 10, 0), '', 'nothing was written by a refused vector')
    for (const count of [1025, 2 ** 31, -1]) assert.is(guest.call('fd_write', fd, 0x7000, count | 0, 0x7ff8), ERRNO.inval)
    assert.is(guest.call('fd_write', fd, end - 8, 2, 0x7ff8), ERRNO.fault)
    assert.is(guest.call('fd_write', fd, -8, 1, 0x7ff8), ERRNO.fault)
    assert.is(guest.call('fd_write', fd, ...guest.vector([0, 10]), end - 3), ERRNO.fault)
    assert.is(guest.read(fd, 10, 0), '')
    // Reading over the vector itself and over the result: both were read before.
    assert.is(guest.write(fd, 'x'.repeat(32)), 32)
    assert.is(guest.call('fd_pread', fd, ...guest.vector([0x7000, 8], [0x7004, 8], [0x7ff8, 4]), 0n, 0x7ff8), 0)
    assert.is(guest.bytes.readUInt32LE(0x7ff8), 20)
    assert.is(guest.bytes.toString('latin1', 0x7000, 0x700c), 'x'.repeat(12))
    // The last bytes of memory are the program's to use.
    assert.is(guest.call('fd_pread', fd, ...guest.vector([end - 4, 4]), 0n, 0x7ff8), 0)
  })
})

test('a memory that has grown is used to its new end', () => {
  withGuest({}, (guest) => {
    const fd = guest.open(FD.out, 'f', 1)
    const old = guest.sizeBytes
    guest.memory.grow(1)
    guest.put('grown', old + 10)
    assert.is(guest.call('fd_write', fd, ...guest.vector([old + 10, 5]), 0x7ff8), 0)
    assert.is(guest.read(fd, 5, 0), 'grown')
  })
})

test('the quota holds to the byte: writes, holes, sizes and both directories together', () => {
  withGuest({ outBytes: 100 }, (guest) => {
    const fd = guest.open(FD.out, 'f', 1)
    assert.is(guest.write(fd, 'x'.repeat(90)), 90)
    assert.is(guest.write(fd, 'x'.repeat(11)), -ERRNO.nospc)
    assert.is(guest.write(fd, 'x', 1000), -ERRNO.nospc)
    assert.is(guest.write(fd, 'x', 2 ** 52), -ERRNO.nospc)
    assert.is(guest.call('fd_allocate', fd, 2n ** 63n, 2n ** 63n), ERRNO.fbig)
    assert.is(guest.call('fd_allocate', fd, 0n, 101n), ERRNO.nospc)
    assert.is(guest.call('fd_filestat_set_size', fd, 2n ** 40n), ERRNO.nospc)
    assert.is(guest.call('fd_filestat_set_size', fd, -1n), ERRNO.fbig)
    const other = guest.open(FD.tmp, 'g', 1)
    assert.is(guest.write(other, 'y'.repeat(11)), -ERRNO.nospc)
    assert.is(guest.write(other, 'y'.repeat(10)), 10)
    // A short write when some of a vector fits.
    assert.is(guest.call('fd_filestat_set_size', fd, 85n), 0)
    guest.call('fd_seek', fd, 0n, 2, 0)
    assert.is(guest.call('fd_write', fd, ...guest.vector([0, 5], [0, 1]), 0x7ff8), 0)
    assert.is(guest.bytes.readUInt32LE(0x7ff8), 5)
  })
})

test('space comes back when a removed file is closed, not before; replaced and cut files give theirs back at once', () => {
  withGuest({ outBytes: 100 }, (guest) => {
    const fd = guest.open(FD.out, 'f', 1)
    guest.write(fd, 'x'.repeat(100))
    assert.is(guest.path('path_unlink_file', FD.out, 'f'), 0)
    const next = guest.open(FD.out, 'g', 1)
    assert.is(guest.write(next, 'y'), -ERRNO.nospc)
    assert.is(guest.read(fd, 1, 99), 'x')
    guest.call('fd_close', fd)
    assert.is(guest.write(next, 'y'.repeat(100)), 100)
    guest.call('fd_close', next)
    guest.make(FD.tmp, 'empty')
    assert.is(guest.rename(FD.tmp, 'empty', FD.out, 'g'), 0)
    guest.make(FD.out, 'h', 'z'.repeat(100))
    const cut = guest.open(FD.out, 'h', 8)
    assert.is(guest.write(cut, 'z'.repeat(100)), 100)
  })
})

test('files and directories are counted, and removing them makes room', () => {
  withGuest({ outFiles: 3 }, (guest) => {
    guest.make(FD.out, 'a')
    assert.is(guest.path('path_create_directory', FD.tmp, 'd'), 0)
    guest.make(FD.tmp, 'd/b')
    assert.is(guest.open(FD.out, 'c', 1), -ERRNO.nospc)
    assert.is(guest.path('path_create_directory', FD.out, 'c'), ERRNO.nospc)
    assert.is(guest.path('path_unlink_file', FD.out, 'a'), 0)
    guest.make(FD.out, 'c')
    assert.is(guest.path('path_unlink_file', FD.tmp, 'd/b'), 0)
    assert.is(guest.path('path_remove_directory', FD.tmp, 'd'), 0)
    guest.make(FD.out, 'd')
  })
})

const BAD_PATHS: [what: string, path: string | Uint8Array, errno: number][] = [
  ['empty', '', ERRNO.noent], ['absolute', '/in/a', ERRNO.perm], ['above', '..', ERRNO.perm], ['above by a detour', 'd/../../x', ERRNO.perm],
  ['through a file', 'f/x', ERRNO.notdir], ['a file as a directory', 'f/', ERRNO.notdir], ['a file and a dot', 'f/.', ERRNO.notdir], ['above a file', 'f/..', ERRNO.notdir],
  ['a missing directory', 'no/x', ERRNO.noent], ['above a missing directory', 'no/..', ERRNO.noent], ['a NUL', 'f\0g', ERRNO.inval],
  ['no UTF-8', Uint8Array.of(0x66, 0xff), ERRNO.ilseq], ['half a surrogate pair', Uint8Array.of(0xed, 0xa0, 0x80), ERRNO.ilseq], ['an overlong slash', Uint8Array.of(0x2e, 0x2e, 0xc0, 0xaf), ERRNO.ilseq],
  ['a long name', 'x'.repeat(256), ERRNO.nametoolong], ['a long path', 'd/'.repeat(2049), ERRNO.nametoolong]
]
test('bad paths have their errors in every call that takes one', () => {
  withGuest({}, (guest) => {
    guest.make(FD.out, 'f')
    guest.path('path_create_directory', FD.out, 'd')
    for (const [what, path, errno] of BAD_PATHS) {
      assert.is(guest.open(FD.out, path), -errno, what)
      for (const name of ['path_unlink_file', 'path_remove_directory', 'path_create_directory']) assert.is(guest.path(name, FD.out, path), errno, `${what}: ${name}`)
      assert.is(guest.call('path_filestat_get', FD.out, 0, ...guest.put(path), 0), errno, what)
      assert.is(guest.call('path_rename', FD.out, ...guest.put(path), FD.out, ...guest.put('f', 0x100)), errno, what)
      assert.is(guest.call('path_rename', FD.out, ...guest.put('f', 0x100), FD.out, ...guest.put(path)), errno, what)
    }
    assert.is(guest.call('path_unlink_file', FD.out, guest.sizeBytes - 1, 2), ERRNO.fault)
    assert.is(guest.call('path_unlink_file', FD.out, 0, -1), ERRNO.fault)
    assert.is(guest.path('path_unlink_file', FD.stdin, 'f'), ERRNO.notdir)
    assert.is(guest.path('path_unlink_file', 99, 'f'), ERRNO.badf)
    assert.is(guest.path('path_unlink_file', FD.out, './d/.././/f'), 0)
  })
})

test('a descriptor of a directory is a wall: its parents cannot be reached through it', () => {
  withGuest({}, (guest) => {
    guest.path('path_create_directory', FD.out, 'a')
    guest.path('path_create_directory', FD.out, 'a/b')
    const fd = guest.open(FD.out, 'a/b', 2, 0n)
    assert.ok(fd > 0)
    assert.is(guest.open(fd, '../x', 1), -ERRNO.perm)
    assert.is(guest.open(fd, 'c/../../x', 1), -ERRNO.noent)
    assert.is(guest.rename(fd, '..', FD.out, 'z'), ERRNO.perm)
  })
})

const NAMES: [name: string, fine: boolean][] = [
  ['a', true], ['ä😀', true], ['.hidden', true], ['a b', true], ['a.b.c', true], ['consul', true], ['com', true], ['x'.repeat(255), true], ['é'.repeat(127), true],
  ['', false], ['.', false], ['..', false], ['-rf', false], ['a/b', false], ['a\\b', false], ['a:b', false], ['a\n', false], ['\u001b[2J', false], ['\u007f', false],
  ['a*', false], ['a?', false], ['a|b', false], ['"', false], ['<', false], ['end.', false], ['end ', false], ['CON', false], ['con.txt', false], ['Lpt1', false], ['aux.', false],
  ['x'.repeat(256), false], ['é'.repeat(128), false], ['\ud800', false]
]
test('names of outputs are those that every host can store', () => {
  for (const [name, fine] of NAMES) assert.is(isOutName(name), fine, JSON.stringify(name))
  withGuest({}, (guest) => {
    assert.is(guest.open(FD.out, '-rf', 1), -ERRNO.inval)
    assert.is(guest.path('path_create_directory', FD.tmp, 'a\nb'), ERRNO.inval)
    guest.make(FD.out, 'f')
    assert.is(guest.rename(FD.out, 'f', FD.out, 'a:b'), ERRNO.inval)
  })
})

test('renaming: replaces like with like, never a directory into itself, nothing of /in, no root', () => {
  withGuest({ inputs: [{ path: 'd/i', hostPath: '/nowhere', sizeBytes: 1 }] }, (guest) => {
    for (const path of ['d', 'd/e', 'full', 'empty']) guest.path('path_create_directory', FD.out, path)
    guest.make(FD.out, 'full/x')
    guest.make(FD.out, 'f', 'f')
    guest.make(FD.out, 'g', 'g')
    const rename = (from: string, to: string): number => guest.rename(FD.out, from, FD.out, to)
    assert.is(rename('d', 'd/e/f'), ERRNO.inval)
    assert.is(rename('d', 'd/x'), ERRNO.inval)
    assert.is(rename('d', 'd'), 0)
    assert.is(rename('d', 'full'), ERRNO.notempty)
    assert.is(rename('f', 'd'), ERRNO.isdir)
    assert.is(rename('d', 'f'), ERRNO.notdir)
    assert.is(rename('f', 'new/'), ERRNO.notdir)
    assert.is(rename('.', 'x'), ERRNO.busy)
    assert.is(rename('f', '.'), ERRNO.busy)
    assert.is(rename('d', 'empty'), 0)
    assert.is(guest.rename(FD.in, 'd/i', FD.out, 'i'), ERRNO.rofs)
    assert.is(guest.rename(FD.out, 'f', FD.in, 'd/i'), ERRNO.rofs)
    assert.is(guest.rename(FD.out, 'f', FD.in, 'new'), ERRNO.rofs)
    assert.is(rename('f', 'g'), 0)
    assert.equal(guest.list(FD.out), ['.', '..', 'empty', 'full', 'g'])
    assert.is(guest.read(guest.open(FD.out, 'g'), 9), 'f')
    assert.equal(guest.list(guest.open(FD.out, 'empty', 2)), ['.', '..', 'e'])
  })
})

test('no path below /out becomes deeper or longer than a host can store, by renaming either', () => {
  withGuest({ outFiles: 200 }, (guest) => {
    const deep = (count: number): string => Array.from({ length: count }, () => 'd').join('/')
    for (let n = 1; n <= 20; n++) assert.is(guest.path('path_create_directory', FD.out, deep(n)), 0)
    for (let n = 1; n <= 20; n++) assert.is(guest.path('path_create_directory', FD.tmp, deep(n)), 0)
    assert.is(guest.rename(FD.tmp, 'd', FD.out, `${deep(13)}/e`), ERRNO.nametoolong)
    assert.is(guest.rename(FD.tmp, 'd', FD.out, `${deep(12)}/e`), 0)
    const long = 'x'.repeat(250)
    const prefix = [long, long, long].join('/')
    for (let n = 1; n <= 3; n++) assert.is(guest.path('path_create_directory', FD.tmp, prefix.slice(0, n * 251 - 1)), 0)
    assert.is(guest.path('path_create_directory', FD.tmp, `${prefix}/${'y'.repeat(255)}`), 0)
    assert.is(guest.path('path_create_directory', FD.tmp, `${prefix}/${'y'.repeat(255)}/${long}`), ERRNO.nametoolong)
  })
})

test('a directory that was removed takes no more files', () => {
  withGuest({}, (guest) => {
    guest.path('path_create_directory', FD.out, 'd')
    const fd = guest.open(FD.out, 'd', 2)
    assert.is(guest.path('path_remove_directory', FD.out, 'd'), 0)
    assert.is(guest.open(fd, 'x', 1), -ERRNO.noent)
    assert.is(guest.path('path_create_directory', fd, 'x'), ERRNO.noent)
    guest.make(FD.out, 'f')
    assert.is(guest.rename(FD.out, 'f', fd, 'f'), ERRNO.noent)
    assert.equal(guest.list(fd), ['.', '..'])
  })
})

test('removing: roots stay, full directories stay, kinds are told apart', () => {
  withGuest({}, (guest) => {
    guest.path('path_create_directory', FD.out, 'd')
    guest.make(FD.out, 'd/f')
    assert.is(guest.path('path_remove_directory', FD.out, '.'), ERRNO.busy)
    assert.is(guest.path('path_remove_directory', FD.out, 'd'), ERRNO.notempty)
    assert.is(guest.path('path_remove_directory', FD.out, 'd/f'), ERRNO.notdir)
    assert.is(guest.path('path_unlink_file', FD.out, 'd'), ERRNO.isdir)
    assert.is(guest.path('path_remove_directory', FD.in, '.'), ERRNO.rofs)
  })
})

test('there are no links of either kind', () => {
  withGuest({}, (guest) => {
    guest.make(FD.out, 'f')
    assert.is(guest.call('path_symlink', ...guest.put('/etc/passwd'), FD.out, ...guest.put('l', 0x100)), ERRNO.notsup)
    assert.is(guest.call('path_link', FD.out, 0, ...guest.put('f'), FD.out, ...guest.put('l', 0x100)), ERRNO.notsup)
    assert.is(guest.path('path_readlink', FD.out, 'f'), ERRNO.inval)
    assert.is(guest.path('path_readlink', FD.out, 'l'), ERRNO.noent)
  })
})

test('directories list sorted by bytes, through any buffer, and unmoved by what happens meanwhile', () => {
  withGuest({ outFiles: 300 }, (guest) => {
    const names = ['b', 'a', 'ä', '￿x', '😀', 'Z', 'a.b']
    for (const name of names) guest.make(FD.out, name)
    // U+1F600 comes after U+FFFF in bytes, though not in UTF-16.
    const sorted = ['.', '..', 'Z', 'a', 'a.b', 'b', 'ä', '￿x', '😀']
    assert.equal(guest.list(FD.out), sorted)
    for (const size of [40, 41, 50, 77, 200]) assert.equal(guest.list(FD.out, size), sorted, `buffer of ${size}`)
    for (let n = 0; n < 100; n++) guest.make(FD.tmp, `f${String(n).padStart(3, '0')}`)
    // One entry a call, and one is removed after each, two before it is reached at first: the others must not move up.
    let removed = 0
    const seen = guest.list(FD.tmp, 50, () => { if (removed < 100) guest.path('path_unlink_file', FD.tmp, `f${String(removed++).padStart(3, '0')}`) })
    assert.is(seen.length, 100, 'all but the two that went before they were reached')
    assert.is(guest.call('fd_readdir', FD.out, 0x1000, 4096, 2n ** 63n, 0x7ff8), 0)
    assert.is(guest.bytes.readUInt32LE(0x7ff8), 0)
    assert.is(guest.call('fd_readdir', FD.out, 0x1000, -1, 0n, 0x7ff8), ERRNO.fault)
    assert.is(guest.call('fd_readdir', FD.stdout, 0x1000, 10, 0n, 0x7ff8), ERRNO.badf)
  })
})

test('descriptors: the lowest free number, a bound, renumbering, and none after close', () => {
  withGuest({}, (guest) => {
    guest.make(FD.out, 'f', 'content')
    const first = guest.open(FD.out, 'f')
    const second = guest.open(FD.out, 'f')
    assert.equal([first, second], [7, 8])
    assert.is(guest.call('fd_renumber', second, first), 0)
    assert.is(guest.call('fd_close', second), ERRNO.badf)
    assert.is(guest.read(first, 7), 'content')
    assert.is(guest.call('fd_renumber', 99, first), ERRNO.badf)
    assert.is(guest.call('fd_renumber', first, -1), ERRNO.badf)
    let count = 8
    while (guest.open(FD.out, 'f') >= 0) count++
    assert.is(count, MAX_OPEN_FILES)
    assert.is(guest.open(FD.out, 'f'), -ERRNO.mfile)
    assert.is(guest.call('fd_close', 100), 0)
    assert.is(guest.open(FD.out, 'f'), 100)
    assert.is(guest.call('fd_close', -1), ERRNO.badf)
  })
})

test('file information is the same on every host: numbers, types, sizes, virtual times', () => {
  withGuest({ baseTimeMs: 5000 }, (guest) => {
    guest.make(FD.out, 'f', '123')
    assert.is(guest.call('path_filestat_get', FD.out, 0, ...guest.put('f'), 0), 0)
    assert.equal([0, 8, 24, 32, 40, 48, 56].map((at) => guest.bytes.readBigUInt64LE(at)), [1n, 4n, 1n, 3n, 5_000_000_000n, 5_000_000_000n, 5_000_000_000n])
    assert.is(guest.bytes[16], 4)
    assert.is(guest.call('path_filestat_set_times', FD.out, 0, ...guest.put('f'), 7n, 8n, 5), 0)
    assert.is(guest.call('path_filestat_set_times', FD.out, 0, ...guest.put('f'), 7n, 8n, 3), ERRNO.inval)
    guest.call('path_filestat_get', FD.out, 0, ...guest.put('f'), 0)
    assert.equal([guest.bytes.readBigUInt64LE(40), guest.bytes.readBigUInt64LE(48)], [7n, 8n])
    assert.is(guest.call('fd_fdstat_get', FD.stdout, 0), 0)
    assert.is(guest.bytes[0], 2, 'libc takes the streams for a terminal and sends lines at once')
    assert.is(guest.bytes.readBigUInt64LE(8) & (4n | 32n), 0n)
    assert.is(guest.call('fd_filestat_get', FD.out, guest.sizeBytes - 63), ERRNO.fault)
  })
})

test('clocks start at the base time and advance by a millisecond a reading', () => {
  withGuest({ baseTimeMs: 1_000 }, (guest) => {
    const read = (id: number): bigint => { assert.is(guest.call('clock_time_get', id, 0n, 0), 0); return guest.bytes.readBigUInt64LE(0) }
    assert.equal([read(0), read(0), read(1), read(2)], [1_000_000_000n, 1_001_000_000n, 2_000_000n, 3_000_000n])
    assert.is(guest.call('clock_time_get', 4, 0n, 0), ERRNO.inval)
    assert.is(guest.call('clock_res_get', 0, 0), 0)
    assert.is(guest.bytes.readBigUInt64LE(0), 1_000_000n)
  })
})

interface Subscription { userdata: bigint, type: number, id: number, timeoutNs?: bigint, flags?: number }
function poll(guest: Guest, subscriptions: Subscription[], events = 0x4000, from = 0x2000): [errno: number, events: { userdata: bigint, error: number, type: number, bytes: bigint }[]] {
  for (const [n, { userdata, type, id, timeoutNs = 0n, flags = 0 }] of subscriptions.entries()) {
    const at = from + n * 48
    guest.bytes.fill(0, at, at + 48)
    guest.bytes.writeBigUInt64LE(userdata, at)
    guest.bytes.writeUInt8(type, at + 8)
    guest.bytes.writeUInt32LE(id, at + 16)
    guest.bytes.writeBigUInt64LE(timeoutNs, at + 24)
    guest.bytes.writeUInt16LE(flags, at + 40)
  }
  const errno = guest.call('poll_oneoff', from, events, subscriptions.length, 0x7ff8)
  const count = errno === 0 ? guest.bytes.readUInt32LE(0x7ff8) : 0
  return [errno, Array.from({ length: count }, (_, n) => {
    const at = events + n * 32
    return { userdata: guest.bytes.readBigUInt64LE(at), error: guest.bytes.readUInt16LE(at + 8), type: guest.bytes[at + 10]!, bytes: guest.bytes.readBigUInt64LE(at + 16) }
  })]
}
const HOUR_NS = 3_600_000_000_000n

test('waiting for an hour returns at once, an hour later on the virtual clock', () => {
  withGuest({}, (guest) => {
    const [, events] = poll(guest, [{ userdata: 7n, type: 0, id: 1, timeoutNs: HOUR_NS }, { userdata: 8n, type: 0, id: 1, timeoutNs: 2n * HOUR_NS }])
    assert.equal(events, [{ userdata: 7n, error: 0, type: 0, bytes: 0n }])
    guest.call('clock_time_get', 1, 0n, 0)
    assert.is(guest.bytes.readBigUInt64LE(0), HOUR_NS)
    const [, absolute] = poll(guest, [{ userdata: 9n, type: 0, id: 0, timeoutNs: 1_000_000_000n + 2n * HOUR_NS, flags: 1 }])
    assert.is(absolute.length, 1)
    guest.call('clock_time_get', 1, 0n, 0)
    assert.is(guest.bytes.readBigUInt64LE(0), 2n * HOUR_NS)
    poll(guest, [{ userdata: 1n, type: 0, id: 1, timeoutNs: 2n ** 64n - 1n }])
    guest.call('clock_time_get', 0, 0n, 0)
    assert.is(guest.bytes.readBigUInt64LE(0), 2n ** 63n - 1n, 'the clock stops at the end of time')
  })
})

test('a poll with something ready does not wait, and reports what cannot be polled', () => {
  withGuest({}, (guest) => {
    guest.make(FD.out, 'f', 'four')
    const fd = guest.open(FD.out, 'f')
    const [, events] = poll(guest, [{ userdata: 1n, type: 0, id: 1, timeoutNs: HOUR_NS }, { userdata: 2n, type: 1, id: fd }, { userdata: 3n, type: 2, id: 1 }, { userdata: 4n, type: 1, id: 99 }, { userdata: 5n, type: 0, id: 77 }])
    assert.equal(events, [
      { userdata: 2n, error: 0, type: 1, bytes: 4n }, { userdata: 3n, error: 0, type: 2, bytes: 0n }, { userdata: 4n, error: ERRNO.badf, type: 1, bytes: 0n }, { userdata: 5n, error: ERRNO.inval, type: 0, bytes: 0n }
    ])
    guest.call('clock_time_get', 1, 0n, 0)
    assert.is(guest.bytes.readBigUInt64LE(0), 0n)
    const [, overlapping] = poll(guest, [{ userdata: 1n, type: 1, id: fd }, { userdata: 2n, type: 2, id: 1 }, { userdata: 3n, type: 1, id: fd }], 0x2000, 0x2000)
    assert.equal(overlapping.map(({ userdata }) => userdata), [1n, 2n, 3n])
    assert.is(poll(guest, [])[0], ERRNO.inval)
    assert.is(poll(guest, [{ userdata: 0n, type: 3, id: 0 }])[0], ERRNO.inval)
    for (const count of [1025, -1]) assert.is(guest.call('poll_oneoff', 0, 0, count, 0), ERRNO.inval)
    assert.is(guest.call('poll_oneoff', guest.sizeBytes - 47, 0, 1, 0), ERRNO.fault)
    assert.is(guest.call('poll_oneoff', 0, guest.sizeBytes - 31, 1, 0), ERRNO.fault)
  })
})

test('random bytes are SHA-256 of seed and counter, however they are asked for', () => {
  const seed = Uint8Array.from({ length: 32 }, (_, n) => n)
  const block = (n: bigint): Buffer => { const counter = Buffer.alloc(8); counter.writeBigUInt64LE(n); return createHash('sha256').update(seed).update(counter).digest() }
  const wanted = Buffer.concat([block(0n), block(1n), block(2n)])
  for (const pieces of [[96], [1, 30, 1, 33, 31], [32, 32, 32], [0, 95, 1]]) {
    withGuest({ seed }, (guest) => {
      let at = 0
      for (const length of pieces) { assert.is(guest.call('random_get', at, length), 0); at += length }
      assert.is(guest.bytes.toString('hex', 0, 96), wanted.toString('hex'))
    })
  }
  withGuest({}, (guest) => { assert.is(guest.call('random_get', 1, -1), ERRNO.fault) })
})

test('exit carries 32 bits; sockets and signals are not supported', () => {
  withGuest({}, (guest) => {
    for (const [code, exitCode] of [[0, 0], [-1, 0xffffffff], [300, 300]] as const) {
      try { guest.call('proc_exit', code); assert.unreachable() } catch (err) { assert.ok(err instanceof ProgramExit && err.exitCode === exitCode) }
    }
    for (const name of ['sock_accept', 'sock_recv', 'sock_send', 'sock_shutdown', 'proc_raise']) assert.is(guest.call(name, 0, 0, 0, 0, 0, 0), ERRNO.notsup)
  })
})

test('a log is cut at its cap and says so; what was seen live is what is kept', () => {
  for (const [total, cut] of [[100, false], [101, true], [100_000, true]] as const) {
    const sent: Buffer[] = []
    let nowMs = 0
    const log = new LogStream({ capBytes: 100, send: (bytes) => { assert.ok(bytes.length <= LOG_FRAME_BYTES); sent.push(Buffer.from(bytes)) }, monoMs: () => nowMs })
    for (let at = 0; at < total; at++, nowMs += at % 3) { log.write(Buffer.from(String.fromCharCode(97 + at % 26))); log.sendDue() }
    const kept = Buffer.from(log.end()).toString()
    assert.is(kept.endsWith(LOG_CUT_MARK), cut)
    assert.is(kept.length, 100 + (cut ? LOG_CUT_MARK.length : 0))
    assert.is(Buffer.concat(sent).toString(), kept)
    assert.is(log.writtenBytes, total)
  }
})

test('lines are seen at once, a flood of them in larger pieces', () => {
  const sent: number[] = []
  const log = new LogStream({ capBytes: 1e6, send: (bytes) => { sent.push(bytes.length) }, monoMs: () => 0 })
  const write = (text: string): void => { log.write(Buffer.from(text)); log.sendDue() }
  write('a line\n')
  assert.equal(sent, [7])
  for (let n = 0; n < 50_000; n++) write('a line\n')
  assert.ok(sent.length < 200, `${sent.length} sends`)
  write('x'.repeat(200_000))
  assert.ok(sent.every((bytes) => bytes <= LOG_FRAME_BYTES))
})

test('a scratch file behaves as plain bytes do, in memory and on disk', () => {
  const seed = 99
  const random = seededRandom(seed)
  withGuest({}, ({ dir }) => {
    const store = new ScratchStore(dir, 8 * 1024 ** 2)
    for (let round = 0; round < 12; round++) {
      const body = new ScratchBody(store)
      let model = Buffer.alloc(0)
      const grow = (size: number): void => { if (size > model.length) model = Buffer.concat([model, Buffer.alloc(size - model.length)]) }
      const top = round % 3 === 0 ? 5000 : SPILL_FILE_BYTES * 2
      body.open()
      for (let step = 0; step < 60; step++) {
        const kind = random.below(6)
        if (kind <= 1) {
          const data = random.bytes(1 + random.below(kind === 0 ? 300 : 150_000))
          const at = random.below(4) === 0 ? random.below(top) : model.length
          assert.ok(body.write(at, data, 0, data.length))
          grow(at + data.length)
          model.set(data, at)
        } else if (kind === 2) {
          const size = random.below(top)
          assert.ok(body.resize(size))
          grow(size)
          model = model.subarray(0, size)
        } else if (kind === 3) { body.close(); body.open() } else {
          const into = Buffer.alloc(1 + random.below(100_000))
          const at = random.below(2) === 0 ? random.below(top) : Math.max(0, model.length - random.below(2000))
          const count = body.read(at, into, 0, into.length)
          assert.ok(into.subarray(0, count).equals(model.subarray(at, at + into.length)), `seed ${seed} round ${round} step ${step}`)
        }
        assert.is(body.sizeBytes, model.length)
        assert.is(store.usedBytes, model.length)
      }
      body.close()
      body.dispose()
      assert.is(store.usedBytes, 0)
      assert.equal(readdirSync(dir), [], 'a removed file leaves nothing on the host')
    }
  })
})

test('scratch files beyond what memory may hold go to the host\'s disk, many small ones too', () => {
  withGuest({ outBytes: 1024 ** 3, outFiles: 200 }, (guest) => {
    guest.memory.grow(14)
    const piece = Buffer.alloc(700_000, 'x')
    for (let n = 0; n < 100; n++) guest.make(FD.tmp, `f${n}`, piece.toString())
    const inMemory = SPILL_TOTAL_BYTES / 700_000
    assert.ok(readdirSync(guest.dir).length >= 100 - inMemory)
    assert.is(guest.read(guest.open(FD.tmp, 'f99'), 10, 699_995), 'xxxxx')
    for (let n = 0; n < 100; n++) guest.path('path_unlink_file', FD.tmp, `f${n}`)
    assert.is(readdirSync(guest.dir).length <= 1, true, 'only the one still open')
  })
})

test('inputs are read as they are, in steps of any size, and never written', () => {
  withGuest({}, ({ dir }) => {
    const random = seededRandom(5)
    const content = Buffer.from(random.bytes(300_000))
    const path = join(dir, 'input')
    writeFileSync(path, content)
    const body = new InputBody(path, content.length)
    body.open()
    const into = Buffer.alloc(200_000)
    let at = 0
    for (let n = 0; n < 3000; n++) {
      at = random.below(3) === 0 ? random.below(310_000) : at
      const length = 1 + random.below(n % 50 === 0 ? 200_000 : 2000)
      const count = body.read(at, into, 0, length)
      assert.ok(into.subarray(0, count).equals(content.subarray(at, at + length)))
      at += count
    }
    body.close()
  })
})

test('an input that is shorter than the job says, or gone, is the host\'s fault and no short file', () => {
  const guest = new Guest()
  const path = join(guest.dir, 'input')
  writeFileSync(path, 'x'.repeat(1000))
  const other = new Guest({ inputs: [{ path: 'i', hostPath: path, sizeBytes: 1000 }] })
  assert.is(other.open(FD.in, 'i', 0, READ_WRITE), -ERRNO.rofs)
  assert.is(other.open(FD.in, 'i', 8, 2n), -ERRNO.rofs)
  const fd = other.open(FD.in, 'i', 0, 2n)
  truncateSync(path, 500)
  assert.throws(() => other.read(fd, 100, 450), (err: unknown) => err instanceof HostFault && err.code === 'E_SANDBOX_INPUT')
  other.call('fd_close', fd)
  unlinkSync(path)
  assert.throws(() => other.open(FD.in, 'i', 0, 2n), (err: unknown) => err instanceof HostFault)
  guest.close()
  other.close()
})

test.run()
