/** A JSON value, as bodies, columns and rules hold it. */
export type Json = null | boolean | number | string | Json[] | JsonObject
export type JsonObject = { [key: string]: Json }

export const isObject = (value: Json | undefined): value is JsonObject =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

/** One text for equal values, whatever the order of their keys: for comparing. */
export function canonical(value: Json): string {
  if (Array.isArray(value)) return `[${value.map(canonical).join(',')}]`
  if (!isObject(value)) return JSON.stringify(value)
  const members = Object.keys(value).sort()
  return `{${members.map(key => `${JSON.stringify(key)}:${canonical(value[key] ?? null)}`).join(',')}}`
}

export const equalJson = (a: Json, b: Json): boolean => a === b || canonical(a) === canonical(b)
