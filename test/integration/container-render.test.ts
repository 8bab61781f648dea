/** A real render over three nodes in containers of a real engine: POV-Ray, in an image that is made of Debian's packages here. */
import { spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { PNG } from 'pngjs'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { parse } from 'yaml'
import type { JobDetail } from '../../node/api/contract.ts'
import { reap } from '../../node/containers/reaper.ts'
import { Cluster } from '../../node/demo/cluster.ts'
import type { ClusterNode } from '../../node/demo/cluster.ts'
import { ended, EXAMPLES, LENDS_NOTHING, startProvider } from '../helpers/cluster.ts'
import { testEngine } from '../helpers/engine.ts'
import { dropNodeImages } from '../helpers/images.ts'

const EXAMPLE = join(EXAMPLES, 'render-quick')
const SIMILAR = join(EXAMPLES, 'render/similar.wasm')
const FRAMES = 4
/** Hosts that never agree are asked again and again, up to here. */
const LIMITS = { queue: '1 m', run: '1 m', total: '2 m' }
const SIZE = { width: 160, height: 90 }

/** Builds an example's image; false where this machine has nothing to make it of. A script that fails otherwise is a failure. */
function buildImage(example: string, path: string): boolean {
  const { status, stdout, stderr } = spawnSync('sh', [join(EXAMPLES, example, 'build-image.sh'), path], { encoding: 'utf8' })
  if (status === 0) return true
  const words = stderr.trim().split('\n').at(-1) ?? ''
  if (!/needs apt-get|apt cannot fetch|cc: not found/.test(words)) throw new Error(`${stdout}${stderr}`)
  console.log(`NOT RUN: ${example} in containers: ${words}`)
  return false
}

const engine = await testEngine(import.meta.filename)
const folder = mkdtempSync(join(tmpdir(), 'hearth-render-'))
const image = join(folder, 'image.tar')
const cardImage = join(folder, 'card.tar')

interface Picture { width: number, height: number, rgb: Buffer }

/** A BMP of 24 bits a pixel, its rows from the bottom up and padded to four bytes. */
function readBmp(path: string): Picture {
  const bytes = readFileSync(path)
  assert.is(bytes.toString('latin1', 0, 2), 'BM')
  const [start, width, height, bits] = [bytes.readUInt32LE(10), bytes.readInt32LE(18), bytes.readInt32LE(22), bytes.readUInt16LE(28)]
  assert.equal([bits, bytes.length >= start + height * (Math.ceil(width * 3 / 4) * 4)], [24, true])
  return { width, height, rgb: bytes.subarray(start) }
}

/** Different colours, of 32 steps a channel. */
function colours({ rgb }: Picture): number {
  const seen = new Set<number>()
  for (let i = 0; i + 2 < rgb.length; i += 3) seen.add((rgb[i]! >> 3) << 10 | (rgb[i + 1]! >> 3) << 5 | rgb[i + 2]! >> 3)
  return seen.size
}

/** The example, small; `png` writes its frames as PNG, which hold the time of day. */
function frames(count: number, png = false): Record<string, unknown> {
  const spec = parse(readFileSync(join(EXAMPLE, 'job.yaml'), 'utf8')) as { args: string[] }
  const args = spec.args.map((arg) => arg.replace(/^\+W\d+$/, `+W${SIZE.width}`).replace(/^\+H\d+$/, `+H${SIZE.height}`).replace(/^Declare=Frames=.*/, `Declare=Frames=${count}`))
  const typed = png ? args.map((arg) => arg === '+FB' ? '+FN' : arg.replace('.bmp', '.png')) : args
  return { ...spec, args: typed, inputs: { 'scene.pov': join(EXAMPLE, 'scene.pov') }, outputs: [png ? 'frame.png' : 'frame.bmp'], image, map: { range: [0, count] }, limits: LIMITS }
}

if (engine !== undefined && buildImage('render-quick', image)) {
  let cluster: Cluster
  let you: ClusterNode

  test.before(async () => {
    cluster = await Cluster.open()
    you = await cluster.start({ name: 'you', flags: LENDS_NOTHING })
    await Promise.all(['ada', 'ben', 'cleo'].map(async (name) => await startProvider(cluster, you, name, { flags: ['--share.engines=[container]', '--share.anyImage=true'] })))
  })
  test.after(async () => {
    const peers = cluster.nodes.map(({ peer }) => peer)
    await cluster.close()
    for (const peer of peers) {
      await reap(engine, peer)
      await dropNodeImages(engine, peer)
    }
    rmSync(folder, { recursive: true })
  })

  const render = async (spec: Record<string, unknown>, to: string): Promise<JobDetail> => {
    const { job } = await you.api.submit({ spec, baseDir: '/' })
    const detail = await ended(you, job)
    assert.is(detail.state, 'done', JSON.stringify(detail.error))
    await you.api.results({ job, to })
    return detail
  }

  test('a film\'s frames are rendered by three hosts in containers, each frame by two that agree to the byte', async () => {
    const to = join(folder, 'film')
    const detail = await render(frames(FRAMES), to)
    assert.is(detail.providers.reduce((sum, { wrong }) => sum + wrong, 0), 0)
    assert.ok(detail.providers.reduce((sum, { done }) => sum + done, 0) >= 2 * FRAMES, JSON.stringify(detail.providers))
    assert.ok(detail.providers.filter(({ done }) => done > 0).length >= 2)
    const pictures = Array.from({ length: FRAMES }, (_, i) => readBmp(join(to, `task-${i}`, 'out', 'frame.bmp')))
    for (const picture of pictures) {
      assert.equal([picture.width, picture.height], [SIZE.width, SIZE.height])
      assert.ok(colours(picture) > 100, `${colours(picture)} colours`)
    }
    assert.is(new Set(pictures.map(({ rgb }) => rgb.toString('latin1'))).size, FRAMES, 'each frame shows another moment')
  })

  test('frames that hold the time of day agree when a comparator looks at the pictures only', async () => {
    const to = join(folder, 'dated')
    const detail = await render({ ...frames(2, true), compare: { with: SIMILAR, args: ['50', '30'] } }, to)
    assert.is(detail.providers.reduce((sum, { wrong }) => sum + wrong, 0), 0)
    for (const task of [0, 1]) {
      const bytes = readFileSync(join(to, `task-${task}`, 'out', 'frame.png'))
      assert.ok(bytes.includes('tIME'), 'POV-Ray has stopped to write the time: nothing was shown here')
      const { width, height } = PNG.sync.read(bytes)
      assert.equal({ width, height }, SIZE)
    }
  })

  if (buildImage('gpu-mandelbrot', cardImage)) {
    test('the program for cards computes on processors where there is none, and says so when it was to use one', async () => {
      const { map: _map, ...spec } = parse(readFileSync(join(EXAMPLES, 'gpu-mandelbrot/job.yaml'), 'utf8')) as { args: string[], map: unknown }
      const specWith = (words: string[]): Record<string, unknown> => ({ ...spec, image: cardImage, args: [...words, ...spec.args.filter((arg) => arg !== '--cpu').map((arg) => arg === '{index}' ? '20' : arg)] })
      const pictures: Buffer[] = []
      for (const [i, words] of [['--cpu'], []].entries()) {
        const to = join(folder, `set-${i}`)
        await render(specWith(words), to)
        const picture = readBmp(join(to, 'out', 'frame.bmp'))
        assert.equal([picture.width, picture.height], [640, 400])
        assert.ok(colours(picture) > 40, `${colours(picture)} colours`)
        pictures.push(picture.rgb)
      }
      assert.ok(pictures[0]!.equals(pictures[1]!))
      const { job } = await you.api.submit({ spec: { ...specWith(['--gpu']), retries: 0 }, baseDir: '/' })
      assert.is((await ended(you, job)).state, 'failed')
      const said: Buffer[] = []
      for await (const { bytes } of you.api.logs({ job, stream: 'stderr', follow: false })) said.push(Buffer.from(bytes, 'base64'))
      assert.match(Buffer.concat(said).toString(), /there is no NVIDIA driver here/)
    })
  }
} else {
  rmSync(folder, { recursive: true })
}

test.run()
