export { type ArrivalReplyDeps, tokensOf } from './arrival-reply.ts'
export { type Assertion, toAssertion } from './assertion.ts'
export {
  type ChangeEmailDeps,
  completeEmailChange,
  followEmailChange,
  initiateEmailChange,
} from './change-email.ts'
export { type ChangePasswordDeps, preparePasswordAfterSignIn } from './change-password.ts'
export { type DeleteAccountDeps, deleteOwnAccount, restoreOwnAccount } from './delete-account.ts'
export { endAccess } from './end-access.ts'
export {
  beginEmail,
  beginSms,
  beginTotp,
  confirmFactor,
  createRecoveryCodes,
  dropFactors,
  registerPasskey,
} from './enrol-factor.ts'
export {
  type AdministratorDeps,
  createAdministratorByOperator,
  type NewAdministrator,
  setUpAdministrator,
  setupCode,
} from './first-administrator.ts'
export type { GivenProof } from './given-proof.ts'
export { authJobs } from './jobs.ts'
export { type LoginDeps, login } from './login.ts'
export { type ContactCounter, createEmailChangeCounter } from './metrics.ts'
export { PasskeyAssertionSchema, PasskeyRegistrationSchema } from './mfa-schemas.ts'
export { tellOfMfaChange } from './notices.ts'
export { signInWithPasskey } from './passkey-sign-in.ts'
export { checkRegistration, type RegisterDeps, register } from './register.ts'
export { sendResetMail } from './reset-mail.ts'
export { requestPasswordReset, setPasswordByLink } from './reset-password.ts'
export { type AuthDeps, authRoutes } from './routes.ts'
export { challengeSecondFactor, verifySecondFactor } from './second-factor.ts'
export type { Arrival as SignInResult, ProofMethod } from './sign-in-machine.ts'
export { undoEmailChange } from './undo-email-change.ts'
export { requestOwnVerification, requestVerification, verifyEmail } from './verify-email.ts'
export { offeringReturn } from './way-back.ts'
