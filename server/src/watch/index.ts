export { createDependencies, type Dependencies, type Dependency } from './dependencies.ts'
export { loopLog } from './loop-log.ts'
export { createWatch, type Watch } from './watch.ts'
