/**
 * The part of the WebAssembly JavaScript API that the sandbox uses. TypeScript declares it only in its `dom` library,
 * which would also let browser globals into the whole project.
 */
declare namespace WebAssembly {
  class Module {
    constructor(bytes: Uint8Array)
    static imports(module: Module): { module: string, name: string, kind: string }[]
    static exports(module: Module): { name: string, kind: string }[]
  }
  class Memory {
    constructor(descriptor: { initial: number, maximum?: number })
    readonly buffer: ArrayBuffer
    grow(deltaPages: number): number
  }
  class Instance {
    constructor(module: Module, imports: Record<string, Record<string, unknown>>)
    readonly exports: Record<string, unknown>
  }
  class CompileError extends Error {}
  class LinkError extends Error {}
  class RuntimeError extends Error {}
  function validate(bytes: Uint8Array): boolean
}
