export type { DomainEvent } from './append.ts'
export { appendEvent } from './append.ts'
