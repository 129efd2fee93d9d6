export {
  type AdministratorDeps,
  createAdministratorByOperator,
  type NewAdministrator,
  setupCode,
} from './first-administrator.ts'
export { type AuthDeps, authRoutes } from './routes.ts'
