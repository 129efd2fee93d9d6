export { opensVault, openVault, type Vault } from './vault.ts'
