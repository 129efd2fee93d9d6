import { readdir, readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { LRUCache } from 'lru-cache'
import { compileMjml } from './compile.ts'
import { createEngine, type Engine } from './liquid.ts'

/** An operator's own templates. */
export type Overrides = {
  /**
   * The file for a template in a locale, nearest first: `verify_email.de-AT.mjml`, `verify_email.de.mjml`,
   * `verify_email.mjml`, and for all mails `mail.mjml`. Undefined where there is none.
   * @throws where the folder or the file can't be read or compiled
   */
  find(template: string, locale: string | null, extension: 'mjml' | 'txt'): Promise<Engine | undefined>
}

/** Opens a folder. Files are compiled when first used, and again when they change; those they include are not watched. */
export function openOverrides(folder: string): Overrides {
  const compiled = new LRUCache<string, Promise<Engine>>({ max: 100 })

  return {
    async find(template, locale, extension) {
      const there = new Set(await readdir(folder))
      const name = candidates(template, locale, extension).find(candidate => there.has(candidate))
      if (name === undefined) return undefined
      const file = join(folder, name)
      const { mtimeMs } = await stat(file)
      const key = `${file}\n${mtimeMs}`
      const known = compiled.get(key)
      if (known) return known
      const engine = compile(file, extension)
      compiled.set(key, engine)
      // What failed may work the next time: a file that it includes, or the right to read it, was missing.
      engine.catch(() => compiled.delete(key))
      return engine
    },
  }
}

function candidates(template: string, locale: string | null, extension: string): string[] {
  const language = locale?.split('-', 1)[0]
  const suffixes = [...new Set([locale, language])].filter(tag => tag).map(tag => `.${tag}`)
  return [
    ...suffixes.map(suffix => template + suffix),
    template,
    ...(extension === 'mjml' ? ['mail'] : []),
  ].map(name => `${name}.${extension}`)
}

async function compile(file: string, extension: 'mjml' | 'txt'): Promise<Engine> {
  const source = await readFile(file, 'utf8')
  return extension === 'mjml'
    ? createEngine(await compileMjml(source, file), 'html')
    : createEngine(source, 'text')
}
