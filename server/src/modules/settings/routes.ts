import type { App } from '../../http/types.ts'
import type { UserReader } from '../users/index.ts'
import { definitionRoutes } from './definition-routes.ts'
import type { Settings } from './service.ts'
import { valueRoutes } from './value-routes.ts'
import type { ValuesDeps } from './values.ts'

export function settingRoutes(
  app: App,
  deps: Omit<ValuesDeps, 'definitions'> & { settings: Settings; users: UserReader },
): void {
  const { settings, ...rest } = deps
  definitionRoutes(app, { ...rest, definitions: settings.definitions })
  valueRoutes(app, { ...rest, ...settings })
}
