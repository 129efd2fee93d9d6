export { factorJobs } from './jobs.ts'
export { type CodeMethod, type EnrolledMethod, type Method, methodReference } from './methods.ts'
export { createPasskeys, type Passkeys, type PasskeyView, type VerifiedPasskey } from './passkeys.ts'
export { createFactors, type EnrolledFactor, type Factors, type TotpSetup } from './service.ts'
