export * from '../documents/terms.ts'
