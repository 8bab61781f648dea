export * from '../documents/ticket.ts'
