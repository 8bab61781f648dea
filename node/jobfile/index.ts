export { isJobText, parseJobText, readJobFile } from './read.ts'
export { resolveJob } from './resolve.ts'
export type { ResolvedJob, ResolveRequest } from './resolve.ts'
export type { ImportProgress, JobStore } from './import-all.ts'
