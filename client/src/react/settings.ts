'use client'

import { useCallback, useEffect, useState } from 'react'
import { isRosterError } from '../core/error.ts'
import type { Roster } from '../core/roster.ts'
import type { components } from '../generated/api.ts'
import { useRoster, useUser } from './provider.ts'

type Definition = components['schemas']['SettingDefinition']
export type Scope = 'settings' | 'preferences'

/** One control of a form, drawn from a setting's definition. */
export type SettingField = {
  key: string
  /** Its description, or else its key. */
  label: string
  category: string
  /** What `<input type>` takes, or another control. */
  control:
    | 'text'
    | 'textarea'
    | 'number'
    | 'checkbox'
    | 'date'
    | 'time'
    | 'color'
    | 'url'
    | 'email'
    | 'select'
    | 'multi_select'
    | 'json'
  value: unknown
  /** For `select` and `multi_select`. */
  options: readonly unknown[]
  min: number | string | undefined
  max: number | string | undefined
  minLength: number | undefined
  maxLength: number | undefined
  isReadonly: boolean
  /** Why the last value was not taken. */
  error: string | undefined
  /** Saves a value; null returns to the default. */
  set(value: unknown): Promise<void>
}

export type Settings = {
  status: 'loading' | 'ready' | 'failed'
  /** By key, defaults filled in. */
  values: Readonly<Record<string, unknown>>
  /** In the order in which a form shows them. */
  fields: readonly SettingField[]
  /** Saves several values, all or none. False where one was not taken: its field says why. */
  save(values: Readonly<Record<string, unknown>>): Promise<boolean>
  /** What else went wrong. */
  error: unknown
}

type Loaded = { values: Record<string, unknown>; version: number; definitions: readonly Definition[] }

/**
 * The settings or preferences of whoever is signed in, with what a form needs to show them. A save that another tab
 * was faster than is made again upon what is there.
 */
export function useSettings(scope: Scope = 'settings'): Settings {
  const roster = useRoster()
  const userId = useUser()?.id
  const [loaded, setLoaded] = useState<Loaded>()
  const [error, setError] = useState<unknown>()
  const [refused, setRefused] = useState<Readonly<Record<string, string>>>({})

  useEffect(() => {
    let isCurrent = true
    setLoaded(undefined)
    setRefused({})
    setError(undefined)
    if (userId === undefined) return
    load(roster, scope).then(
      found => isCurrent && setLoaded(found),
      reason => isCurrent && setError(reason),
    )
    return () => {
      isCurrent = false
    }
  }, [roster, scope, userId])

  const save = useCallback(
    async (values: Readonly<Record<string, unknown>>): Promise<boolean> => {
      try {
        const saved = await store(roster, scope, values)
        setLoaded(before => before && { ...before, values: saved.values, version: saved.version })
        setRefused(before => without(before, Object.keys(values)))
        setError(undefined)
        return true
      } catch (reason) {
        const faults = isRosterError(reason) ? reason.errors : []
        if (faults.length === 0) setError(reason)
        const byKey = Object.fromEntries(faults.map(({ path, message }) => [keyOf(path, values), message]))
        setRefused(before => ({ ...before, ...byKey }))
        return false
      }
    },
    [roster, scope],
  )

  return {
    status: loaded ? 'ready' : error === undefined ? 'loading' : 'failed',
    values: loaded?.values ?? {},
    fields: loaded
      ? loaded.definitions.map(definition => toField(definition, loaded.values, refused, save))
      : [],
    save,
    error,
  }
}

async function load(roster: Roster, scope: Scope): Promise<Loaded> {
  const {
    values,
    version,
    definitions = [],
  } = await roster.get(`/api/v1/users/me/${scope}`, {
    params: { query: { include: 'definitions' } },
  })
  return { values, version, definitions: definitions.toSorted((a, b) => a.sort_order - b.sort_order) }
}

const store = (roster: Roster, scope: Scope, values: Readonly<Record<string, unknown>>) =>
  roster.put(`/api/v1/users/me/${scope}`, { body: { values } })

/** The key that a fault is about: `/values/ui.theme`, or a part of its value. */
const keyOf = (path: string, values: object): string =>
  Object.keys(values).find(key => path.split('/').includes(key)) ?? path

const without = (from: Readonly<Record<string, string>>, keys: readonly string[]) =>
  Object.fromEntries(Object.entries(from).filter(([key]) => !keys.includes(key)))

const controls: Partial<Record<Definition['setting_type'], SettingField['control']>> = {
  text: 'textarea',
  integer: 'number',
  number: 'number',
  boolean: 'checkbox',
  date: 'date',
  time: 'time',
  enum: 'select',
  multi_enum: 'multi_select',
  list: 'json',
  object: 'json',
  color: 'color',
  url: 'url',
  email: 'email',
}

function toField(
  { key, description, category, setting_type, validation_rules: rules, is_readonly }: Definition,
  values: Readonly<Record<string, unknown>>,
  refused: Readonly<Record<string, string>>,
  save: (values: Readonly<Record<string, unknown>>) => Promise<boolean>,
): SettingField {
  return {
    key,
    label: description || key,
    category,
    control: controls[setting_type] ?? 'text',
    value: values[key],
    options: rules.allowed_values ?? [],
    min: rules.min,
    max: rules.max,
    minLength: rules.min_length,
    maxLength: rules.max_length,
    isReadonly: is_readonly,
    error: refused[key],
    async set(value) {
      await save({ [key]: value })
    },
  }
}
