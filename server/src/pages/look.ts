import { createHash } from 'node:crypto'
import fs from 'node:fs'
import path from 'node:path'
import { type Palette, paletteCss, paletteOf } from '../brand/palette.ts'
import type { Config } from '../config.ts'
import { html } from '../lib/html.ts'

/** A file of ours that a page refers to, under an address that changes with it. */
export type Asset = { path: string; type: string; content: Buffer; integrity: string }

/** How every page looks, and what it may load: made once a process. */
export type Look = {
  brandName: string
  /** The whole style sheet, which stands in each page. */
  style: string
  /** For browser APIs: passkeys, and the password's rules as it is typed. */
  script: Asset
  logo: { src: string; asset?: Asset } | undefined
  /** The address of the icon in the browser's tab: the brand's first letter, on its colour. */
  icon: string
  /** Content-Security-Policy. */
  policy: string
  links: { terms: string | undefined; privacy: string | undefined; support: string | undefined }
}

export type LookConfig = Pick<
  Config,
  | 'brandName'
  | 'brandLogoUrl'
  | 'brandLogoFile'
  | 'brandColor'
  | 'termsUrl'
  | 'privacyUrl'
  | 'supportEmail'
  | 'appUrl'
>

export function createLook(config: LookConfig): Look {
  const palette = paletteOf(config.brandColor)
  const style = minified(readText('../../../design/tokens.css') + paletteCss(palette) + readText('page.css'))
  const source = Buffer.from(readText('browser/script.js'))
  const script = asset('script.js', 'text/javascript; charset=utf-8', source)
  const logo = logoOf(config)
  return {
    brandName: config.brandName,
    style,
    script,
    logo,
    icon: iconOf(config.brandName, palette),
    policy: policyOf({ style, logo: logo?.src, appUrl: config.appUrl }),
    links: { terms: config.termsUrl, privacy: config.privacyUrl, support: config.supportEmail },
  }
}

/**
 * Nothing but the page's own style, by its hash; our script file; our images, and a logo that is elsewhere. A form
 * may end at the application, because browsers hold redirects after a form to this as well.
 */
function policyOf(page: { style: string; logo: string | undefined; appUrl: string | undefined }): string {
  const outside = page.logo && URL.canParse(page.logo) ? ` ${new URL(page.logo).origin}` : ''
  const application = page.appUrl === undefined ? '' : ` ${new URL(page.appUrl).origin}`
  return [
    "default-src 'none'",
    `style-src 'sha256-${sha256(page.style)}'`,
    "script-src 'self'",
    `img-src 'self' data:${outside}`,
    "connect-src 'self'",
    "base-uri 'none'",
    `form-action 'self'${application}`,
    "frame-ancestors 'none'",
    "require-trusted-types-for 'script'",
    "trusted-types 'none'",
  ].join('; ')
}

function logoOf({ brandLogoFile: file, brandLogoUrl: url }: LookConfig): Look['logo'] {
  if (file === undefined) return url === undefined ? undefined : { src: url }
  const extension = path.extname(file).toLowerCase()
  const made = asset(`logo${extension}`, imageTypes[extension] ?? '', fs.readFileSync(file))
  return { src: made.path, asset: made }
}

function iconOf(brandName: string, { accent, onAccent }: Palette): string {
  const [letter = ''] = brandName.trim()
  const picture = html`<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32"><rect width="32" height="32" rx="8" fill="${accent.light}"/><text x="16" y="23" font-family="system-ui,sans-serif" font-size="20" font-weight="700" text-anchor="middle" fill="${onAccent.light}">${letter.toUpperCase()}</text></svg>`
  return `data:image/svg+xml;base64,${Buffer.from(picture.toString()).toString('base64')}`
}

const imageTypes: Readonly<Record<string, string>> = {
  '.svg': 'image/svg+xml',
  '.png': 'image/png',
  '.webp': 'image/webp',
}

function asset(name: string, type: string, content: Buffer): Asset {
  const hash = sha256(content)
  const mark = Buffer.from(hash, 'base64').subarray(0, 9).toString('base64url')
  return { path: `/pages/${mark}/${name}`, type, content, integrity: `sha256-${hash}` }
}

const sha256 = (content: string | Buffer): string => createHash('sha256').update(content).digest('base64')

const readText = (name: string): string => fs.readFileSync(new URL(name, import.meta.url), 'utf8')

/** Comments and indentation are for those who write the sheet. */
const minified = (css: string): string =>
  css
    .replaceAll(/\/\*.*?\*\//gs, '')
    .replaceAll(/\s+/g, ' ')
    .replaceAll(/ ?([{};,]) ?/g, '$1')
    .replaceAll(': ', ':')
    .trim()
