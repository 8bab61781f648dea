export { ContentStore } from './content-store.ts'
export type { ContentRef, ContentUsage, ListedFile, StoreOptions } from './content-store.ts'
export type { ExportOptions } from './exporter.ts'
export type { ImportOptions, ImportProgress, TreeFile } from './importer.ts'
