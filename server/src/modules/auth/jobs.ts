import type { Job } from '../../jobs/worker.ts'
import { inBatches } from '../../lib/batches.ts'
import { type PrivateRegistrationDeps, registerPrivatelyJob, registerSealed } from './private-registration.ts'
import { deleteExpiredSignIns } from './repo.ts'
import { type ResetPasswordDeps, sendRequestedReset, sendResetJob } from './reset-password.ts'
import { sendRequestedVerification, sendVerificationJob, type VerifyEmailDeps } from './verify-email.ts'
import { offerReturnJob, sendOfferedReturn } from './way-back.ts'

/** What requests leave for later, so that their time tells nothing. Payloads are written by those requests. */
export function authJobs(deps: ResetPasswordDeps & VerifyEmailDeps & PrivateRegistrationDeps): Job<never>[] {
  return [
    {
      name: 'auth.delete_expired_sign_ins',
      schedule: '*/20 * * * *',
      async run() {
        const at = deps.clock.now()
        await inBatches(limit => deleteExpiredSignIns(deps.store.db, at, limit))
      },
    },
    { ...sendResetJob, run: payload => sendRequestedReset(deps, payload) },
    { ...sendVerificationJob, run: payload => sendRequestedVerification(deps, payload) },
    { ...offerReturnJob, run: payload => sendOfferedReturn(deps, payload) },
    { ...registerPrivatelyJob, run: payload => registerSealed(deps, payload) },
  ]
}
