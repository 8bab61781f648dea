/** A computer with graphics cards, as far as vendors' tools and the kernel's files tell: the true edge of what we ask. */
import { chmodSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'

export const UUID_A = 'GPU-8f6d52f1-0f6c-4b8e-a9a5-3d1c2b4a5e60'
export const UUID_B = 'GPU-0e6a5f32-9b1d-4c7a-8e55-77c1f2d3e4a5'

export interface FakeAnswer { stdout?: string | Uint8Array, stderr?: string, exitCode?: number }
export interface FakePciCard { slot: string, vendor: string, files?: Record<string, string>, renderNode?: string }

export class FakeGpus {
  readonly root = mkdtempSync(join(tmpdir(), 'hearth-fake-gpu-'))
  readonly bin = join(this.root, 'bin')
  readonly sysDir = join(this.root, 'sys')
  readonly devDir = join(this.root, 'dev')

  constructor() {
    for (const dir of [this.bin, this.sysDir, this.devDir]) mkdirSync(dir)
  }

  /** For `detectGpus` and `lookAtCards`: nothing of the real computer is seen. */
  get options(): { path: string[], known: string[], sysDir: string, devDir: string } {
    return { path: [this.bin], known: [], sysDir: this.sysDir, devDir: this.devDir }
  }

  /** A tool that gives the answer of the first key that is part of its arguments (`''` is part of all), and notes each call. */
  tool(name: string, answers: Record<string, FakeAnswer>): void {
    const cases = Object.entries(answers).map(([key, { stdout = '', stderr = '', exitCode = 0 }], index) => {
      const [out, err] = [join(this.root, `${name}.${index}.out`), join(this.root, `${name}.${index}.err`)]
      writeFileSync(out, stdout)
      writeFileSync(err, stderr)
      return `*"${key}"*) /bin/cat ${out}; /bin/cat ${err} >&2; exit ${exitCode};;`
    })
    this.script(name, `echo "$*" >> ${this.callsOf(name)}\ncase "$*" in\n${cases.join('\n')}\nesac\nexit 2`)
  }

  script(name: string, body: string): void {
    const file = join(this.bin, name)
    writeFileSync(file, `#!/bin/sh\n${body}\n`)
    chmodSync(file, 0o755)
  }

  callsOf(name: string): string {
    return join(this.root, `${name}.calls`)
  }

  pci({ slot, vendor, files = {}, renderNode }: FakePciCard): void {
    const dir = join(this.sysDir, 'devices/pci', slot)
    mkdirSync(dir, { recursive: true })
    for (const [name, value] of Object.entries({ class: '0x030000', vendor, ...files })) writeFileSync(join(dir, name), `${value}\n`)
    const link = join(this.sysDir, 'bus/pci/devices', slot)
    mkdirSync(dirname(link), { recursive: true })
    symlinkSync(dir, link)
    if (renderNode === undefined) return
    mkdirSync(join(dir, 'drm', renderNode), { recursive: true })
    mkdirSync(join(this.sysDir, 'class/drm', renderNode), { recursive: true })
    symlinkSync(dir, join(this.sysDir, 'class/drm', renderNode, 'device'))
  }

  node(name: string): void {
    const file = join(this.devDir, name)
    mkdirSync(dirname(file), { recursive: true })
    writeFileSync(file, '')
  }

  remove(): void {
    rmSync(this.root, { recursive: true, force: true })
  }
}
