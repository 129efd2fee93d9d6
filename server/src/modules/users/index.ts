export { createUser, type NewUser, readNewUser } from './create-user.ts'
export { deleteDemoUsers, insertDemoUser } from './demo.ts'
export { createUserReader, type UserReader } from './reading.ts'
export { isPrivilegedField, refuseFields } from './refused-fields.ts'
export {
  type Credential,
  changePasswordHash,
  countUsers,
  findCredential,
  findForSignIn,
  holdSignInState,
  lockUser,
  recordActivity,
  recordLogin,
  type SignInName,
  strengthenPasswordHash,
} from './repo.ts'
export { userRoutes } from './routes.ts'
export { type User, UserSchema } from './schemas.ts'
