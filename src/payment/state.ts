export * from '../documents/payment-state.ts'
