export { createUser, type NewUser, readNewUser } from './create-user.ts'
export { deleteDemoUsers, insertDemoUser } from './demo.ts'
export { createUserReader, type UserReader } from './reading.ts'
export {
  type Credential,
  changePasswordHash,
  countUsers,
  findCredential,
  findForSignIn,
  holdSignInState,
  recordActivity,
  recordLogin,
  type SignInName,
  strengthenPasswordHash,
} from './repo.ts'
export { userRoutes } from './routes.ts'
export { type User, UserSchema } from './schemas.ts'
