/**
 * A path of ours to go to afterwards; undefined for anything else, such as `//other.example`, `/\other.example` or
 * `javascript:` (ASVS 5.0, 3.7.2; security lesson: open redirects).
 */
export function ownPath(next: string | undefined, publicUrl: string): string | undefined {
  if (next === undefined || next.length > 2000 || !/^\/(?![/\\])[^\\\s\p{Cc}]*$/u.test(next)) return undefined
  const base = new URL(publicUrl)
  if (!URL.canParse(next, base)) return undefined
  const url = new URL(next, base)
  return url.origin === base.origin ? url.pathname + url.search + url.hash : undefined
}

/** An address of these pages with parameters; those that are undefined are left out. */
export function address(path: string, parameters: Readonly<Record<string, string | undefined>>): string {
  const given = Object.entries(parameters).filter(
    (entry): entry is [string, string] => entry[1] !== undefined,
  )
  return given.length === 0 ? path : `${path}?${new URLSearchParams(given)}`
}
