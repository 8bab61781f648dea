import { spawnSync } from 'node:child_process'
import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'uvu'
import * as assert from 'uvu/assert'

const script = join(import.meta.dirname, '../../config/examples/images/build-debian.sh')

test('the script that makes images of Debian packages says how it is called, and makes nothing without a package', () => {
  const dir = mkdtempSync(join(tmpdir(), 'hearth-debian-'))
  try {
    const out = join(dir, 'image.tar')
    for (const args of [[], [out], ['--add'], ['--add', dir], ['--add', dir, out]]) {
      const { status, stderr } = spawnSync('sh', [script, ...args], { encoding: 'utf8', cwd: dir })
      assert.is.not(status, 0, args.join(' '))
      assert.match(stderr, /build-debian\.sh/)
    }
    assert.not.ok(existsSync(out))
  } finally {
    rmSync(dir, { recursive: true })
  }
})

test.run()
