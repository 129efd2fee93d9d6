export { createUser, type NewUser, readNewUser } from './create-user.ts'
export { createUserReader, type UserReader } from './reading.ts'
export {
  type Credential,
  changePasswordHash,
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
