export type { Phase, Probe } from './health.ts'
export { type SystemDeps, systemRoutes } from './routes.ts'
