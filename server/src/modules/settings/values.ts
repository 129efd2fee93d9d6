import { type ConstraintProblems, orConflict } from '../../db/constraints.ts'
import type { Store, Tx } from '../../db/store.ts'
import type { Principal } from '../../http/principal.ts'
import type { FieldError } from '../../http/problem-schema.ts'
import { ProblemError } from '../../http/problems.ts'
import type { Clock } from '../../lib/clock.ts'
import { equalJson, isObject, type Json, type JsonObject } from '../../lib/json.ts'
import { refuseMightier } from '../access/index.ts'
import { appendAudit, type Origin } from '../audit/index.ts'
import { appendEvent } from '../events/index.ts'
import { applyPrivacy, lockForPrivacy } from './effects.ts'
import type { Definitions, Registry, ScopeView } from './registry.ts'
import {
  insertValues,
  lockValues,
  type Scope,
  shareDefinitions,
  updateValues,
  type ValuesRow,
} from './repo.ts'
import { keptForm } from './types.ts'
import { checkChanges, checkTogether } from './validate.ts'

export type ValuesDeps = { store: Store; clock: Clock; definitions: Definitions }

export type ValuesChange = {
  userId: string
  scope: Scope
  /** `{key: value}` or `{values: {key: value}}`; null returns a key to its default. */
  body: JsonObject
  /** The versions that the caller has seen; undefined: any will do. */
  ifMatch: ReadonlySet<number> | 'any' | undefined
  /** Who changes them. */
  principal: Principal
  /** Whether keys that are read-only for users may be set. */
  mayWriteReadonly: boolean
}

/** Bytes of all of a user's own values in one scope, as JSON. */
const maxBytes = 64 * 1024

/**
 * Changes some of a user's values: all of them, or none. What is the same already is no change; if nothing is
 * left, nothing is written, audited or published.
 * @throws ProblemError settings_invalid that names every bad key, precondition_failed, not_found, forbidden (of
 *   somebody who may more)
 */
export async function changeValues(deps: ValuesDeps, origin: Origin, change: ValuesChange): Promise<void> {
  await refuseMightier(deps.store.db, change.principal, change.userId)
  const known = await deps.definitions.current()
  const changes = keptForms(known.now[change.scope], changesOf(change.body))
  refuse(checkAlone(known, changes, change))
  await deps.store.transact(async trx => {
    await shareDefinitions(trx)
    await lockForPrivacy(trx, change.userId, changes)
    const { row, registry: version } = await lockValues(trx, change.userId, change.scope)
    const registry = version === known.version ? known : await deps.definitions.load(trx)
    if (registry !== known) refuse(checkAlone(registry, changes, change))
    checkPrecondition(change.ifMatch, row)
    await write(deps, trx, origin, change, { registry, row, changes })
  })
}

/** Erased in this very moment. */
const userGone: ConstraintProblems = { user_settings_user_id_fkey: 'not_found' }

async function write(
  deps: ValuesDeps,
  trx: Tx,
  origin: Origin,
  change: ValuesChange,
  { registry, row, changes }: { registry: Registry; row: ValuesRow | undefined; changes: JsonObject },
): Promise<void> {
  const { userId, scope } = change
  const before = row?.value_by_key ?? {}
  const changed = Object.keys(changes).filter(key => !isSame(before, key, changes[key] ?? null))
  if (changed.length === 0) return
  const values = merge(before, changes)
  checkResult(registry, scope, values, new Set(changed))
  const at = deps.clock.now()
  if (row) await updateValues(trx, { userId, scope, values, at })
  else if (!(await orConflict(userGone, () => insertValues(trx, { userId, scope, values, at })))) {
    // Somebody's first values came in between: with a precondition that is a conflict, else this comes second.
    if (change.ifMatch !== undefined) throw new ProblemError('precondition_failed')
    const { row: theirs } = await lockValues(trx, userId, scope)
    return write(deps, trx, origin, change, { registry, row: theirs, changes })
  }
  await record(deps.store, trx, { at, origin, userId, scope, changed, values, registry })
}

