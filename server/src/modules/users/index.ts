export {
  type ChangeUsernameDeps,
  changeUsername,
  changeUsernameWithin,
  countUsernameChange,
  setUsername,
} from './change-username.ts'
export {
  emailUndoTime,
  isEmailTaken,
  releaseUnprovedPhone,
  setEmail,
  setEmailVerified,
  setPhone,
} from './contact.ts'
export { createUser, type NewUser, readNewUser, type UsernameDeps } from './create-user.ts'
export { deleteDemoUsers, insertDemoUser } from './demo.ts'
export { type EraseDeps, eraseDueUsers, eraseUser } from './erase.ts'
export { aboutEmail, readFields } from './fields.ts'
export { userJobs } from './jobs.ts'
export { deactivateUser, restoreUser, softDeleteUser } from './lifecycle.ts'
export { checkListQuery, createUserList } from './list/list-users.ts'
export { UserListQuerySchema, UserListSchema } from './list/schemas.ts'
export { createUsernameCounter, type UsernameCounter } from './metrics.ts'
export { createNobodysHashes, type NobodysHashes } from './password-kinds/nobodys-hashes.ts'
export { exportUser } from './personal-data.ts'
export { setPrivacy } from './profile/profiles.ts'
export { type ProfileDeps, profileRoutes } from './profile/routes.ts'
export { readPublicUser, viewOf } from './profile/viewing.ts'
export { createUserReader, type UserReader } from './reading.ts'
export {
  isPrivilegedField,
  namePlaces,
  refuseElsewhere,
  refuseFields,
  refuseOwnPrivileges,
} from './refused-fields.ts'
export {
  type Credential,
  changePasswordHash,
  countUsers,
  findCredential,
  findOwner,
  findUserRecord,
  holdPerson,
  holdSignInState,
  type LockedUser,
  lockUser,
  lockUsers,
  recordActivity,
  recordLogin,
  refreshStatistics,
  replacePasswordHash,
  type SignInName,
  type SignInState,
  setMfaEnabled,
  strengthenPasswordHash,
} from './repo.ts'
export { createReservedUsernames } from './reserved-usernames.ts'
export { userRoutes } from './routes.ts'
export { ProfileChangesSchema, type User, UserSchema, userExample } from './schemas.ts'
export { readOwnStats } from './stats/stats.ts'
export { type SubscriptionDeps, subscriptionRoutes } from './subscription/routes.ts'
export { updateProfileWithin } from './update-profile.ts'
export { usernameRoute } from './username-route.ts'
