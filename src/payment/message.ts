export * from '../documents/pay-message.ts'
