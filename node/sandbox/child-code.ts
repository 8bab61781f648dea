import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { stripTypeScriptTypes } from 'node:module'
import { extname, join } from 'node:path'

/** An import of a file in this folder or of a `node:` module, by names. The child's files have no others. */
const IMPORT = /^import \{([^}]*)\} from '(?:\.\/([a-z0-9-]+)\.[jt]s|(node:[a-z_/]+))'/gm
const EXPORT = /^export (const|class|function) (\w+)/gm
const ENTRY = 'run-child'

/** A file as a function that answers its exports, for one script has one scope. */
function wrap(name: string, source: string, use: (imported: string) => string): string {
  const exported: string[] = []
  const code = source
    .replaceAll(IMPORT, (_match, names: string, file: string | undefined, builtin: string | undefined) => {
      const from = file === undefined ? `require('${builtin}')` : use(file)
      return `const {${names.replaceAll(/\btype \w+,?/g, '').replaceAll(' as ', ': ')}} = ${from}`
    })
    .replaceAll(EXPORT, (_match, kind: string, id: string) => { exported.push(id); return `${kind} ${id}` })
  const left = /^(?:import|export)\b.*/m.exec(code)
  if (left !== null) throw new Error(`${name} has an import or export that the child's bundle does not know: ${left[0]}`)
  return `const ${idOf(name)} = (() => {\n${code}\nreturn { ${exported.join(', ')} }\n})()`
}

const idOf = (name: string): string => `$${name.replaceAll('-', '_')}`

/**
 * Writes the child's code as one plain script into `codeDir` and answers its path. So a child starts in 15 ms instead of 24
 * (as modules) or 55 (from TypeScript), and may read this folder alone, nothing of the installation.
 */
export function writeChildCode(codeDir: string): string {
  const extension = extname(import.meta.filename)
  const parts: string[] = []
  const seen = new Set<string>()
  function add(name: string): string {
    if (!seen.has(name)) {
      seen.add(name)
      const source = readFileSync(join(import.meta.dirname, `${name}${extension}`), 'utf8')
      // What it imports is added before it.
      parts.push(wrap(name, extension === '.ts' ? stripTypeScriptTypes(source) : source, add))
    }
    return idOf(name)
  }
  add(ENTRY)
  mkdirSync(codeDir, { recursive: true, mode: 0o700 })
  const path = join(codeDir, `${ENTRY}.cjs`)
  writeFileSync(path, `'use strict'\n${parts.join('\n')}\n`)
  return path
}
