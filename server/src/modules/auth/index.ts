export { type ArrivalReplyDeps, tokensOf } from './arrival-reply.ts'
export {
  type ChangeEmailDeps,
  completeEmailChange,
  followEmailChange,
  initiateEmailChange,
} from './change-email.ts'
export { type ChangePasswordDeps, preparePasswordAfterSignIn } from './change-password.ts'
export { type DeleteAccountDeps, deleteOwnAccount } from './delete-account.ts'
export { endAccess } from './end-access.ts'
export { dropFactors } from './enrol-factor.ts'
export {
  type AdministratorDeps,
  createAdministratorByOperator,
  type NewAdministrator,
  setupCode,
} from './first-administrator.ts'
export { authJobs } from './jobs.ts'
export { type LoginDeps, login } from './login.ts'
export { type ContactCounter, createEmailChangeCounter } from './metrics.ts'
export { tellOfMfaChange } from './notices.ts'
export { linkPageRoutes } from './pages/routes.ts'
export { type RegisterDeps, register } from './register.ts'
export { sendResetMail } from './reset-mail.ts'
export { type AuthDeps, authRoutes } from './routes.ts'
