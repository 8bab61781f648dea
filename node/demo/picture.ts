import { readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { PNG } from 'pngjs'
import { HearthError } from '../../src/errors.ts'

interface Tile { x: number, y: number, fullWidth: number, fullHeight: number, width: number, height: number, pixels: Uint8Array }

/** Tiles say where they belong in a comment: `# tile 3 of 48: x 240 y 0 of 640 x 400`, in a binary PPM (P6). */
function parseTile(path: string, bytes: Uint8Array): Tile {
  const header = Buffer.from(bytes.subarray(0, 256)).toString('latin1')
  const match = /^P6\n# tile \d+ of \d+: x (\d+) y (\d+) of (\d+) x (\d+)\n(\d+) (\d+)\n255\n/.exec(header)
  if (match === null) throw new HearthError('E_TILE', `${path} is no tile`, 'Was it made by config/examples/path-tracer?')
  const [x = 0, y = 0, fullWidth = 0, fullHeight = 0, width = 0, height = 0] = match.slice(1).map(Number)
  const pixels = bytes.subarray(match[0].length)
  if (pixels.length !== 3 * width * height || x + width > fullWidth || y + height > fullHeight) throw new HearthError('E_TILE', `${path} is cut short or lies outside its picture`, 'Run the job again')
  return { x, y, fullWidth, fullHeight, width, height, pixels }
}

/** Joins the tiles of a results folder (`task-…/out/tile.ppm`) into one PNG. */
export async function joinTiles(resultsDir: string, pngPath: string): Promise<{ width: number, height: number }> {
  const folders = (await readdir(resultsDir)).filter((name) => name.startsWith('task-')).sort()
  let png: PNG | undefined
  for (const folder of folders) {
    const path = join(resultsDir, folder, 'out', 'tile.ppm')
    const tile = parseTile(path, await readFile(path))
    png ??= new PNG({ width: tile.fullWidth, height: tile.fullHeight, colorType: 2 })
    for (let row = 0; row < tile.height; row++) {
      for (let column = 0; column < tile.width; column++) {
        const to = 4 * ((tile.y + row) * png.width + tile.x + column)
        const from = 3 * (row * tile.width + column)
        png.data.set(tile.pixels.subarray(from, from + 3), to)
        png.data[to + 3] = 255
      }
    }
  }
  if (png === undefined) throw new HearthError('E_TILE', `no tiles in ${resultsDir}`, 'Did the job end well?')
  await writeFile(pngPath, PNG.sync.write(png))
  return { width: png.width, height: png.height }
}
