export type { Permission } from './permissions.ts'
export { allPermissions, expandPermissions, permissions } from './permissions.ts'
export {
  adminRole,
  defaultRole,
  grantRole,
  hasAdministrator,
  lockAdministration,
  refuseRolesBeyond,
} from './roles.ts'
