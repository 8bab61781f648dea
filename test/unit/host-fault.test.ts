/** Whose fault it is that a run came to nothing: what a host says of its own trouble never speaks against the program. */
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { isDiskCode, isDiskFault, runFault } from '../../node/work/host-fault.ts'
import { HearthError } from '../../src/errors.ts'
import { movesOn } from '../../src/job/task.ts'

const fault = (code: `E_${string}`): string => runFault({ code, message: 'words' }, isDiskCode(code)).code

test('trouble of the host moves the task on', () => {
  for (const code of ['E_SANDBOX_DISK', 'E_CONTAINER_DISK', 'E_SANDBOX_BUSY', 'E_SANDBOX_CLOSED', 'E_TRANSFER_NO_SOURCE', 'E_CONTAINER_ENGINE', 'E_CONTAINER_NO_ENGINE', 'E_CONTAINER_TRUNCATED', 'E_CONTAINER_MEMORY', 'E_CONTAINER_REFUSED', 'E_CONTAINER_CRASH', 'E_OFFER_MISMATCH', 'E_SECRET_REFUSED', 'E_FIT_GPU'] as const) {
    assert.ok(movesOn(fault(code)), `${code} became ${fault(code)}`)
  }
})

test('what a program may have caused is told as it is', () => {
  for (const code of ['E_SANDBOX_TIME', 'E_SANDBOX_MEMORY', 'E_SANDBOX_CRASH', 'E_SANDBOX_CPU', 'E_CONTAINER_TIME', 'E_CONTAINER_START', 'E_INPUT_MISMATCH'] as const) assert.is(fault(code), code)
})

test('a full disk is known by its own code and by the system\'s', () => {
  assert.ok(isDiskFault(new HearthError('E_CONTENT_QUOTA', 'full', '')))
  assert.ok(isDiskFault(Object.assign(new Error('no space left on device'), { code: 'ENOSPC' })))
  assert.not.ok(isDiskFault(Object.assign(new Error('no such file'), { code: 'ENOENT' })))
})

test.run()
