export { verificationJobs } from './jobs.ts'
export { createCodeCounter } from './metrics.ts'
export type { CodePurpose, LinkPurpose } from './purposes.ts'
export { type CodeOutcome, createVerification, type Proof, type Verification } from './service.ts'
