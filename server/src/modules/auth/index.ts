export {
  type ChangeEmailDeps,
  completeEmailChange,
  followEmailChange,
  initiateEmailChange,
} from './change-email.ts'
export {
  type AdministratorDeps,
  createAdministratorByOperator,
  type NewAdministrator,
  setupCode,
} from './first-administrator.ts'
export { authJobs } from './jobs.ts'
export { type ContactCounter, createEmailChangeCounter } from './metrics.ts'
export { linkPageRoutes } from './pages/routes.ts'
export { requireRecentAuthentication } from './recent-authentication.ts'
export { sendResetMail } from './reset-mail.ts'
export { type AuthDeps, authRoutes } from './routes.ts'
