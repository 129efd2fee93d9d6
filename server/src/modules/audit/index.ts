export type { AuditEntry, Origin } from './append.ts'
export { appendAudit } from './append.ts'
export { originOf } from './origin.ts'
