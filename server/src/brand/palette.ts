import { converter, formatHex, type Oklch, wcagContrast } from 'culori'

/** A colour in light and in dark surroundings, as `#rrggbb`. */
export type Pair = { light: string; dark: string }

/** What follows from BRAND_COLOR: buttons and links that can be read in both modes, and the hue of the greys. */
export type Palette = { hue: number; accent: Pair; onAccent: Pair }

const toOklch = converter('oklch')

/** The grounds that the accent stands on as a link: `--card` and `--ground` of design/tokens.css. */
const grounds = {
  light: ['oklch(1 0 0)', 'oklch(0.972 0.004 262)'],
  dark: ['oklch(0.222 0.01 262)', 'oklch(0.178 0.008 262)'],
} as const

/** WCAG 2.2, 1.4.3 (AA): the least contrast of text. */
export const readable = 4.5

/**
 * The palette of a brand. Its colour is kept where it can be read, and else made darker or lighter until it can.
 * @param color `#rrggbb`
 */
export function paletteOf(color: string): Palette {
  const brand = toOklch(color)
  if (!brand) throw new Error(`${color} is no colour`)
  const accent = { light: legible(brand, 'light'), dark: legible(brand, 'dark') }
  return {
    hue: Math.round(brand.h ?? 262),
    accent,
    onAccent: { light: textOn(accent.light), dark: textOn(accent.dark) },
  }
}

/** The nearest lightness at which the colour can be read on every ground of a mode, and text on it as well. */
function legible(brand: Oklch, mode: 'light' | 'dark'): string {
  const step = mode === 'light' ? -0.01 : 0.01
  const isReadable = (candidate: string) =>
    grounds[mode].every(ground => wcagContrast(candidate, ground) >= readable)
  let { l } = brand
  // Ends: black can be read on every light ground, and white on every dark one.
  while (!isReadable(formatHex({ ...brand, l }))) l += step
  return formatHex({ ...brand, l })
}

/** Near black or white, whichever has more contrast. */
const textOn = (color: string): string =>
  wcagContrast(color, '#ffffff') >= wcagContrast(color, '#12151c') ? '#ffffff' : '#12151c'

/** The palette as CSS, to stand behind design/tokens.css. */
export const paletteCss = ({ hue, accent, onAccent }: Palette): string =>
  `:root{--hue:${hue};--accent:light-dark(${accent.light},${accent.dark});--on-accent:light-dark(${onAccent.light},${onAccent.dark})}`
