export { lockoutJobs } from './jobs.ts'
export { type Attempt, createLockout, type GuessedFactor, type Lockout } from './service.ts'
