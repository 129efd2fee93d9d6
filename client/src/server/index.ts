export { expressGuard, fastifyGuard, withUser } from './frameworks.ts'
export { authenticate, type Refusal, type Rules, type Verify, type Who } from './guard.ts'
export { createIntrospector, type Introspected } from './introspection.ts'