async function record(
  store: Store,
  trx: Tx,
  done: {
    at: Date
    origin: Origin
    userId: string
    scope: Scope
    changed: string[]
    values: JsonObject
    registry: Registry
  },
): Promise<void> {
  const { at, origin, userId, scope, changed, values, registry } = done
  await applyPrivacy(trx, userId, registry.now[scope], values, changed)
  await appendAudit(trx, at, origin, {
    action: 'user.settings_updated',
    subject: { type: 'user', id: userId },
    changedFields: changed,
    details: { scope },
  })
  await appendEvent(trx, at, settingsUpdated({ userId, scope, changed, values, registry, at }))
  await store.announce(trx, { kind: 'settings', id: userId })
}

/** Keys, and the values of those whose definition is public. */
export function settingsUpdated(done: {
  userId: string
  scope: Scope
  changed: readonly string[]
  values: Readonly<JsonObject>
  registry: Registry
  at: Date
}) {
  const shown = done.changed.filter(key => done.registry.now[done.scope].get(key)?.definition.is_public)
  return {
    type: 'user.settings_updated' as const,
    userId: done.userId,
    data: {
      userId: done.userId,
      scope: done.scope,
      keys: [...done.changed],
      values: Object.fromEntries(shown.map(key => [key, done.values[key] ?? null])),
      updatedAt: done.at.toISOString(),
    },
  }
}

function changesOf(body: JsonObject): JsonObject {
  const wrapped = body.values
  return Object.keys(body).length === 1 && isObject(wrapped) ? wrapped : body
}

const keptForms = (view: ScopeView, changes: JsonObject): JsonObject =>
  Object.fromEntries(
    Object.entries(changes).map(([key, value]) => {
      const type = view.get(key)?.definition.setting_type
      return [key, type === undefined ? value : keptForm(type, value)]
    }),
  )

const isSame = (before: JsonObject, key: string, value: Json): boolean =>
  value === null
    ? !Object.hasOwn(before, key)
    : Object.hasOwn(before, key) && equalJson(before[key] ?? null, value)

function merge(before: JsonObject, changes: JsonObject): JsonObject {
  const values = { ...before }
  for (const [key, value] of Object.entries(changes)) {
    if (value === null) delete values[key]
    else values[key] = value
  }
  return values
}

function checkAlone(
  registry: Registry,
  changes: JsonObject,
  { scope, mayWriteReadonly }: ValuesChange,
): FieldError[] {
  const errors = checkChanges(registry.now[scope], changes, { mayWriteReadonly })
  if (errors.length > 0 || !registry.next) return errors
  return checkChanges(registry.next[scope], changes, { mayWriteReadonly })
}

function checkResult(
  registry: Registry,
  scope: Scope,
  values: JsonObject,
  changed: ReadonlySet<string>,
): void {
  refuse(checkTogether(registry.now[scope], values, changed))
  if (registry.next) refuse(checkTogether(registry.next[scope], values, changed))
  const bytes = Buffer.byteLength(JSON.stringify(values))
  if (bytes > maxBytes) {
    refuse([
      {
        path: '',
        code: 'too_large',
        rule: 'max_bytes',
        expected: maxBytes,
        message: `All values together have ${bytes} bytes as JSON; at most ${maxBytes} are kept.`,
      },
    ])
  }
}

function refuse(errors: FieldError[]): void {
  if (errors.length > 0) throw new ProblemError('settings_invalid', { errors })
}

function checkPrecondition(ifMatch: ValuesChange['ifMatch'], row: ValuesRow | undefined): void {
  if (ifMatch === undefined || (ifMatch === 'any' && row)) return
  const version = row?.version ?? 0
  if (ifMatch !== 'any' && ifMatch.has(version)) return
  throw new ProblemError('precondition_failed', {
    detail: `The present version is ${version}.`,
    extra: { version },
  })
}
